"""Theory of exercise 8: what a normal distribution loses on counts, precision, bias, and coverage of intervals."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from noiseworks_experiments.parts.counts import Z, line
from noiseworks_experiments.parts.ex8_logarithm import predictor

Array = NDArray[np.float64]


def gap(rate: float) -> float:
    """KL(Poisson || N(rate, rate) in unit cells): sum p log(p / cell)."""
    k = np.arange(int(rate + 12 * math.sqrt(rate)) + 30)
    z = (k - rate) / math.sqrt(rate)
    half, side = 0.5 / math.sqrt(rate), -np.abs(z)
    cell = stats.norm.cdf(side + half) - stats.norm.cdf(side - half)
    return float(special.rel_entr(stats.poisson.pmf(k, rate), np.maximum(cell, 1e-300)).sum())


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


def too_small(D: Array, rates: Array, variances: Array) -> dict[str, float]:
    """By which ratio the standard errors of the first coefficient are too small where counts have these variances:
    those by information, J^-1 with J = D' diag(rate) D, and those of quasi-Poisson, times the mean of variance over
    rate. True is J^-1 D' diag(variance) D J^-1."""
    J = np.linalg.inv(D.T @ (D * rates[:, None]))
    true = (J @ D.T @ (D * variances[:, None]) @ J)[0, 0]
    information = math.sqrt(true / J[0, 0])
    return {"information": information, "quasi": information / math.sqrt((variances / rates).mean())}


def biases(D: Array, rates: Array, dispersion: float) -> Array:
    """Of the coefficients, to first order: -J^-1 D' (rate dispersion h) / 2 with h_i = D_i J^-1 D_i', as the third
    derivatives of the likelihood are the rates (Cordeiro and McCullagh 1991)."""
    J = np.linalg.inv(D.T @ (D * rates[:, None]))
    return -dispersion / 2 * J @ D.T @ (rates * ((D @ J) * D).sum(axis=1))


def diagonal_ratio(D: Array, rates: Array) -> float:
    """The root of (J^-1)_00 J_00: by how much 1 / sqrt(J_00) falls short of the standard error."""
    J = D.T @ (D * rates[:, None])
    return math.sqrt(np.linalg.inv(J)[0, 0] * J[0, 0])


def expected_squares(n: int) -> dict[str, float]:
    """What `least_squares` finds: H y, with H = D (D'D)^-1 D', has the mean H mu. slope_mean: of log(1 + mean)."""
    D, mu = predictor("log", n)
    k = np.arange(400)[:, None]
    logs = (np.log1p(k) * stats.poisson.pmf(k, mu)).sum(axis=0)
    (slope, log_slope, mean_slope), (intercept, *_) = np.linalg.lstsq(
        D, np.column_stack((mu, logs, np.log1p(mu))), rcond=None
    )[0]
    inside, normal = (each[3 * n // 4 :].mean() for each in expected_inside(D, mu))
    return {
        "negative": float(stats.norm.cdf(-intercept / slope)),
        "inside_last": float(inside),
        "inside_normal": float(normal),
        "slope_log1p": float(log_slope),
        "slope_mean": float(mean_slope),
    }


def expected_inside(D: Array, mu: Array) -> tuple[Array, Array]:
    """P(|k_i - line_i| <= Z s) of each row (n,), and what it were for a normal k_i of mean line_i and variance mu_i.

    Given k_i, line_i +- Z s are taken for normal: (n - 2) s^2 is about sum_j (k_j - m_j)^2 less what the fit takes off,
    m = H mu, and line_i is sum_j H_ij k_j, so that all moments are sums over rows of those of one Poisson count.
    """
    n, H = len(mu), D @ np.linalg.solve(D.T @ D, D.T)
    k, m, h = np.arange(80.0)[:, None], H @ mu, np.diag(H)
    p = stats.poisson.pmf(k, mu)
    square = (p * (k - m) ** 2).sum(axis=0)  # (k_j - m_j)^2: mean, variance, covariance with k_j
    spread = (p * (k - m) ** 4).sum(axis=0) - square**2
    joint = (p * (k - mu) * (k - m) ** 2).sum(axis=0)
    s2 = (square.sum() - h @ mu + (k - m) ** 2 - square) / (n - 2)
    ds = np.sqrt((spread.sum() - spread) / (4 * s2)) / (n - 2)
    s = np.sqrt(s2) - ds**2 / (2 * np.sqrt(s2))
    line, var_line = m + h * (k - mu), (H**2) @ mu - h**2 * mu
    both = (H @ joint - h * joint) / (2 * (n - 2) * np.sqrt(s2))
    above, below = (
        stats.norm.cdf((Z * s - side * (k - line)) / np.sqrt(var_line + (Z * ds) ** 2 + side * 2 * Z * both))
        for side in (1, -1)
    )
    reach = Z * math.sqrt(s2[0].mean()) / np.sqrt(mu)
    return (p * (above + below - 1)).sum(axis=0), stats.norm.cdf(reach) - stats.norm.cdf(-reach)
