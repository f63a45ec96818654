"""The columns in which covariances are small and well conditioned, and the way back to theta."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import qr

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


def gram(A: Array, c: Array) -> Array:
    """A_k' diag(c_k) A_k (K, r, r), A (K, n, r), c (K, n)."""
    return np.asarray(np.swapaxes(A, 1, 2) @ (c[..., None] * A))


def upper(H: Array) -> Array:
    """U (K, r, r), an upper triangle with U'U = H; nan where H is not positive definite."""
    root, failed = torch.linalg.cholesky_ex(torch.from_numpy(H), upper=True)
    bad = (failed.numpy() > 0) | ~np.isfinite(H).all(axis=(1, 2))
    return np.where(bad[:, None, None], np.nan, root.numpy())


def inverse_root(H: Array) -> Array:
    """L (K, r, r) with L L' = H^-1; nan where H is not positive definite."""
    eye = torch.eye(H.shape[-1], dtype=torch.float64)
    return np.asarray(torch.linalg.solve_triangular(torch.from_numpy(upper(H)), eye, upper=True).numpy())


def triangle(rows: Array) -> Array:
    """R (K, ., r) of the QR of rows (K, n, r): R'R = rows'rows, without the digits that forming this would cost."""
    return torch.linalg.qr(torch.from_numpy(rows), mode="r").R.numpy()


def sandwich_root(H: Array, scores: Array) -> Array:
    """L (K, r, .) with L L' = H^-1 S'S H^-1 for the `triangle` S of the scores; nan where H has no root."""
    half = inverse_root(H)
    return np.asarray(half @ (np.swapaxes(half, 1, 2) @ np.swapaxes(scores, 1, 2)))


def _inverse(R: Array, real: Any) -> NDArray[Any]:
    """R^-1 of a triangle, by rows from the last one up."""
    V = np.zeros(R.shape, dtype=real)
    eye = np.eye(len(R), dtype=real)
    for i in reversed(range(len(R))):
        V[i] = (eye[i] - R[i, i + 1 :] @ V[i + 1 :]) / real(R[i, i])
    return V
