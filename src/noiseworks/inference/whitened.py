"""The columns in which covariances are small and well conditioned, and the way back to theta."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cholesky, qr, solve_triangular

from noiseworks.solvers.design import Design
from noiseworks.solvers.linear_problem import Array

EXTENDED = 10_000_000  # n r^2 up to which the columns are formed in extended precision: a tenth of a second
ESTIMABLE = 1e-8  # how far, relative to its size, a combination of coefficients may lie outside of the row space


@dataclass(frozen=True)
class Whitened:
    """A = Z V (n, r), V = R^-1 (r, r), so that A'WA = n I up to eps cond(Z).

    That last error is not neglected: with H = A'CA of the A at hand, V H^-1 V' is (Z'CZ)^-1 again. So its digits are
    those of A, which for small designs is formed with residuals in 80 bits, as the coefficients are.
    """

    design: Design
    A: Array
    V: NDArray[Any]

    @classmethod
    def of(cls, design: Design) -> Whitened:
        Z = design.Z
        small = Z.size * max(design.rank, 1) <= EXTENDED
        V = _inverse(design.R, np.longdouble if small else np.float64)
        return cls(design, np.asarray(Z.astype(V.dtype, copy=False) @ V, dtype=np.float64), V)

    def gram(self, c: Array) -> Array:
        """A' diag(c) A (r, r)."""
        return np.asarray(self.A.T @ (c[:, None] * self.A))

    def leverage(self, c: Array, H: Array) -> Array:
        """c_i a_i' H^-1 a_i (n,)."""
        if not self.design.rank:
            return np.zeros(len(self.A))
        half = solve_triangular(cholesky(H), self.A.T, trans="T")
        return np.asarray(c * (half**2).sum(0))

    def theta(self, L: Array) -> Array:
        """L (r, k) with L L' the covariance in these columns -> F (P, k) with F F' that of theta.

        Of one of the theta with the same fit: those combinations that can be estimated at all have the same variance
        for each of them.
        """
        factor = np.zeros((self.design.D.shape[1], L.shape[1]))
        pivots = self.design.pivots
        factor[pivots] = np.asarray(self.V @ L, dtype=np.float64) / self.design.scale[pivots, None]
        return factor

    def row_space(self) -> Array | None:
        """An orthonormal basis (P, r) of the rows of D / scale; None at full rank."""
        design = self.design
        if design.rows is None:
            return None
        return np.asarray(qr((design.rows / design.scale).T, mode="economic")[0]) if design.rank else np.empty((0, 0))


def inverse_root(H: Array) -> Array:
    """L (r, r) with L L' = H^-1; nan where H is not positive definite."""
    try:
        return np.asarray(solve_triangular(cholesky(H), np.eye(len(H)))) if len(H) else H
    except (LinAlgError, ValueError):  # ValueError: it is not finite
        return np.full_like(H, np.nan)


def sandwich_root(H: Array, rows: Array) -> Array:
    """L (r, r) with L L' = H^-1 rows'rows H^-1, the scores in `rows` (n, r); nan where H is not positive definite."""
    if not len(H) or not np.isfinite(rows).all():
        return np.full_like(H, np.nan)
    half, triangle = inverse_root(H), np.asarray(np.linalg.qr(rows, mode="r"))
    return np.asarray(half @ (half.T @ triangle.T))


def _inverse(R: Array, real: Any) -> NDArray[Any]:
    """R^-1 of a triangle, by rows from the last one up."""
    V = np.zeros(R.shape, dtype=real)
    eye = np.eye(len(R), dtype=real)
    for i in reversed(range(len(R))):
        V[i] = (eye[i] - R[i, i + 1 :] @ V[i + 1 :]) / real(R[i, i])
    return V
