"""The text, 3.1.1.4: minibatch stochastic gradient descent.

The update (3.1.11) is what autograd gives; with a constant step SGD does not arrive exactly, even without noise differs
from seed to seed, and with noise hovers at a distance that theory knows.

Source:  D2L 3.1.1.4, (3.1.10), (3.1.11).
Command: make exercises EX=T3
Cost:    12 s on 2 cores.
Expect:  updates equal to 1e-12; the floor within 6 % of its formula.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from noiseworks import studies as study
from noiseworks.studies import Claim, Figure, Run, Runs, claim, control

EXPERIMENTS = {
    "t3_floor": ["replicates=60"],
    "t3_seeds": ["data.num_examples=100", "data.batch_size=10,100"],
    "t3_update": ["replicates=20"],
}
RATES = [0.05, 0.1, 0.2, 0.4]
W_TRUE = np.array([1.0, -2.0, 0.5])
BATCH, D, SIGMA = 4, 3, 1.0
BURN_IN = 200  # steps; at lr = 0.05 (1 - lr)^200 = 4e-5 of the start is left
Array = NDArray[np.float64]


def measure(cfg):
    return {"update": update}[cfg.measure](cfg)


def update(cfg) -> dict[str, Array]:
    """For random data, parameters and minibatches: the largest difference of the new (w, b) by hand and by autograd."""
    rng = np.random.default_rng(cfg.seed)
    by_hand, without_half = zip(*(compare(rng) for _ in range(cfg.replicates)))
    return {"update/difference": np.array(by_hand), "update/difference_without_half": np.array(without_half)}


def compare(rng: np.random.Generator, lr: float = 0.1) -> tuple[float, float]:
    n, d = rng.integers(1, 64), rng.integers(1, 10)
    X, y, w, b = (torch.from_numpy(np.asarray(rng.normal(size=shape))) for shape in ((n, d), (n,), (d,), ()))
    residual = X @ w + b - y
    new = torch.cat((w - lr / n * X.T @ residual, (b - lr / n * residual.sum()).reshape(1)))
    differences = []
    for loss in (lambda out: ((out - y) ** 2 / 2).mean(), lambda out: torch.nn.functional.mse_loss(out, y)):
        leaves = [w.clone().requires_grad_(), b.clone().requires_grad_()]
        loss(X @ leaves[0] + leaves[1]).backward()
        stepped = torch.cat([(leaf - lr * leaf.grad).detach().reshape(-1) for leaf in leaves])
        differences.append(float((stepped - new).abs().max() / new.abs().max()))
    return differences[0], differences[1]


def floor(lr: float) -> float:
    """E|w - w_true|^2 in the steady state for x ~ N(0, I), fresh minibatches: with E x x' A x x' = 2 A + tr(A) I the
    covariance of w stays the same for the multiple of I that solves 2 lr S = lr^2 (S + (S + tr S + sigma^2) / B)."""
    return lr * D * SIGMA**2 / (BATCH * (2 - lr * (1 + (D + 1) / BATCH)))


def claims(runs: Runs) -> Iterator[Claim]:
    copies = runs["t3_update"][0].copies
    half, whole = (study.exactly(copies[f"update/{name}"].max()) for name in ("difference", "difference_without_half"))
    yield claim("T3", "the update (3.1.11) by hand is autograd's, relative difference", 0.0, half, 1e-12)
    yield control(
        "T3",
        "the update (3.1.11) by hand is autograd's for the square without its factor 1/2, relative difference",
        0.0,
        whole,
        1e-12,
    )
    for lr in RATES:
        sentence = f"SGD with a constant step hovers at E|w - w_true|^2 = {floor(lr):.3g}, lr = {lr}"
        wrong = {"without the factor 1/2 of the loss": floor(2 * lr)}
        if lr > RATES[0]:
            wrong["lr d sigma^2 / (2 B), for small steps"] = lr * D * SIGMA**2 / (2 * BATCH)
        if lr == RATES[-1]:
            wrong["E (x x')^2 = d I"] = lr * D * SIGMA**2 / (BATCH * (2 - lr * (1 + (D - 1) / BATCH)))
        margin = 0.065 if lr == RATES[0] else 0.055
        yield claim("T3", sentence, floor(lr), distance(runs, lr), margin * floor(lr), wrong)
    naive = 0.4 * D / (2 * BATCH)
    yield control("T3", "the floor is lr d sigma^2 / (2 B), its limit for small steps, at lr = 0.4", naive,
                  distance(runs, 0.4), 0.055 * naive)  # fmt: skip
    yield from seeds(runs)


def distance(runs: Runs, lr: float) -> study.Interval:
    """|w - w_true|^2, averaged over the steps after the burn-in within each replicate, then over replicates."""
    return study.mean(squared_distance(runs["t3_floor"].one({"optimizer.lr": lr}))[BURN_IN:].mean(axis=0))


def squared_distance(run: Run) -> Array:
    """(steps, replicates)."""
    w = np.stack([run.trajectory[f"x{j}"] for j in range(D)], axis=1)
    squares = ((w - W_TRUE) ** 2).sum(axis=1)
    return squares.reshape(-1, len(run.copies["replicate"]))


def seeds(runs: Runs) -> Iterator[Claim]:
    sizes = sorted({int(run.params["data.batch_size"]) for run in runs["t3_seeds"]})
    small, all_rows = (
        np.array([run["param/error"] for run in runs["t3_seeds"].where({"data.batch_size": size})]) for size in sizes
    )
    sentence = "without noise three epochs end at the same distance whatever the seed"
    yield claim("T3", f"{sentence}, all rows in a batch", 0.0, study.exactly(np.ptp(all_rows) / all_rows.mean()), 1e-12)
    yield control("T3", f"{sentence}, batches of 10", 0.0, study.exactly(np.ptp(small) / small.mean()), 1e-12)
    arrived = study.exactly(np.log10(small.min()))
    yield control(
        "T3",
        "without noise three epochs of SGD arrive exactly (log10 of the distance), batches of 10",
        -15.0,
        arrived,
        1.0,
    )


def figures(runs: Runs) -> Iterator[Figure]:
    drawing, (left, right) = study.panels(2, width=7.6)
    for lr, color in zip(RATES, study.COLORS):
        path = squared_distance(runs["t3_floor"].one({"optimizer.lr": lr})).mean(axis=1)
        left.loglog(np.arange(len(path)) + 1, path, color=color, linewidth=1, label=f"lr = {lr}")
        left.axhline(floor(lr), color=color, linewidth=1, linestyle="--")
    left.set(xlabel="step", ylabel="mean squared distance to the truth")
    left.legend()
    fine = np.geomspace(0.04, 0.5, 50)
    study.theory(right, fine, [floor(lr) for lr in fine], "theory")
    study.estimates(right, RATES, [distance(runs, lr) for lr in RATES], "measured, 99 % intervals")
    right.set(xscale="log", yscale="log", xlabel="learning rate", ylabel="mean squared distance, settled")
    right.legend()
    yield Figure(
        "T3",
        alt="The distance falls and then stays level, higher for larger learning rates, where theory says.",
        caption="Left: mean squared distance of 500 fits along the steps; dashed: theory. Right: the level "
        "against the learning rate.",
        drawing=drawing,
    )
