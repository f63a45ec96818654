"""The text, 3.1.1.5: predictions for examples that were not seen, and what the training loss says about them.

Source:  D2L 3.1.1.5; the risk of least squares with normal features (Stein's and Dicker's formula) by the mean of the
         inverse Wishart distribution.
Command: make exercises EX=T6
Cost:    3 s on 2 cores.
Expect:  training and held-out squared errors at their formulas, and not at those with n - d or n for n - d - 1: with
         16 rows they lie far apart.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from noiseworks import studies as study
from noiseworks.studies import Claim, Figure, Runs, claim, control

EXPERIMENTS = {"t6_new": ["replicates=1500"]}
SIZES = [4, 8, 10]
N = 16  # fitted rows: few, so that n, n - d and n - d - 1 lie far apart
TRAIN_MARGIN = 0.025
TEST_MARGIN = {4: 0.05, 8: 0.07, 10: 0.15}  # single fits vary more as d comes near n
Array = NDArray[np.float64]


def measure(cfg):
    return {"errors": errors}[cfg.measure](cfg)


def errors(cfg) -> dict[str, Array]:
    """Of a least-squares fit to each of many data sets: the mean squared error on its rows, and on as many new ones as
    num_new says."""
    n, d, R = cfg.num_examples, cfg.num_features, cfg.replicates
    rng = np.random.default_rng([cfg.seed, n, d])
    X, new = rng.normal(size=(R, n, d)), rng.normal(size=(R, cfg.num_new, d))
    w = np.ones(d) / np.sqrt(d)
    y, y_new = X @ w + rng.normal(size=(R, n)), new @ w + rng.normal(size=(R, cfg.num_new))
    Q, triangle = np.linalg.qr(X)
    found = np.linalg.solve(triangle, Q.mT @ y[..., None])
    residuals = {"train": y - (X @ found)[..., 0], "test": y_new - (new @ found)[..., 0]}
    return {part: (r**2).mean(axis=1) for part, r in residuals.items()}


def train_error(d: float) -> float:
    """E RSS / n = sigma^2 (n - d) / n."""
    return 1 - d / N


def test_error(d: float) -> float:
    """E (y - x'w)^2 = sigma^2 (1 + tr E (X'X)^-1), and E (X'X)^-1 = I / (n - d - 1) for x ~ N(0, I)."""
    return 1 + d / (N - d - 1)


def claims(runs: Runs) -> Iterator[Claim]:
    for d in SIZES:
        yield claim("T6", f"squared error on {N} fitted rows, {d} features", train_error(d),
                    error(runs, "train", d), TRAIN_MARGIN, wrong_on_rows(d))  # fmt: skip
        yield claim("T6", f"squared error on new examples, {d} features", test_error(d),
                    error(runs, "test", d), TEST_MARGIN[d], wrong_on_new(d))  # fmt: skip
    for d in (4, 10):
        yield control("T6", f"squared error on fitted rows is that on new examples, {d} features", test_error(d),
                      error(runs, "train", d), TRAIN_MARGIN)  # fmt: skip


def wrong_on_rows(d: int) -> dict[str, float]:
    theories = {"the noise's variance": 1.0, "n - d - 1 for n - d": (N - d - 1) / N}
    return theories | {"a standard deviation for the variance": train_error(d) ** 0.5}


def wrong_on_new(d: int) -> dict[str, float]:
    """n - d differs from n - d - 1 by less than the margin if there are few features."""
    theories = {"1 + d / n, as at the same x": 1 + d / N, "no error of the fit": 1.0}
    return theories | ({} if d < 8 else {"n - d for n - d - 1": 1 + d / (N - d)})


def error(runs: Runs, part: str, d: int) -> study.Interval:
    return study.mean(runs["t6_new"].one(num_features=d).copies[part])


def figures(runs: Runs) -> Iterator[Figure]:
    drawing, axes = study.panels()
    fine = np.linspace(0, 11, 100)
    study.theory(axes, fine / N, test_error(fine), "theory")
    study.theory(axes, fine / N, train_error(fine), "_")
    parts = {"on new examples": "test", "on the fitted rows": "train"}
    found = {label: [error(runs, part, d) for d in SIZES] for label, part in parts.items()}
    study.series(axes, [d / N for d in SIZES], found)
    study.level(axes, 1, 0.6)
    axes.set(xlabel="features for each fitted row, d / n", ylabel="mean squared error", yscale="log")
    axes.legend()
    yield Figure(
        "T6",
        alt="With more features the error on fitted rows falls below the noise, that on new examples rises above it.",
        caption="Mean squared error over the noise's variance (thin line: 1). Points: 10,000 fits, 99 % intervals.",
        drawing=drawing,
    )
