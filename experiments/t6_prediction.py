"""The text, 3.1.1.5: predictions for examples that were not seen, and what the training loss says about them.

Source:  D2L 3.1.1.5; the risk of least squares with normal features (Stein's and Dicker's formula) by the mean of the
         inverse Wishart distribution.
Command: make exercises EX=T6
Cost:    10 s on 2 cores.
Expect:  training and held-out squared errors within 8 % of their formulas (15 % at 80 features).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from noiseworks import studies as study
from noiseworks.studies import Claim, Figure, Runs, claim, control

EXPERIMENTS = {"t6_new": ["replicates=60"]}
SIZES = [5, 20, 50, 80]
N = 100  # fitted rows


def train_error(d: float) -> float:
    """E RSS / n = sigma^2 (n - d) / n."""
    return 1 - d / N


def test_error(d: float) -> float:
    """E (y - x'w)^2 = sigma^2 (1 + tr E (X'X)^-1), and E (X'X)^-1 = I / (n - d - 1) for x ~ N(0, I)."""
    return 1 + d / (N - d - 1)


def claims(runs: Runs) -> Iterator[Claim]:
    for d in SIZES:
        yield claim("T6", f"squared error on {N} fitted rows, {d} features", train_error(d),
                    error(runs, "train", d), tolerance(d) * train_error(d))  # fmt: skip
        yield claim("T6", f"squared error on new examples, {d} features", test_error(d),
                    error(runs, "test", d), tolerance(d) * test_error(d))  # fmt: skip
    for d in (20, 80):
        yield control("T6", f"squared error on fitted rows is that on new examples, {d} features", test_error(d),
                      error(runs, "train", d), tolerance(d) * test_error(d))  # fmt: skip


def tolerance(d: int) -> float:
    """Near d = n the error of single fits varies much more."""
    return 0.08 if d < 80 else 0.15


def error(runs: Runs, part: str, d: int) -> study.Interval:
    rmse = runs["t6_new"].one({"data.num_features": d}).copies[f"{part}/rmse"]
    return study.mean(np.asarray(rmse) ** 2)


def figures(runs: Runs) -> Iterator[Figure]:
    drawing, axes = study.panels()
    fine = np.linspace(0, 90, 100)
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
        caption="Mean squared error over the noise's variance (thin line: 1). Points: 400 fits each, 99 % intervals.",
        drawing=drawing,
    )
