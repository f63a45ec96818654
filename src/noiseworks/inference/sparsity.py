"""The density of the errors at zero, on which the precision of least absolute deviations depends."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import norm

from noiseworks.exact.problem import Array
from noiseworks.exact.solve import solve
from noiseworks.noise import Laplace

LEVEL = 0.05  # Hall and Sheather's bandwidth is best for intervals of this level


def bandwidth(n: int) -> float:
    """Hall and Sheather's ("On the distribution of a studentized quantile", 1988) for the median, a probability:
    n^(-1/3) z^(2/3) (1.5 phi(0)^2)^(1/3)."""
    return float(n ** (-1 / 3) * norm.ppf(1 - LEVEL / 2) ** (2 / 3) * (1.5 * norm.pdf(0) ** 2) ** (1 / 3))


def sparsity(residual: Array, num_coefficients: int) -> float:
    """1 / f(0): the slope of the quantiles of the residuals around zero.

    As R's quantreg, summary.rq(se = "iid") (Koenker, "Quantile Regression", 2005, 3.4.1): of the residuals that are not
    zero the h nearest to it, sorted, are fitted by a line in i / (n - p), by least absolute deviations.
    """
    n, p = len(residual), num_coefficients
    zeros = int((np.abs(residual) < np.sqrt(np.finfo(float).eps) * np.abs(residual).mean()).sum())
    h = max(p + 1, int(np.ceil(n * bandwidth(n))))
    at = np.arange(zeros, min(h + zeros + 1, n))
    if len(at) < 2:
        return np.nan
    near = np.sort(residual[np.argsort(np.abs(residual), kind="stable")[at]])
    return float(least_absolute(np.column_stack((np.ones(len(at)), (at + 1) / (n - p))), near)[1])


def row_density(A: Array, residual: Array) -> Array:
    """f_i(0) (n,) of each row: 2 b / (a_i' z(1/2 + b) - a_i' z(1/2 - b)), z(tau) the quantile regression of the
    residuals on A (n, r) (Hendricks & Koenker, "Hierarchical spline models for conditional quantiles", 1992; quantreg's
    "nid").

    0 where the two planes cross. In small samples a kernel (Powell's, quantreg's "ker") would be twice too careful.
    """
    b = bandwidth(len(residual))
    while b >= 0.5:
        b /= 2
    apart = A @ (_quantile(A, residual, 0.5 + b) - _quantile(A, residual, 0.5 - b))
    tiny = np.sqrt(np.finfo(float).eps) * np.abs(residual).mean()
    return np.asarray(np.where(apart > tiny, 2 * b / np.maximum(apart, tiny), 0.0))


def _quantile(A: Array, y: Array, tau: float) -> Array:
    """argmin_z sum_i rho_tau(y_i - a_i'z), rho_tau(u) = |u| / 2 + (tau - 1/2) u.

    The linear part is that of one more row, M - c'z with c = (2 tau - 1) sum a_i, if M is so large that it is positive.
    """
    c = (2 * tau - 1) * A.sum(0)
    M = 2 * abs(2 * tau - 1) * len(y) * np.abs(y).max()
    return least_absolute(np.vstack((A, c)), np.append(y, M))


def least_absolute(D: Array, y: Array) -> Array:
    return solve(Laplace(), torch.from_numpy(D), torch.from_numpy(np.ascontiguousarray(y))).theta.numpy()
