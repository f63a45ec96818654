"""The columns in which Newton's method works, by blocks of rows: a large design is not copied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from noiseworks.exact.design import Design
from noiseworks.exact.gram import SAFE
from noiseworks.exact.problem import Array
from noiseworks.exact.spans import blocks, weighted_gram

WHOLE = 1 << 20  # numbers: so small a design is copied


@dataclass(frozen=True)
class Blocks:
    """A (n, r): `D` itself, or D @ back, back (P, r).

    lazy: products with A are taken as products with D and then with back. That costs eps cond(back)^2, and is for
    columns as independent as the Gram matrix asks for.
    """

    D: Array
    back: Array | None = None
    lazy: bool = False

    @classmethod
    def of(cls, design: Design) -> Blocks:
        """Z R^-1, see Design.orthogonal."""
        if design.D.size <= WHOLE or design.rank == 0:
            return cls(design.orthogonal())
        back = np.zeros((design.D.shape[1], design.rank))
        back[design.pivots] = solve_triangular(design.R, np.eye(design.rank)) / design.scale[design.pivots, None]
        return cls(design.D, back, lazy=bool(np.linalg.cond(design.R) ** -2 > SAFE))

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.D), (self.D if self.back is None else self.back).shape[1]

    def rows(self, which: NDArray[np.intp] | NDArray[np.bool_] | slice) -> Array:
        """A[which]."""
        return self.D[which] if self.back is None else self.D[which] @ self.back

    def within(self, span: slice | None = None) -> Iterator[tuple[slice, Blocks]]:
        """The rows of the span, all of them if there is none given, in the order in which they come."""
        for rows in blocks(span or slice(0, len(self.D)), self.D.shape[1]):
            yield rows, Blocks(self.D[rows], self.back, True) if self.lazy else Blocks(self.rows(rows))

    def times(self, z: Array) -> Array:
        """A z (n,)."""
        return np.asarray(self.D @ (z if self.back is None else self.back @ z))

    def turned(self, x: Array) -> Array:
        """A' x (r,)."""
        return np.asarray(x @ self.D if self.back is None else x @ self.D @ self.back)

    def gram(self, c: Array) -> Array:
        """A' diag(c) A (r, r)."""
        total = weighted_gram(self.D, c)
        return total if self.back is None else self.back.T @ total @ self.back
