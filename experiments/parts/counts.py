"""Counts of exercise 8: how they are drawn, and what several of its measures share."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from torch import Tensor

Array = NDArray[np.float64]
Z = float(stats.norm.ppf(0.975))  # an interval at 95 % reaches so many standard errors
MEAN_RATE = 6.0


def tensor(values: ArrayLike) -> Tensor:
    return torch.as_tensor(np.asarray(values), dtype=torch.float64)


def line(n: int, spread: float) -> tuple[Array, Array]:
    """D (n, 2) and rates (n,) from low to spread * low, of mean MEAN_RATE."""
    x = np.linspace(0, 1, n)
    low = 2 * MEAN_RATE / (1 + spread)
    return np.column_stack((x, np.ones(n))), low + (spread - 1) * low * x


def counts(rates: Array, dispersion: float, R: int, rng: np.random.Generator) -> Array:
    """Counts (R, n) of variance dispersion * rate: Poisson, whose rate is a gamma variable, if above one."""
    if dispersion > 1:
        rates = rng.gamma(rates / (dispersion - 1), dispersion - 1, (R, len(rates)))
    return rng.poisson(rates, (R, rates.shape[-1])).astype(float)


def clustered_counts(rates: Array, alpha: float, R: int, rng: np.random.Generator) -> Array:
    """Negative binomial counts (R, n), of variance rate + alpha rate^2."""
    return rng.poisson(rng.gamma(1 / alpha, alpha * rates, (R, len(rates)))).astype(float)


def alpha_of(rates: Array, dispersion: float) -> float:
    """For which variance over rate, 1 + alpha rate, is the dispersion on average."""
    return float((dispersion - 1) / rates.mean())
