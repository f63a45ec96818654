"""Every noise with every kind of optimizer, on shared and on own rows, in both precisions: side by side as alone.

By command, in the soak; in process all of them are in test_train_together.py."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sweep_runs import BASIC, SMALL, Left, assert_same_contents, sweep

NOISES = [
    "gaussian", "laplace", "asymmetric_laplace", "poisson", "lognormal", "student_t", "negative_binomial", "huber",
]  # fmt: skip
OPTIMIZERS = {
    "momentum": ["optimizer=sgd", "optimizer.momentum=0,0.9"],
    "others": ["optimizer=minibatch_sgd,adam,lbfgs"],
}
TOLERANCE = {"64-true": 1e-9, "32-true": 1e-5}


def rows_of(kind: str, folder: Path) -> list[str]:
    """Own: each seed draws its data. Shared: one table and split, of whole numbers above 0, which all noises take."""
    if kind == "own":
        return []
    rng = np.random.default_rng(1)
    x = rng.normal(size=(60, 2))
    y = 1 + rng.poisson(np.exp(1 + x @ [0.5, -0.3]))
    lines = [f"{a:.6f},{b:.6f},{k}" for (a, b), k in zip(x, y)]
    (folder / "t.csv").write_text("\n".join(["a,b,y", *lines]) + "\n")
    return ["data=table", "data.path=t.csv", "data.target=y", "data.seed=0"]


def assert_same_jobs(together: Left, alone: Left) -> None:
    for job, run in together.children.items():
        tolerance = TOLERANCE[run.data.params["trainer.precision"]]
        swept = together.journal[job]["swept"]
        assert_same_contents(run, alone.children[job], together.folder, tolerance, f"job {job} {swept}")


@pytest.mark.soak
@pytest.mark.parametrize("optimizers", OPTIMIZERS)
@pytest.mark.parametrize("kind", ["shared", "own"])
@pytest.mark.parametrize("noise", NOISES)
def test_together_as_alone(command, stocked, noise, kind, optimizers):
    small = [argument for argument in SMALL if kind == "own" or not argument.startswith(("data=", "data.num"))]
    arguments = [*small, *rows_of(kind, stocked), f"noise={noise}", *OPTIMIZERS[optimizers], "seed=0,1"]
    precisions = f"trainer.precision={','.join(TOLERANCE)}"
    together = sweep(command, stocked, *arguments, precisions, name="together")
    alone = sweep(command, stocked, *arguments, precisions, BASIC, name="alone")
    together.result.succeeded()
    alone.result.succeeded()
    assert len(together.children) == (12 if optimizers == "others" else 8)
    assert_same_jobs(together, alone)
