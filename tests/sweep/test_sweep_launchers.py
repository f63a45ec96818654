"""A vectorized sweep leaves what the same jobs leave one by one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sweep_runs import (
    BASIC,
    DOUBLE,
    SMALL,
    Left,
    artifacts,
    assert_same_journals,
    assert_same_runs,
    coefficients,
    histories,
    read_any,
    sweep,
    untimed,
)

from command_line import QUIET
from soaked import only

TABLE = [QUIET, "data=table", "data.path=counts.csv", "data.target=y", "data.batch_size=16", "trainer.max_epochs=3"]
EXTRAS = ["data.offset=o", "data.weights=w"]
COUNTS = ["noise=poisson", "data.seed=0"]

CASES = {
    "noise": [*SMALL, "noise=gaussian,laplace,lognormal,student_t,huber", "seed=0,1"],
    "counts": [*SMALL, "noise=poisson,negative_binomial", "optimizer.lr=0.01,0.1", "seed=3"],
    "scales": [*SMALL, "noise=student_t", "noise.scale=0.5,2", "data.noise.scale=0.3,1"],
    "sgd": [
        *TABLE, *EXTRAS, *COUNTS, "optimizer=sgd", "seed=1", "optimizer.momentum=0,0.9",
        "optimizer.weight_decay=0,0.1", "schedule=constant,cosine",
    ],
    "adam": [
        *SMALL, "optimizer=adam", "optimizer.lr=0.2", "optimizer.weight_decay=0,0.5",
        "schedule.averaging=true,false", "model.init_scale=1",
    ],
    "shared and own rows": [*SMALL, "seed=0,1", "data.seed=0,5", "data.test_fraction=0.1", "noise=laplace"],
    "lbfgs": [*SMALL, "optimizer=lbfgs", "seed=0,1", "model.init_scale=0,1", "noise=poisson"],
    "exact": [*SMALL, "optimizer=exact", "seed=0,1", "noise=student_t,huber"],
    "exact counts": [*TABLE, *EXTRAS, "optimizer=exact", "noise=poisson,negative_binomial", "data.val_fraction=0.2"],
    "houses": [QUIET, "data=houses", "data.batch_size=512", "trainer.max_epochs=2", "data.seed=0", "seed=0,1"],
    "apples": [QUIET, "data=apples", "optimizer=exact", "noise=gaussian,lognormal", "data.allow_fractions=true"],
    "replicates": [*SMALL, "replicates=3", "optimizer.lr=0.01,0.1"],
    "replicates of a table": [*TABLE, "replicates=2", "noise=poisson", "optimizer.lr=0.01,0.1"],
    "trajectory": [*SMALL, "tracking.trajectory=true", "optimizer.lr=0.1,0.2"],
    "long": [*SMALL, "trainer.max_epochs=75", "seed=0,1", "schedule=inverse_sqrt"],
    "orders": [*SMALL, "data.order=replacement,stream", "seed=0,1"],
    "input noise": [*SMALL, "data.input_noise=0.3,1", "data.input_noise_fresh=true,false", "replicates=2", "seed=0"],
    "naive": [*SMALL, "optimizer=exact", "optimizer.method=qr,svd", "optimizer.ridge=0,0.1", "seed=0"],
    "two_layer": [*SMALL, "model=two_layer", "seed=0,1", "model.init_scale=0.5"],
    "standardize": [*SMALL, "data.standardize=true,false", "noise=laplace", "seed=0"],
    "patience": [
        *SMALL, "trainer.patience=1", "trainer.max_epochs=8", "optimizer.lr=0.003,0.1,0.9,1.5", "schedule=constant",
    ],
    "patience with adam": [
        *SMALL, "trainer.patience=1", "trainer.max_epochs=8", "optimizer=adam", "optimizer.lr=0.01,0.3,1",
        "schedule.averaging=true",
    ],
    "diverging": [
        *SMALL, "optimizer=sgd", "optimizer.momentum=0,0.5", "optimizer.lr=0.1,1e200", "schedule=constant",
        "trainer.max_epochs=5",
    ],
    "batches": [*SMALL, "data.val_fraction=0.2,0.999"],
}  # fmt: skip
SINGLE = {  # in float32
    "noise": [*SMALL, "noise=laplace", "seed=0,1", "data.noise.scale=0.5"],
    "counts": [*TABLE, *COUNTS, "optimizer.lr=0.01,0.1"],
    "momentum": [*SMALL, "optimizer=sgd", "optimizer.momentum=0,0.9", "optimizer.weight_decay=0.1"],
    "adam": [*SMALL, "optimizer=adam", "optimizer.lr=0.01,0.1"],
}


def write_counts(folder: Path) -> None:
    """60 rows: counts y, a number and a text, an offset and weights."""
    rng = np.random.default_rng(0)
    a, o, w = rng.normal(size=60), rng.normal(scale=0.3, size=60), rng.uniform(0.5, 2, size=60)
    kind = rng.choice(["p", "q", "r"], size=60)
    y = rng.poisson(np.exp(0.5 + 0.4 * a + o))
    rows = [f"{y[i]},{a[i]:.6f},{kind[i]},{o[i]:.6f},{w[i]:.6f}" for i in range(60)]
    (folder / "counts.csv").write_text("y,a,kind,o,w\n" + "\n".join(rows) + "\n")


def both(command, folder: Path, arguments: list[str]) -> tuple[Left, Left]:
    write_counts(folder)
    together = sweep(command, folder, *arguments, name="together")
    alone = sweep(command, folder, *arguments, BASIC, name="alone")
    return together, alone


@pytest.mark.parametrize("case", only(CASES, "diverging"))
def test_in_float64(command, stocked, case):
    together, alone = both(command, stocked, [*CASES[case], DOUBLE])
    assert together.result.status == alone.result.status, together.result.err + alone.result.err
    assert_same_runs(together, alone, 1e-9)
    assert_same_journals(together, alone, 1e-9, "FINISHED")
    ASSERT_MORE.get(case, lambda left: None)(together)


@pytest.mark.parametrize("case", only(SINGLE, "counts"))
def test_in_float32(command, stocked, case):
    together, alone = both(command, stocked, SINGLE[case])
    together.result.succeeded()
    alone.result.succeeded()
    assert_same_runs(together, alone, 1e-5)


# What the cases are for; without it two empty sweeps would be the same.


def assert_stopped_early(left: Left) -> None:
    epochs = [row["trainer/epochs"] for row in left.table]
    assert min(epochs) < max(epochs)


def assert_thinned(left: Left) -> None:
    for run in left.children.values():
        for name, points in histories(left.folder, run).items():
            if name.startswith(("train/", "val/")):
                assert 25 <= len(points) <= 51, name
                assert points[-1][0] == 3 * 75 - 1


def assert_trajectory(left: Left) -> None:
    for run in left.children.values():
        path = read_any(artifacts(run)["trajectory.parquet"])
        assert path["step"] == list(range(9))
        last = {name: values[-1] for name, values in path.items() if name not in ("step", "replicate")}
        assert last == pytest.approx(coefficients(run)["coefficients"])


def assert_replicates(left: Left) -> None:
    for run in left.children.values():
        table = read_any(artifacts(run)["replicates.parquet"])
        assert len(set(table["val/nll"])) == len(table["replicate"]) > 1
        mean = sum(table["val/nll"]) / len(table["val/nll"])
        assert run.data.metrics["val/nll"] == pytest.approx(mean)


def assert_half_failed(left: Left) -> None:
    assert left.result.status == 1
    statuses = [run.info.status for run in left.children.values()]
    assert statuses.count("FAILED") == len(statuses) / 2


def assert_one_group(left: Left) -> None:
    assert f"{len(left.children)} jobs in 1 group\n" in left.result.out


ASSERT_MORE = {
    "patience": assert_stopped_early,
    "patience with adam": assert_stopped_early,
    "long": assert_thinned,
    "trajectory": assert_trajectory,
    "replicates": assert_replicates,
    "replicates of a table": assert_replicates,
    "diverging": assert_half_failed,
    "batches": assert_half_failed,
    "sgd": assert_one_group,
    "adam": assert_one_group,
    "shared and own rows": assert_one_group,
    "scales": assert_one_group,
}


@pytest.mark.parametrize("launcher", only(["vectorized", "basic"], "vectorized"))
def test_the_latest_metrics_are_those_of_the_answer(command, stocked, launcher):
    left = sweep(command, stocked, *CASES["patience with adam"], f"hydra/launcher={launcher}")
    for run in left.children.values():
        said = read_any(artifacts(run)["metrics.json"])
        assert untimed(run.data.metrics) == pytest.approx(said)


@pytest.mark.parametrize("case", ["diverging", pytest.param("batches", marks=pytest.mark.soak)])
@pytest.mark.soak
def test_the_journal_of_failed_jobs(command, stocked, case):
    together, alone = both(command, stocked, [*CASES[case], "seed=3"])
    assert_same_journals(together, alone, 1e-5, "FAILED")


@pytest.mark.soak
def test_the_trajectory_of_a_member_that_left(command, stocked):
    together, alone = both(command, stocked, [*CASES["diverging"], DOUBLE, "tracking.trajectory=true"])
    assert_same_runs(together, alone, 1e-9)
