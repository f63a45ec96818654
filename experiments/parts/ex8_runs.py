"""Exercise 8: runs read back, for claims and figures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from noiseworks import studies as study
from noiseworks.studies import Run, Runs
from noiseworks_experiments.parts.ex8_theory import slope_variances

TITLES = {
    "poisson": "the Poisson distribution",
    "nb": "the negative binomial",
    "heaped": "the negative binomial with heaps",
}
Array = NDArray[np.float64]


def of_rate(runs: Runs, rate: float, sampler: str = "numpy") -> Run:
    return runs["ex8_draws"].one(sampler=sampler, rate=rate)


def of_counts(runs: Runs, n: int, truth: str = "log") -> Run:
    return runs["ex8_coverage"].one(truth=truth, num_observations=n)


def of_dispersed(runs: Runs, dispersion: float) -> Run:
    return runs["ex8_overdispersed"].one(dispersion=dispersion)


def covers(run: Run, how: str) -> study.Interval:
    return study.proportion(run.copies[f"covers_{how}"])


def against_oracle(runs: Runs, name: str, spread: float) -> study.Interval:
    copies = runs["ex8_identity"].one(spread=spread).copies
    return study.variance_ratio(copies[name], copies["wls"])


def added_variance(runs: Runs, spread: float) -> study.Interval:
    """The variance of what the slope by least squares differs from the best linear one, over Fisher's bound: as that is
    uncorrelated with the difference, it is what the variances differ by (Hausman 1978)."""
    copies = runs["ex8_identity"].one(spread=spread).copies
    return study.variance(copies["ols"] - copies["wls"], slope_variances(100, spread)["bound"])


def descent(runs: Runs, link: str, lr: float, batch: int = 50) -> Run:
    return runs["ex8_descent"].one({"noise.link": link, "optimizer.lr": lr, "data.batch_size": batch})


def steps(runs: Runs, link: str, lr: float, batch: int = 50) -> tuple[Array, Array]:
    """The parameter after each step (steps, starts) and where it should end (starts,): by the rate that the logarithm
    found in full batches."""
    end = np.exp(descent(runs, "log", 0.1).copies["coefficient/intercept"])
    goal = {"log": np.log(end), "softplus": end + np.log(-np.expm1(-end))}.get(link, end)
    return descent(runs, link, lr, batch).trajectory["intercept"].reshape(-1, len(end)), goal
