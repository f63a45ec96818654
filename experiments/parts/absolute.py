"""The least absolute residuals another way than by `noiseworks.solvers`, and how precise they are."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

Array = NDArray[np.float64]


def weighted_median(values: Array, weights: Array) -> Array:
    """argmin_b sum_i weights_i |values_i - b| over the last axis: with values e / x and weights |x| the slope b that is
    best for sum |e - x b|."""
    order = np.argsort(values, axis=-1)
    below = np.cumsum(np.take_along_axis(weights, order, -1), axis=-1)
    middle = (below < below[..., -1:] / 2).sum(axis=-1, keepdims=True)
    return np.take_along_axis(values, np.take_along_axis(order, middle, -1), -1)[..., 0]


def multiplier(X: Array, y: Array, theta: Array) -> float:
    """The largest |z_i| over the p rows that are met, sum_met z_i x_i + sum_others sign(r_i) x_i = 0: at most 1 where
    theta is a minimum."""
    r = y - X @ theta
    met = np.argsort(np.abs(r))[: len(theta)]
    sign = np.sign(r)
    sign[met] = 0
    return float(np.abs(np.linalg.solve(X[met].T, -X.T @ sign)).max())


def linear_program(X: Array, y: Array) -> float:
    """min sum t subject to -t <= y - X w <= t, by HiGHS."""
    n, p = X.shape
    above = np.block([[-X, -np.eye(n)], [X, -np.eye(n)]])
    cost, free = np.r_[np.zeros(p), np.ones(n)], [(None, None)] * p + [(0, None)] * n
    return float(optimize.linprog(cost, above, np.r_[-y, y], bounds=free).fun)


def elemental_fits(X: Array, y: Array) -> Array:
    """The planes through every p of the n rows, (n choose p) of them: (many, p). One is a least-absolute fit."""
    rows = np.array(list(combinations(range(len(y)), X.shape[1])))
    return np.asarray(np.linalg.solve(X[rows], y[rows][..., None])[..., 0])


def most_likely(X: Array, y: Array) -> tuple[Array, float]:
    """theta and the scale s at which SciPy's Laplace density of the rows is largest: over log s by Brent's method, for
    each s over all elemental fits."""
    fits = elemental_fits(X, y)
    r = y - fits @ X.T

    def loss(log_s: float) -> Array:
        return np.asarray(-stats.laplace.logpdf(r, scale=np.exp(log_s)).sum(axis=1))

    log_s = optimize.minimize_scalar(lambda at: loss(at).min(), bracket=(-1, 1), tol=1e-10).x
    return fits[loss(log_s).argmin()], float(np.exp(log_s))


def slope_variance(below: Callable[[Array], Array], n: int, nodes: int = 120) -> float:
    """E[slope^2], exactly, of n labels on one standard normal feature; `below`: their distribution function, symmetric.

    The slope is above t where S = sum |x_i| sign(e_i - t |x_i|) is above 0, e_i by symmetry in place of its sign times
    that of x_i. With phi(k) = E exp(i k S_1), P(S > 0) = 1/2 + 1/pi int_0^inf Im phi(k)^n / k dk (Gil-Pelaez, 1951).
    """
    at, weight = np.polynomial.legendre.leggauss(nodes)
    at, weight = (at + 1) / 2, weight / 2
    x, k, t = 9 * at, 9 / np.sqrt(n) * at, (12 + 80 / n) / np.sqrt(n) * at  # beyond, there is nothing left
    mass = 9 * weight * 2 * stats.norm.pdf(x)
    up = np.cos(np.outer(k, x)) @ mass - 1j * ((2 * below(np.outer(t, x)) - 1) * mass) @ np.sin(np.outer(x, k))
    above = 0.5 + (up**n).imag / k @ (k[-1] / at[-1] * weight) / np.pi
    return float(4 * (t[-1] / at[-1] * weight) @ (t * above))
