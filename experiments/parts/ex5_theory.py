"""Theory of exercise 5: what the wrong noise model costs, how precise answers are, how far repaired steps hop."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from noiseworks_experiments.parts.absolute import slope_variance
from noiseworks_experiments.parts.ex5_walks import CORNER_LR, FIXED, B, D
from noiseworks_experiments.parts.hopping import Hopping, sharp_floor

DENSITIES = {"gaussian": stats.norm, "laplace": stats.laplace, "student_t": stats.t(4)}
LOSSES = {  # -log p(y) at scale 1
    "gaussian": lambda y: y**2 / 2 + np.log(2 * np.pi) / 2,
    "laplace": lambda y: y + np.log(2),
    "student_t": lambda y: -stats.t(4).logpdf(y),
}
Array = NDArray[np.float64]


def cross_entropy(truth: str, assumed: str) -> float:
    """min over the scale of -E log p(y) for y of scale 1, by Gauss and Legendre's rule in t, y = sinh t."""
    t, weight = np.polynomial.legendre.leggauss(400)
    t = 7 * (t + 1)
    y, mass = np.sinh(t), 14 * weight * np.cosh(t) * DENSITIES[truth].pdf(np.sinh(t))

    def expected(log_scale: float) -> float:
        return float(mass @ (log_scale + LOSSES[assumed](y / np.exp(log_scale))))

    return float(optimize.minimize_scalar(expected, bracket=(-1, 1), tol=1e-10).fun)


def efficiency(noise: str, n: int) -> float:
    """E[slope^2] of least squares, sigma^2 / (n - 2) exactly, over that of the absolute loss."""
    return float(DENSITIES[noise].var() / (n - 2) / slope_variance(DENSITIES[noise].cdf, n))


def limit(noise: str) -> float:
    """4 f(0)^2 sigma^2: 2 for Laplace noise, 2 / pi for Gaussian noise."""
    return float(4 * DENSITIES[noise].pdf(0.0) ** 2 * DENSITIES[noise].var())


def rates(schedule: str, lr: float = 0.2, steps: int = 1000) -> Array:
    t = np.arange(steps)
    factors = {"constant": np.ones(steps), "inverse_sqrt": (1 + t / 100) ** -0.5}
    return np.asarray(lr * factors.get(schedule, (1 + np.cos(np.pi * t / steps)) / 2))


def expected(schedule: str, averaging: bool) -> float:
    hopping = Hopping(D, B)
    return hopping.gap(hopping.path(rates(schedule), averaged_from=500)[averaging])


def growth(rates: list[float], power: int) -> float:
    """Slope on log-log axes of where SGD with label noise stays: of E|w - w*|, or with power 0 of the loss gap."""
    hopping = Hopping(D, B)
    v = [hopping.floor(lr) for lr in rates]
    values = np.sqrt(v) if power else [hopping.gap(each) for each in v]
    return float(np.polyfit(np.log(rates), np.log(values), 1)[0])


def resting(schedule: str) -> float:
    """The loss gap at which SGD stays with the mean step of a schedule."""
    hopping = Hopping(D, B)
    return hopping.gap(hopping.floor(float(rates(schedule).mean())))


def after(rule: str, steps: int = 1000, since: int = 0, square: float = 1.0) -> float:
    """The loss gap after so many steps of a rule of FIXED; square: E|w - w*|^2 after `since` steps."""
    hopping, v = Hopping(D, B), square / D
    for t in range(since, steps):
        v += hopping._change(v, FIXED[rule](t)) / D
    return hopping.gap(v)


def rounded(corner: float) -> float:
    """The loss gap with the corner of |r| rounded within `corner`, over that of |r|."""
    gaps = [hopping.gap(hopping.floor(CORNER_LR)) for hopping in (Hopping(D, B, corner), Hopping(D, B))]
    return gaps[0] / gaps[1]


def sharp_hop(decay: float) -> float:
    """E|w - w*| over the step that led there, exact labels, each step `decay` times the one before: |w - w*|^2 over the
    square of the step stays as it is, and its mean is that of normal w - w*, (1 + 1 / (2 d)) times the square of the
    mean distance."""
    still = sharp_floor(D, B)
    return float(decay * (still + np.sqrt(np.pi / 8) * (1 + 1 / (2 * D)) * still**2 * (decay**-2 - 1)))


def polyak_rate() -> float:
    """E log(|w - w*| after a step, over that before), exact labels, exactly. Along w - w* the gradient has a, the mean
    of B independent |z|, and across it c / B of its square, c of the chi-square distribution with d - 1 degrees. As
    f = a |w - w*|, the step takes f^2 / |g|^2 off the squared distance and leaves (c / B) / (a^2 + c / B) of it."""
    total = np.linspace(0, 32, 4096, endpoint=False)
    each = stats.norm.pdf(total)
    each[0] /= 2
    chance = np.fft.irfft(np.fft.rfft(each / each.sum()) ** B)  # of the sum of B
    level, weight = np.polynomial.legendre.leggauss(200)
    c = stats.chi2.ppf((level + 1) / 2, D - 1)
    return float(-chance @ np.log1p(np.divide.outer(total**2 / B, c)) @ weight / 4)
