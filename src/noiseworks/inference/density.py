"""The density of the errors at zero, on which the precision of a quantile regression depends."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.stats import norm

from noiseworks.inference.whitened import gram, inverse_root, sandwich_root, upper
from noiseworks.solvers.linear_problem import Array
from noiseworks.solvers.quantile.batched_quantile import batched_least_absolute

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


def sparsity(residual: Array, num_coefficients: int, tau: float = 0.5) -> Array:
    """1 / f(0) (K,): the slope of the quantiles of the residuals (K, n) around zero.

    As R's quantreg, summary.rq(se = "iid") (Koenker, "Quantile Regression", 2005, 3.4.1): of the residuals that are not
    zero the h nearest to it, sorted, are fitted by a line in i / (n - p), by least absolute deviations. Those with as
    many zeros are fitted together.
    """
    (K, n), p = residual.shape, num_coefficients
    found = np.full(K, np.nan)
    if at_the_edge(n, p, tau):
        return found
    size = np.abs(residual)
    zeros = (size < np.sqrt(np.finfo(float).eps) * size.mean(axis=1, keepdims=True)).sum(axis=1)
    order, h = np.argsort(size, axis=1, kind="stable"), max(p + 1, int(np.ceil(n * bandwidth(n, tau))))
    for count in np.unique(zeros):
        at, own = np.arange(count, min(h + count + 1, n)), np.flatnonzero(zeros == count)
        if len(at) > 1:
            near = np.sort(np.take_along_axis(residual[own], order[own][:, at], axis=1), axis=1)
            line = np.column_stack((np.ones(len(at)), (at + 1) / (n - p)))
            found[own] = batched_least_absolute(line, near).theta[:, 1]
    return found


def row_density(A: Array, residual: Array, tau: float = 0.5) -> Array:
    """f_i(0) (K, n) of each row, a density of `smoothed` as wide as `widths` says; A (K, n, r), residual (K, n)."""
    if at_the_edge(A.shape[1], A.shape[2], tau):
        return np.full_like(residual, np.nan)
    unit, density = np.abs(residual).mean(axis=1, keepdims=True), None

    def bread(root: Array) -> Array:
        nonlocal density
        density = smoothed(density, residual, widths(A, root), unit)
        return gram(A, density)

    last = smoothing_root(unit, gram(A, np.ones_like(residual)), tau, bread)
    return smoothed(density, residual, widths(A, last), unit)


def smoothing_root(unit: Array, J: Array, tau: float, bread: Callable[[Array], Array]) -> Array:
    """F (K, r, r) with F F' = V after STEPS steps of V = H^-1 (tau (1 - tau) J) H^-1, J = A'A, H = sum_i f_i a_i a_i':
    the covariance that the densities f_i lead to, which themselves are as wide as V says. bread: F -> H.

    H is then the derivative of the mean score, averaged over fits that are off by N(0, 2 V): induced smoothing (Brown &
    Wang, "Standard errors and covariance matrices for smoothed rank estimators", 2005; for quantiles Pang, Lu & Wang,
    "Variance estimation in censored quantile regression via induced smoothing", 2012, with N(0, V), which measured a
    little short for rows far out). V starts at that of Laplace errors of mean size `unit` (K, 1).
    """
    root, scores = unit[..., None] * inverse_root(J), np.sqrt(tau * (1 - tau)) * upper(J)
    for _ in range(STEPS - 1):
        root = sandwich_root(bread(root), scores)
    return root


def widths(A: Array, root: Array) -> Array:
    """h_i (K, n), h_i^2 = 2 a_i'V a_i: as far as two fits of covariance V differ in that row."""
    return np.sqrt(2) * np.linalg.norm(A @ root, axis=2)


def smoothed(before: Array | None, residual: Array, width: Array, unit: Array) -> Array:
    """phi(u_i / h_i) / h_i at residuals of mean size `unit` (K, 1), in the mean with the density before, so that the
    steps cannot swing.

    A row that is fitted exactly says nothing about its density: without it the fit would miss it, by about `width`.
    """
    tiny = np.sqrt(np.finfo(float).eps) * unit
    width = np.maximum(width, tiny)
    away = np.where(np.abs(residual) > tiny, residual / width, 1.0)
    density = np.asarray(np.exp(-(away**2) / 2) / (np.sqrt(2 * np.pi) * width))
    return density if before is None else (before + density) / 2
