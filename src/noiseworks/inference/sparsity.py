"""The density of the errors at zero, on which the precision of a quantile regression depends."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import norm

from noiseworks.exact.problem import Array
from noiseworks.exact.solve import solve
from noiseworks.noise import AsymmetricLaplace

LEVEL = 0.05  # Hall and Sheather's bandwidth is best for intervals of this level


def bandwidth(n: int, tau: float = 0.5) -> float:
    """Hall and Sheather's ("On the distribution of a studentized quantile", 1988), a probability: n^(-1/3) z^(2/3)
    (1.5 phi(x)^2 / (2 x^2 + 1))^(1/3), x = Phi^-1(tau), z that of the interval."""
    x = norm.ppf(tau)
    best = (1.5 * norm.pdf(x) ** 2 / (2 * x**2 + 1)) ** (1 / 3)
    return float(n ** (-1 / 3) * norm.ppf(1 - LEVEL / 2) ** (2 / 3) * best)


def sparsity(residual: Array, num_coefficients: int, tau: float = 0.5) -> float:
    """1 / f(0): the slope of the quantiles of the residuals around zero.

    As R's quantreg, summary.rq(se = "iid") (Koenker, "Quantile Regression", 2005, 3.4.1): of the residuals that are not
    zero the h nearest to it, sorted, are fitted by a line in i / (n - p), by least absolute deviations.
    """
    n, p = len(residual), num_coefficients
    zeros = int((np.abs(residual) < np.sqrt(np.finfo(float).eps) * np.abs(residual).mean()).sum())
    h = max(p + 1, int(np.ceil(n * bandwidth(n, tau))))
    at = np.arange(zeros, min(h + zeros + 1, n))
    if len(at) < 2:
        return np.nan
    near = np.sort(residual[np.argsort(np.abs(residual), kind="stable")[at]])
    return float(_quantile(np.column_stack((np.ones(len(at)), (at + 1) / (n - p))), near, 0.5)[1])


def row_density(A: Array, residual: Array, tau: float = 0.5) -> Array:
    """f_i(0) (n,) of each row: 2 b / (a_i' z(tau + b) - a_i' z(tau - b)), z(tau) the quantile regression of the
    residuals on A (n, r) (Hendricks & Koenker, "Hierarchical spline models for conditional quantiles", 1992; quantreg's
    "nid").

    0 where the two planes cross. In small samples a kernel (Powell's, quantreg's "ker") would be twice too careful.
    """
    b = bandwidth(len(residual), tau)
    while b >= min(tau, 1 - tau):
        b /= 2
    apart = A @ (_quantile(A, residual, tau + b) - _quantile(A, residual, tau - b))
    tiny = np.sqrt(np.finfo(float).eps) * np.abs(residual).mean()
    return np.asarray(np.where(apart > tiny, 2 * b / np.maximum(apart, tiny), 0.0))


def _quantile(A: Array, y: Array, tau: float) -> Array:
    """argmin_z sum_i rho_tau(y_i - a_i'z)."""
    noise = AsymmetricLaplace(tau=tau, scale=1.0)  # it is not asked for, and may be zero
    return solve(noise, torch.from_numpy(A), torch.from_numpy(np.ascontiguousarray(y))).theta.numpy()
