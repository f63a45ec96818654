"""The density of the errors at zero, on which the precision of a quantile regression depends."""

from __future__ import annotations

import numpy as np
import torch
from scipy.stats import norm

from noiseworks.inference.whitened import inverse_root
from noiseworks.noise import AsymmetricLaplace
from noiseworks.solvers.linear_problem import Array
from noiseworks.solvers.solve import solve

LEVEL = 0.05  # Hall and Sheather's bandwidth is best for intervals of this level
STEPS = 4  # of the densities: from the width of a fit 100 times too uncertain to one within a third


def bandwidth(n: int, tau: float = 0.5) -> float:
    """Hall and Sheather's ("On the distribution of a studentized quantile", 1988), a probability: n^(-1/3) z^(2/3)
    (1.5 phi(x)^2 / (2 x^2 + 1))^(1/3), x = Phi^-1(tau), z that of the interval."""
    x = norm.ppf(tau)
    best = (1.5 * norm.pdf(x) ** 2 / (2 * x**2 + 1)) ** (1 / 3)
    return float(n ** (-1 / 3) * norm.ppf(1 - LEVEL / 2) ** (2 / 3) * best)


def at_the_edge(n: int, num_coefficients: int, tau: float) -> bool:
    """Fewer rows lie beyond the quantile than it has coefficients: they cannot show the density there, nor is an
    estimate so far out normal (Chernozhukov & Fernandez-Val, "Inference for extremal conditional quantile models",
    2011). Standard errors are nan."""
    return n * min(tau, 1 - tau) < num_coefficients


def sparsity(residual: Array, num_coefficients: int, tau: float = 0.5) -> float:
    """1 / f(0): the slope of the quantiles of the residuals around zero.

    As R's quantreg, summary.rq(se = "iid") (Koenker, "Quantile Regression", 2005, 3.4.1): of the residuals that are not
    zero the h nearest to it, sorted, are fitted by a line in i / (n - p), by least absolute deviations.
    """
    n, p = len(residual), num_coefficients
    if at_the_edge(n, p, tau):
        return np.nan
    zeros = int((np.abs(residual) < np.sqrt(np.finfo(float).eps) * np.abs(residual).mean()).sum())
    h = max(p + 1, int(np.ceil(n * bandwidth(n, tau))))
    at = np.arange(zeros, min(h + zeros + 1, n))
    if len(at) < 2:
        return np.nan
    near = np.sort(residual[np.argsort(np.abs(residual), kind="stable")[at]])
    return float(_quantile(np.column_stack((np.ones(len(at)), (at + 1) / (n - p))), near, 0.5)[1])


def row_density(A: Array, residual: Array, tau: float = 0.5) -> Array:
    """f_i(0) (n,) of each row: phi(u_i / h_i) / h_i, a kernel as wide as two such fits differ in that row, h_i^2 = 2
    a_i'V a_i, with V = H^-1 (tau (1 - tau) A'A) H^-1, H = sum_i f_i a_i a_i', the covariance that it leads to.

    H is then the derivative of the mean score, averaged over fits that are off by N(0, 2 V): induced smoothing (Brown &
    Wang, "Standard errors and covariance matrices for smoothed rank estimators", 2005; for quantiles Pang, Lu & Wang,
    "Variance estimation in censored quantile regression via induced smoothing", 2012, with N(0, V), which measured a
    little short for rows far out). V starts at that of Laplace errors and is improved STEPS times.
    """
    if at_the_edge(len(A), A.shape[1], tau):
        return np.full(len(A), np.nan)
    unit, root = float(np.abs(residual).mean()), np.asarray(np.linalg.qr(A, mode="r"))
    scores = np.sqrt(tau * (1 - tau)) * root.T
    V_root, density = unit * inverse_root(root.T @ root), None
    for _ in range(STEPS):
        density = smoothed(density, residual, np.sqrt(2) * np.linalg.norm(A @ V_root, axis=1), unit)
        half = inverse_root((density[:, None] * A).T @ A)
        V_root = half @ (half.T @ scores)
    assert density is not None
    return density


def smoothed(before: Array | None, residual: Array, width: Array, unit: float) -> Array:
    """The kernel at residuals of mean size `unit`, in the mean with the density before, so that the steps cannot swing.

    A row that is fitted exactly says nothing about its density: without it the fit would miss it, by about `width`.
    """
    tiny = np.sqrt(np.finfo(float).eps) * unit
    width = np.maximum(width, tiny)
    away = np.where(np.abs(residual) > tiny, residual / width, 1.0)
    density = np.asarray(np.exp(-(away**2) / 2) / (np.sqrt(2 * np.pi) * width))
    return density if before is None else (before + density) / 2


def _quantile(A: Array, y: Array, tau: float) -> Array:
    """argmin_z sum_i rho_tau(y_i - a_i'z)."""
    noise = AsymmetricLaplace(tau=tau, scale=1.0)  # it is not asked for, and may be zero
    return solve(noise, torch.from_numpy(A), torch.from_numpy(np.ascontiguousarray(y))).theta.numpy()
