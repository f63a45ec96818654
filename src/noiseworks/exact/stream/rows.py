"""How the solvers for streams see the rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.linalg import solve_triangular

from noiseworks.exact.design import Design, factored
from noiseworks.exact.problem import Array, Problem

Pass = Callable[[str], Iterator[Problem]]  # all rows, a block at a time; the text says what for


@dataclass(frozen=True)
class Sketch:
    """All rows in a few numbers, and a few of all rows.

    small (k, P + 2): R of the QR of diag(root) [D, 1, target], the weights of mean one over all n rows.
    sample: rows drawn at random. memory: bytes, about, that may be held.
    """

    small: Array
    n: int
    sample: Problem
    memory: int

    def design(self) -> Design:
        """In which D stands for the triangle, which has the same D'WD."""
        D = np.ascontiguousarray(self.small[:, :-2])
        scale = np.sqrt((D**2).sum(axis=0) / self.n)
        scale = np.exp2(np.round(np.log2(np.where(scale > 0, scale, 1.0))))
        return factored(D, scale, np.column_stack((D / scale, self.target)), self.n)

    @property
    def ones(self) -> Array:
        return self.small[:, -2]

    @property
    def target(self) -> Array:
        return self.small[:, -1]


@dataclass(frozen=True)
class Columns:
    """A = D @ back (n, r): orthogonal columns of root mean square one over all rows."""

    design: Design
    back: Array

    @classmethod
    def of(cls, design: Design) -> Columns:
        back = np.zeros((design.D.shape[1], design.rank))
        if design.rank:
            back[design.pivots] = solve_triangular(design.R, np.eye(design.rank)) / design.scale[design.pivots, None]
        return cls(design, back)

    def __call__(self, D: Array) -> Array:
        return np.asarray(D @ self.back)

    def coordinates(self, fitted: Array, n: int) -> Array:
        """z (r,) of the least-squares fit to a column of the triangle."""
        return np.asarray(self(self.design.D).T @ fitted / n)
