"""Designs of many rows, never copied as a whole."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from noiseworks.exact.design import Design
from noiseworks.exact.problem import Array

CHUNK = 8192  # rows in the cache


@dataclass(frozen=True)
class Tall:
    """min_z sum_i w_i rho_tau(y_i - A_i z), A = D[:, pivots] @ back (n, r) of orthogonal columns of size one."""

    D: Array
    pivots: Array
    back: Array
    y: Array
    w: Array
    tau: float

    @classmethod
    def of(cls, design: Design, y: Array, w: Array, tau: float) -> Tall:
        back = solve_triangular(design.R, np.eye(design.rank)) / design.scale[design.pivots][:, None]
        return cls(design.D, design.pivots, back, y, w, tau)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.D), len(self.pivots)

    def rows(self, which: NDArray[np.intp] | slice) -> Array:
        """A[which]."""
        block = self.D[which]
        return (block if len(self.pivots) == block.shape[1] else block[:, self.pivots]) @ self.back

    def residual(self, z: Array) -> Array:
        b = np.zeros(self.D.shape[1])
        b[self.pivots] = self.back @ z
        return self.y - self.D @ b

    def leverage(self) -> Array:
        """|A_i| (n,), of a mean square of r."""
        squares = np.empty(len(self.D))
        for low in range(0, len(self.D), CHUNK):
            block = self.rows(slice(low, low + CHUNK))
            squares[low : low + CHUNK] = np.einsum("ij,ij->i", block, block)
        return np.sqrt(squares)
