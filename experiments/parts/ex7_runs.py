"""Exercise 7: runs read back, for claims and figures."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t

from noiseworks import studies as study
from noiseworks.studies import Interval, Run, Runs
from noiseworks.studies.claims import LEVEL
from noiseworks_experiments.parts.ex7_stocks import BLOCK, TICKERS
from noiseworks_experiments.parts.ex7_theory import INTERCEPT, SPREAD, covered, overpriced

CENTS = [2.5, 3.5, 10.0]  # prices of ex7_penny, in ticks
MONTHS = 389  # of changes, of a stock that is there from the first to the last
Array = NDArray[np.float64]


def world(runs: Runs, model: str, truth: str, s: float) -> Run:
    return runs["ex7_worlds"].one({"noise@data.noise": truth, "data.noise.scale": s}, noise=model)


def parameters(run: Run) -> tuple[Array, Array, Array]:
    return run.copies["coefficient/intercept"], run.copies["coefficient/x0"], run.copies["scale"]


def coverage(run: Run, tenth: int, log: bool) -> Interval:
    return study.mean(covered(parameters(run), 0.5, tenth, log))


def one(runs: Runs, what: str) -> Run:
    return runs["ex7_measures"].one(measure=what)


def eight(runs: Runs) -> Run:
    return runs["ex7_stocks"][0]


def moved(runs: Runs, exponent: float) -> Run:
    return runs["ex7_moves"].one(exponent=exponent)


def each(run: Run, name: str) -> Array:
    """That of each of the eight stocks."""
    return np.array([run[f"{name}/{ticker}"] for ticker in TICKERS])


def over_stocks(run: Run, name: str) -> Interval:
    """The mean over stocks: by Student's t with a degree less than there are stocks, or by resampled months, which all
    stocks share; the wider interval."""
    return wider(study.mean(each(run, name)), run.copies[name])


def over_expected(run: Run) -> Interval:
    """The gain of the log model over what moves in proportion to the price would give, of all stocks; likewise."""
    found = study.ratio_of_means(each(run, "gain"), each(run, "expected_1"))
    return wider(found, run.copies["gain"] / run.copies["expected_1"])


def wider(stocks: Interval, resampled: Array) -> Interval:
    """Blocks of months count as one each for the degrees of freedom."""
    error = float(resampled.std(ddof=1))
    reach = float(t.ppf((1 + LEVEL) / 2, MONTHS // BLOCK - 1)) * error
    months = Interval(stocks.estimate, stocks.estimate - reach, stocks.estimate + reach, error)
    return max(stocks, months, key=lambda found: found.hi - found.lo)


def option(runs: Runs, price: float, corrected: bool) -> Interval:
    """`overpriced` at the mean square of rounded returns, or at that and twice the mean product of neighbours; the
    influence of each path on the variance times the derivative."""
    copies = one(runs, "ticks").copies
    variance = copies[f"square/{price:g}"] + corrected * 2 * copies[f"product/{price:g}"]
    middle, h = variance.mean(), 1e-4
    derivative = (overpriced(middle + h) - overpriced(middle - h)) / (2 * h)
    return study.mean(overpriced(middle) + derivative * (variance - middle))


def predicted(runs: Runs, s: float, corrected: bool) -> Array:
    """Predicted over true mean price, at x = 0."""
    intercept, _, scale = parameters(world(runs, "lognormal", "lognormal", s))
    return np.exp(intercept - INTERCEPT - s**2 / 2 + corrected * scale**2 / 2)


def scales(runs: Runs, noise: str, price: float) -> Interval:
    run = runs["ex7_penny"].one({"data.true_intercept": math.log(price)}, noise=noise)
    return study.mean(run.copies["scale"] / SPREAD)
