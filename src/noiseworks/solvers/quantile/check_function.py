"""Quantile regression of any data: interior point, then vertex, around a centre that is moved until both agree."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from noiseworks.solvers.linear_problem import Array
from noiseworks.solvers.quantile.crossover import GAP, Lines, Vertex, improve, independent
from noiseworks.solvers.quantile.interior_point import StackedDesign, frisch_newton

ROUNDS = 6
FAR = 1e4  # times the median residual; beyond it only the sign of a residual matters
ROUNDING = 64 * float(np.finfo(float).eps)


def fit_lines(A: Array, y: Array, w: Array, tau: float) -> Vertex:
    """argmin_z sum_i w_i rho_tau(y_i - A_i z), at a vertex; of columns A (n, r) far from dependent.

    Residuals far out are brought nearer before the interior point method sees them: as long as they keep their signs
    the answer is the same, and one outlier no longer sets the units of all. The certificate is of the data as they
    are. It fails if a sign was lost, or digits were: then once more, around the answer found.
    """
    z = np.asarray(np.linalg.solve((A * w[:, None]).T @ A, A.T @ (w * y)), dtype=float)
    for k in range(ROUNDS):
        precision = max(1e-9 * 0.01**k, 1e-13)
        interior = frisch_newton(StackedDesign.of(A, 1), near(y - A @ z)[0][None], w[None], tau, precision)
        found = crossover(A, y, w, tau, z, interior.x[0], interior.spread[0])
        if found.gap <= GAP:
            break
        z = found.z
    return found


def crossover(A: Array, y: Array, w: Array, tau: float, z: Array, x: Array, spread: Array) -> Vertex:
    """The vertex next to an interior point with centre z, dual x and spread (n,); weights above zero.

    Twice, the second time around the first answer: far from it the residuals have fewer digits.
    """
    first = improve(around(A, y, w, tau, z), independent(A, spread), x)
    found = improve(around(A, y, w, tau, z + first.z), first.basis, x)
    return replace(found, z=z + first.z + found.z)


def around(A: Array, y: Array, w: Array, tau: float, z: Array) -> Lines:
    """The same problem in z' = z + centre, with the rounding errors of y - A z and of z, as large as z's largest."""
    largest = np.full(len(z), np.abs(z).max())
    return Lines(A, y - A @ z, w, tau, ROUNDING * (np.abs(y) + np.abs(A) @ largest))


def near(left: Array) -> tuple[Array, float]:
    """Residuals in units of their median size, those beyond FAR brought back to it; and the unit."""
    size = np.abs(left)
    unit = float(np.median(size[size > 0])) if size.any() else 1.0
    return np.clip(left / unit, -FAR, FAR), unit
