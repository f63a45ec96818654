"""What the solvers know of rows that are too many to be held: a triangle, a sample, and passes over chunks."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from scipy.linalg import solve_triangular

from noiseworks.solvers.design import Design, factored
from noiseworks.solvers.linear_problem import Array, LinearProblem


class Gathered:
    """Rows (n, k) put one below the other as they come, in one array.

    In a list of many pieces each would take a bite of the memory that a block has just given back, which the next block
    then no longer fits into: measured, 2 GB of holes in a pass over 20 million rows.
    """

    def __init__(self, num_columns: int, expected: float) -> None:
        self.space = np.empty((int(1.1 * expected) + 1000, num_columns))
        self.n = 0

    def add(self, *columns: Array) -> None:
        """(n, ..) and (n,) arrays, side by side."""
        n = len(columns[0])
        if self.n + n > len(self.space):
            larger = np.empty((2 * (self.n + n), self.space.shape[1]))
            larger[: self.n] = self.rows
            self.space = larger
        start = 0
        for part in columns:
            width = part.shape[1] if part.ndim == 2 else 1
            self.space[self.n : self.n + n, start : start + width] = part.reshape(n, width)
            start += width
        self.n += n

    @property
    def rows(self) -> Array:
        return np.asarray(self.space[: self.n])


CHUNK = 8192  # rows in the cache


class Triangle:
    """R of the QR of all rows that were added, (at most k, k): R'R = rows'rows, without the digits that forming this
    product would cost."""

    def __init__(self, num_columns: int) -> None:
        self.R = torch.empty(0, num_columns, dtype=torch.float64)

    def add(self, rows: Array) -> None:
        """rows (n, k)."""
        for low in range(0, len(rows), CHUNK):
            block = torch.from_numpy(rows[low : low + CHUNK])
            self.R = torch.linalg.qr(torch.cat((self.R, block)), mode="r").R

    def times(self, M: Array) -> Array:
        """R of the QR of rows @ M, for a change of units M (k, l)."""
        return np.asarray(np.linalg.qr(self.R.numpy() @ M, mode="r"))


Pass = Callable[[str], Iterator[LinearProblem]]  # all rows, a block at a time; the text says what for


@dataclass(frozen=True)
class Sketch:
    """All rows in a few numbers, and a few of all rows.

    small (k, P + 2): R of the QR of diag(root) [D, 1, target], the weights of mean one over all n rows.
    sample: rows drawn at random. memory: bytes, about, that may be held.
    """

    small: Array
    n: int
    sample: LinearProblem
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
class OrthogonalColumns:
    """A = D @ back (n, r): orthogonal columns of root mean square one over all rows."""

    design: Design
    back: Array

    @classmethod
    def of(cls, design: Design) -> OrthogonalColumns:
        back = np.zeros((design.D.shape[1], design.rank))
        if design.rank:
            back[design.pivots] = solve_triangular(design.R, np.eye(design.rank)) / design.scale[design.pivots, None]
        return cls(design, back)

    def __call__(self, D: Array) -> Array:
        return np.asarray(D @ self.back)

    def coordinates(self, fitted: Array, n: int) -> Array:
        """z (r,) of the least-squares fit to a column of the triangle."""
        return np.asarray(self(self.design.D).T @ fitted / n)
