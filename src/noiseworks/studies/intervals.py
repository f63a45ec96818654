"""Estimates with 99 % intervals, from independent replicates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

Array = NDArray[np.float64]
LEVEL = 0.99


@dataclass(frozen=True)
class Interval:
    """An estimate and its 99 % interval. standard_error: 0 for a number that no chance is in."""

    estimate: float
    lo: float
    hi: float
    standard_error: float


def exactly(value: float) -> Interval:
    """A number that no chance is in: of one computation, or the largest of many."""
    value = float(value)
    return Interval(value, value, value, 0.0)


def mean(values: ArrayLike) -> Interval:
    """The mean of replicates (R,), by Student's t."""
    x = _replicates(values)
    return _symmetric(x.mean(), x.std(ddof=1) / np.sqrt(len(x)), len(x) - 1)


def proportion(hits: ArrayLike) -> Interval:
    """The share of hits (R,), by Wilson's score interval; the standard error is that of the middle, never 0."""
    x = _replicates(hits)
    wilson = stats.binomtest(int(x.sum()), len(x)).proportion_ci(LEVEL, method="wilson")
    error = (wilson.high - wilson.low) / (2 * stats.norm.ppf((1 + LEVEL) / 2))
    return Interval(float(x.mean()), float(wilson.low), float(wilson.high), float(error))


def variance(values: ArrayLike, unit: float = 1.0) -> Interval:
    """The variance of values (R,) over `unit`, by the delta method for its logarithm: whatever their distribution."""
    x = _replicates(values)
    return _log(x.var(ddof=1) / unit, _influence(x))


def variance_ratio(above: ArrayLike, below: ArrayLike) -> Interval:
    """var(above) / var(below) of paired replicates: sd(log ratio) = sd(u - v) / sqrt(R), u and v the squared deviations
    over their means."""
    x, y = _replicates(above), _replicates(below)
    return _log(x.var(ddof=1) / y.var(ddof=1), _influence(x) - _influence(y))


def ratio_of_means(above: ArrayLike, below: ArrayLike) -> Interval:
    """mean(above) / mean(below) of paired replicates, both positive; by the delta method for the logarithm."""
    x, y = _replicates(above), _replicates(below)
    return _log(x.mean() / y.mean(), x / x.mean() - y / y.mean())


def slope(x: ArrayLike, values: ArrayLike) -> Interval:
    """The slope of log mean(values) (points, R) against log x (points,), by least squares; the points may be paired."""
    at, v = np.log(np.asarray(x, dtype=float)), np.asarray(values, dtype=float)
    weight = (at - at.mean()) / ((at - at.mean()) ** 2).sum()
    means = v.mean(axis=1)
    each = weight @ (v / means[:, None])  # the influence of each replicate
    R = v.shape[1]
    error = each.std(ddof=1) / np.sqrt(R) if R > 1 else 0.0
    return _symmetric(float(weight @ np.log(means)), error, max(R - 1, 1))


def quantile(values: ArrayLike, level: float) -> Interval:
    """The quantile of values (R,) at `level`, by order statistics, whose ranks are binomial."""
    x = np.sort(_replicates(values))
    n = len(x)
    low, high = stats.binom.ppf([(1 - LEVEL) / 2, (1 + LEVEL) / 2], n, level).astype(int)
    lo, hi = x[max(low - 1, 0)], x[min(high, n - 1)]
    error = (hi - lo) / (2 * stats.norm.ppf((1 + LEVEL) / 2))
    return Interval(float(np.quantile(x, level)), float(lo), float(hi), float(error))


def _replicates(values: ArrayLike) -> Array:
    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or len(x) < 2:
        raise ValueError(f"an interval needs at least two replicates; there are {x.shape}")
    return x


def _influence(x: Array) -> Array:
    squares = (x - x.mean()) ** 2
    return np.asarray(squares / squares.mean() - 1)


def _log(estimate: float, influence: Array) -> Interval:
    """exp(log estimate +- t sd(influence) / sqrt(R))."""
    R = len(influence)
    error = influence.std(ddof=1) / np.sqrt(R)
    reach = stats.t.ppf((1 + LEVEL) / 2, R - 1) * error
    return Interval(
        float(estimate), float(estimate * np.exp(-reach)), float(estimate * np.exp(reach)), float(estimate * error)
    )


def _symmetric(estimate: float, error: float, degrees: int) -> Interval:
    reach = stats.t.ppf((1 + LEVEL) / 2, degrees) * error
    return Interval(float(estimate), float(estimate - reach), float(estimate + reach), float(error))
