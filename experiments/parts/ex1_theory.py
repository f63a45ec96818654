"""Theory of exercise 1: how precise mean and median are, and what plausible theories that are wrong say."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, stats

Array = NDArray[np.float64]


class Contaminated(stats.rv_continuous):
    """One in ten has three times the spread; variance 0.9 + 0.1 * 9 = 1.8."""

    def _pdf(self, x: Array) -> Array:
        return 0.9 * stats.norm.pdf(x) + 0.1 * stats.norm.pdf(x / 3) / 3

    def _cdf(self, x: Array) -> Array:
        return 0.9 * stats.norm.cdf(x) + 0.1 * stats.norm.cdf(x / 3)


DENSITIES = {"normal": stats.norm, "laplace": stats.laplace, "student_t": stats.t(5), "contaminated": Contaminated()}
VARIANCES = {"normal": 1.0, "laplace": 2.0, "student_t": 5 / 3, "contaminated": 1.8}


def median_variance(noise: str, n: int) -> float:
    """n var(median) / variance of one, odd n = 2 m + 1: the density of the middle order statistic is
    n! / (m!)^2 F^m (1 - F)^m f, integrated numerically."""
    m, known = (n - 1) // 2, DENSITIES[noise]
    log_factor = math.lgamma(n + 1) - 2 * math.lgamma(m + 1)
    x = np.linspace(0, 15 / n**0.25, 20_001)
    log_density = log_factor + m * (np.log(known.cdf(x)) + np.log(known.cdf(-x))) + np.log(known.pdf(x))
    return float(2 * integrate.simpson(x**2 * np.exp(log_density), x=x) * n / VARIANCES[noise])


def limit(noise: str) -> float:
    """1 / (4 f(0)^2 sigma^2): what n var(median) / sigma^2 tends to."""
    return float(1 / (4 * DENSITIES[noise].pdf(0.0) ** 2 * VARIANCES[noise]))


def bound_ratio(noise: str) -> float:
    """sigma^2 I, I = E[(f'/f)^2]: how many times the smallest variance of an unbiased estimate the mean has."""
    x = np.linspace(1e-9, 60, 600_001)
    density = DENSITIES[noise].pdf(x)
    slope = np.gradient(np.log(np.maximum(density, 1e-300)), x)
    return float(2 * integrate.simpson(slope**2 * density, x=x) * VARIANCES[noise])


def wrong_variances(noise: str, n: int) -> dict[str, float]:
    """In units of sigma^2 / n."""
    theories = {"n - 1 for n": n / (n - 1)}
    return theories | ({} if noise == "normal" else {"the law's scale^2 for its variance": 1 / VARIANCES[noise]})


def wrong_bounds(noise: str) -> dict[str, float]:
    """sigma^2 I with a wrong information: the normal law's, with the scale for the standard deviation or without; or
    for the normal law with a factor 2 forgotten, as the exponent's 1 / (2 sigma^2) suggests."""
    if noise == "normal":
        return {"I = 1 / (2 sigma^2)": 0.5}
    scale = {} if noise == "laplace" else {"I = 1 / scale^2": VARIANCES[noise]}  # which is right for Laplace noise
    return {"I = 1 / sigma^2, as of the normal law": 1.0, **scale}


def wrong_ratios(noise: str, n: int) -> dict[str, float]:
    """The limit only where it is far from what holds for n."""
    gaussian = median_variance("normal", n)
    theories = {"as under Gaussian noise": gaussian} if noise != "normal" else {"standard deviations": gaussian**0.5}
    early = noise == "laplace" or (noise, n) == ("normal", 5)
    return theories | ({"the limit for large n": limit(noise)} if early else {})
