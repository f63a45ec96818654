"""Theory of counts (exercise 8): what a normal distribution loses on them, precision, and coverage of intervals."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from scipy import special, stats
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


def slope_variances(n: int, spread: float) -> dict[str, float]:
    """Variances of the slope by weighted least squares, H D' W diag(rate) W D H with H = (D' W D)^-1: with weights
    1 / rate, which is Fisher's bound; without; and with the rates for weights, the wrong way round."""
    D, rates = line(n, spread)
    found = {}
    for name, weights in (("bound", 1 / rates), ("ols", np.ones(n)), ("turned", rates)):
        A = np.linalg.solve(D.T @ (D * weights[:, None]), D.T * weights)
        found[name] = float(A[0] ** 2 @ rates)
    return found


def wald_coverage(expected: float) -> float:
    """Coverage of log(T / n) +- Z / sqrt(T) for T ~ Poisson(expected), T = 0 counted as a miss: for constant rates."""
    total = np.arange(1, int(expected + 20 * math.sqrt(expected)) + 20)
    hits = np.abs(np.log(total / expected)) <= Z / np.sqrt(total)
    return float(stats.poisson.pmf(total, expected)[hits].sum())


def shrunk(ratio: float) -> float:
    """P(|N| < Z / ratio): coverage of intervals whose standard error is too small by the ratio."""
    return float(2 * stats.norm.cdf(Z / ratio) - 1)


def gap(rate: float) -> float:
    """KL(Poisson || N(rate, rate) in unit cells): sum p log(p / cell)."""
    k = np.arange(int(rate + 12 * math.sqrt(rate)) + 30)
    z = (k - rate) / math.sqrt(rate)
    half, side = 0.5 / math.sqrt(rate), -np.abs(z)
    cell = stats.norm.cdf(side + half) - stats.norm.cdf(side - half)
    return float(special.rel_entr(stats.poisson.pmf(k, rate), np.maximum(cell, 1e-300)).sum())


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


def too_small(D: Array, rates: Array, variances: Array) -> dict[str, float]:
    """By which ratio the standard errors of the first coefficient are too small where counts have these variances:
    those by information, J^-1 with J = D' diag(rate) D, and those of quasi-Poisson, times the mean of variance over
    rate. True is J^-1 D' diag(variance) D J^-1."""
    J = np.linalg.inv(D.T @ (D * rates[:, None]))
    true = (J @ D.T @ (D * variances[:, None]) @ J)[0, 0]
    information = math.sqrt(true / J[0, 0])
    return {"information": information, "quasi": information / math.sqrt((variances / rates).mean())}


def diagonal_ratio(D: Array, rates: Array) -> float:
    """The root of (J^-1)_00 J_00: by how much 1 / sqrt(J_00) falls short of the standard error."""
    J = D.T @ (D * rates[:, None])
    return math.sqrt(np.linalg.inv(J)[0, 0] * J[0, 0])
