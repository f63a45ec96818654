"""T5: how near random searches come, and what the winner of many useless models gains, exactly."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import stats

from noiseworks_experiments.parts.t5_measure import HIGH, LOW, Valley

N = 100  # rows to fit the candidates, and rows to validate them


def random_miss(valley: Valley, trials: int, points: int = 20_001) -> float:
    """E|log(best of `trials` / best step)| of steps drawn log-uniformly on [LOW, HIGH].

    The best is at u = log lr if one trial is there and none of the others has less loss, which each has not with
    probability 1 - m(u) / W: W is the width of the range, m(u) that of the steps with less loss, an interval.
    """
    u, width, best = np.linspace(np.log(LOW), np.log(HIGH), points), np.log(HIGH / LOW), np.log(valley.best)
    loss, below = valley.log_excess(np.exp(u)), u < best
    other = np.where(  # the step on the other side of the valley with the same loss
        below,
        np.interp(loss, loss[~below], u[~below]),
        np.interp(-loss, -loss[below], u[below]),
    )
    density = trials / width * (1 - np.abs(other - u) / width) ** (trials - 1)
    return float(np.trapezoid(np.abs(u - best) * density, u))


def nearest_miss(valley: Valley, trials: int, points: int = 20_001) -> float:
    """The mean distance on the axis of log lr from the best step to the nearest of `trials`, whatever its loss."""
    low, high, best = np.log(LOW), np.log(HIGH), np.log(valley.best)
    apart = np.linspace(0, high - low, points)
    inside = np.minimum(best + apart, high) - np.maximum(best - apart, low)
    return float(np.trapezoid((1 - inside / (high - low)) ** trials, apart))


@lru_cache
def expected(candidates: int, points: int = 1001) -> tuple[float, float]:
    """E of what the winner seems to gain, and of what it does: mean squared error less sigma^2 = 1, seen and true.

    The coefficient is a = u / sqrt(N), its true excess a^2, and the validation rows show a^2 - 2 a v / sqrt(N) to order
    1 / N, with independent standard normal u, v. The least of K: P(it is the i-th of all in order) is
    (1 - F_(i-1))^K - (1 - F_i)^K, F their cumulated probability; here on a grid of u and v.
    """
    z = np.linspace(-6, 6, points)
    p = stats.norm.pdf(z)
    u, v = z[:, None], z[None, :]
    weight, seen, true = (p[:, None] * p).ravel(), ((u**2 - 2 * u * v) / N).ravel(), (u**2 / N + 0 * v).ravel()
    order = np.argsort(seen)
    above = 1 - np.concatenate([[0.0], np.cumsum(weight[order]) / weight.sum()])
    least = -np.diff(np.maximum(above, 0) ** candidates)
    return float(least @ seen[order]), float(least @ true[order])
