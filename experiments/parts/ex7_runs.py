"""Exercise 7: runs read back, for claims and figures."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from noiseworks import studies as study
from noiseworks.studies import Interval, Run, Runs
from noiseworks_experiments.parts.ex7_theory import INTERCEPT, SPREAD, covered

CENTS = [2.5, 5.0, 20.0]  # prices of ex7_penny, in ticks
Array = NDArray[np.float64]


def world(runs: Runs, model: str, truth: str, s: float) -> Run:
    return runs["ex7_worlds"].one({"noise@data.noise": truth, "data.noise.scale": s}, noise=model)


def parameters(run: Run) -> tuple[Array, Array, Array]:
    return run.copies["coefficient/intercept"], run.copies["coefficient/x0"], run.copies["scale"]


def coverage(run: Run, tenth: int, log: bool) -> Interval:
    return study.mean(covered(parameters(run), 0.5, tenth, log))


def one(runs: Runs, what: str) -> Run:
    return runs["ex7_measures"].one(measure=what)


def predicted(runs: Runs, s: float, corrected: bool) -> Array:
    """Predicted over true mean price, at x = 0."""
    intercept, _, scale = parameters(world(runs, "lognormal", "lognormal", s))
    return np.exp(intercept - INTERCEPT - s**2 / 2 + corrected * scale**2 / 2)


def scales(runs: Runs, noise: str, price: float) -> Interval:
    run = runs["ex7_penny"].one({"data.true_intercept": math.log(price)}, noise=noise)
    return study.mean(run.copies["scale"] / SPREAD)
