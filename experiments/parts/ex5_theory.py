"""Theory of exercise 5: what the wrong noise model costs, how precise answers are, how far repaired steps hop."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, optimize, stats
from scipy.special import erfcx, ndtr

from noiseworks_experiments.parts.hopping import Hopping

DENSITIES = {"gaussian": stats.norm, "laplace": stats.laplace, "student_t": stats.t(4)}
LOSSES = {  # -log p(y) at scale 1
    "gaussian": lambda y: y**2 / 2 + np.log(2 * np.pi) / 2,
    "laplace": lambda y: y + np.log(2),
    "student_t": lambda y: -stats.t(4).logpdf(y),
}
D, B = 5, 10  # features and minibatch of the runs of 5.3
TRUE = np.array([1, -1 / 2, 1 / 3, -1 / 4, 1 / 5])
TRUE = TRUE / np.linalg.norm(TRUE)
Array = NDArray[np.float64]


def cross_entropy(truth: str, assumed: str) -> float:
    """min over the scale of -E log p(y) for y of scale 1, by Gauss and Legendre's rule in t, y = sinh t."""
    t, weight = np.polynomial.legendre.leggauss(400)
    t = 7 * (t + 1)
    y, mass = np.sinh(t), 14 * weight * np.cosh(t) * DENSITIES[truth].pdf(np.sinh(t))

    def expected(log_scale: float) -> float:
        return float(mass @ (log_scale + LOSSES[assumed](y / np.exp(log_scale))))

    return float(optimize.minimize_scalar(expected, bracket=(-1, 1), tol=1e-10).fun)


def absolute_error(noise: str, n: int) -> float:
    """n E[slope^2] of one normal feature. The slope is above t where S(t) = sum |x| sign(e / x - t) is above 0, which
    is close to normal with mean -n m(t), m(t) = E |x| (2 F(|x| t) - 1), and variance n (1 - m^2)."""

    def tail(t: float) -> float:
        m = t * erfcx(t / np.sqrt(2)) if noise == "laplace" else np.sqrt(2 / np.pi) * t / np.sqrt(1 + t**2)
        return float(4 * t * ndtr(-np.sqrt(n) * m / np.sqrt(1 - m**2)))

    return n * integrate.quad(tail, 0, 12 / np.sqrt(n), limit=200)[0]


def efficiency(noise: str, n: int) -> float:
    """E[slope^2] of least squares, sigma^2 / (n - 2) exactly, over that of the absolute loss."""
    return float(DENSITIES[noise].var() * n / (n - 2) / absolute_error(noise, n))


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
