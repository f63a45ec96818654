"""The least absolute residuals another way: what the answers of `noiseworks.solvers` are compared with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

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
