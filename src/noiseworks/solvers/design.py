"""The design brought to full rank and to one scale, by QR or from its Gram matrix, and the way back to theta of minimum
norm; sums over its rows, by spans that are worked on side by side."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import cholesky, qr, solve_triangular

from noiseworks.solvers.linear_problem import Array

LONG = 1 << 15  # rows in a span, at least
SPANS = 8  # however many threads there are, so that the last digits do not depend on them
CACHED = 1 << 18  # numbers in a block of rows: it stays in the cache while it is used several times
NARROW = 40_000  # numbers in a product of matrices: few enough to stay in the nearest cache, and with one thread

Parts = tuple[float | Array, ...]


def summed(n: int, part: Callable[[slice], Parts]) -> Parts:
    """The sums of what `part` returns for each span of rows. In threads: numpy and torch let go of Python's lock, and
    blocks of rows are too short for them to start threads of their own."""
    size = max(-(-n // SPANS), LONG)
    spans = [slice(low, min(low + size, n)) for low in range(0, n, size)]
    threads = min(torch.get_num_threads(), len(spans))
    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            parts = list(pool.map(part, spans))
    else:
        parts = [part(span) for span in spans]
    return functools.reduce(lambda left, right: tuple(a + b for a, b in zip(left, right)), parts)


def blocks(span: slice, columns: int, numbers: int = CACHED, longest: int = 16384) -> Iterator[slice]:
    """The span in blocks of about as many numbers each."""
    size = min(max(numbers // max(columns, 1), 256), longest)
    for low in range(span.start, span.stop, size):
        yield slice(low, min(low + size, span.stop))


def weighted_gram(D: Array, weights: Array) -> Array:
    """D' diag(weights) D (P, P); weights (n,) of any sign."""
    total = np.zeros((D.shape[1], D.shape[1]))
    for rows in blocks(slice(0, len(D)), D.shape[1], NARROW):
        total += D[rows].T @ (weights[rows, None] * D[rows])
    return total


BLOCK = 1 << 22  # numbers in one block of rows: few enough for memory, enough to keep all threads busy


@dataclass(frozen=True)
class Design:
    """r independent columns of D, scaled: Z = D[:, pivots] / scale[pivots] (n, r), diag(root) Z = Q R, Q'Q = n I.

    `root` is the square root of the weights. The scales are powers of two, so that Z is D without any rounding.
    `target` (r,) is Q' diag(root) y / n; `rows` (r, P) has the row space of D (None at full rank).
    With a penalty (P,) the rows sqrt(n) diag(penalty), of target zero, stand below diag(root) D in all of this.
    """

    D: Array
    scale: Array
    pivots: Array
    R: Array
    target: Array
    rows: Array | None

    @property
    def rank(self) -> int:
        return len(self.pivots)

    @property
    def Z(self) -> Array:
        if self.rank == self.D.shape[1] and (np.diff(self.pivots) == 1).all() and (self.scale == 1).all():
            return self.D
        return self.D[:, self.pivots] / self.scale[self.pivots]

    def orthogonal(self) -> Array:
        """Z R^-1 (n, r): the columns in which Newton's method and the linear program work; theta(z) undoes it."""
        return np.ascontiguousarray(solve_triangular(self.R, self.Z.T, trans="T").T) if self.rank else self.Z

    def theta(self, z: Array) -> Array:
        """The theta of minimum norm with D theta = Z R^-1 z, and the same penalty."""
        return self.minimum_norm(solve_triangular(self.R, z) if self.rank else z)

    def minimum_norm(self, b: Array) -> Array:
        """The theta of minimum norm with D theta = Z b: the solution of rows @ theta = rows @ basic by QR of rows'.

        Two refinements, since `rows` carries whatever units the columns have.
        """
        basic = np.zeros(self.D.shape[1])
        basic[self.pivots] = b / self.scale[self.pivots]
        if self.rows is None or self.rank == 0:
            return basic
        q, r = qr(self.rows.T, mode="economic")
        theta = np.zeros_like(basic)
        for _ in range(3):
            theta += q @ solve_triangular(r, self.rows @ (basic - theta), trans="T")
        return theta


def reduce(D: Array, weights: Array, y: Array | None = None, penalty: Array | None = None) -> Design:
    """Column scaling, QR by blocks of rows, then pivoted QR of the small triangle, whose diagonal shows the rank.

    A pivot counts from 10 eps max(P, sqrt(n)) of the largest: above the rounding errors that a column computed from
    others has, far below the 1e-10 of NIST's Filip.
    """
    n, P = D.shape
    scale = _powers_of_two(D, np.zeros(P) if penalty is None else penalty)
    below = np.empty((0, P)) if penalty is None else np.sqrt(n) * np.diag(penalty / scale)
    return factored(D, scale, _triangle(D, scale, np.sqrt(weights), np.zeros(n) if y is None else y, below), n)


def factored(D: Array, scale: Array, small: Array, n: int) -> Design:
    """The design of n rows; `small` (., P + 1) is R of the QR of diag(root) [D / scale, y]."""
    P = D.shape[1]
    q, r, order = qr(small[:, :P], mode="economic", pivoting=True)
    diagonal = np.abs(np.diag(r))
    largest = diagonal.max(initial=0.0)
    rank = int((diagonal > 10 * np.finfo(float).eps * max(P, np.sqrt(n)) * largest).sum())
    ordered = np.argsort(order[:rank])  # keep the order of the columns: at full rank Z is then a view or one division
    pivots = order[:rank][ordered]
    turn, R = qr(r[:rank, :rank][:, ordered])
    rows = None
    if rank < P:
        rows = np.empty((rank, P))
        rows[:, order] = r[:rank]
        rows *= scale
    root_n = np.sqrt(n)
    target = turn.T @ (q[:, :rank].T @ small[:, P]) / root_n
    return Design(D, scale, pivots, R / root_n, target, rows)


def _powers_of_two(D: Array, penalty: Array) -> Array:
    """The power of two nearest to each column's root mean square, with its penalty; 1 for a column of zeros."""
    norm = torch.linalg.vector_norm(torch.from_numpy(D), dim=0).numpy()
    for j in np.flatnonzero(~((norm > 1e-140) & (norm < 1e140))):  # the squares left the range of float64, or all are 0
        largest = np.abs(D[:, j]).max()
        norm[j] = np.linalg.norm(D[:, j] / largest) * largest if largest > 0 else np.sqrt(len(D))
    return np.asarray(np.exp2(np.round(np.log2(np.hypot(norm / np.sqrt(len(D)), penalty)))))


def _triangle(D: Array, scale: Array, root: Array, y: Array, below: Array) -> Array:
    """R of the QR of diag(root) [D / scale, y] and [below, 0], (at most P + 1 rows), a block of rows at a time."""
    n, P = D.shape
    size = max(BLOCK // (P + 1), 4 * (P + 1))
    R = np.column_stack((below, np.zeros(len(below))))
    for low in range(0, n, size):
        rows = slice(low, low + size)
        block = np.column_stack((D[rows] / scale, y[rows])) * root[rows, None]
        R = torch.linalg.qr(torch.from_numpy(np.vstack((R, block))), mode="r").R.numpy()  # twice as fast as LAPACK's
    return R


SAFE = 1e-10  # smallest over largest eigenvalue of the Gram matrix: columns so independent leave it six digits


def gram_design(D: Array, weights: Array, y: Array, penalty: Array | None = None) -> Design | None:
    """As `reduce`; None where the Gram matrix would cost more than ten digits.

    R then has six digits at least: it brings the columns to one scale, and least squares from it needs the steps of
    `refined`, each of which gains as many.
    """
    gram, right = (np.asarray(moment) / len(D) for moment in _moments(D, weights, y))
    size = np.sqrt(np.diag(gram))
    if not (np.isfinite(gram).all() and np.isfinite(right).all() and (size > 1e-140).all()):
        return None
    if penalty is not None:
        gram, size = gram + np.diag(penalty**2), np.hypot(size, penalty)
    scale = np.exp2(np.round(np.log2(size)))
    gram = gram / scale / scale[:, None]
    eigenvalues = np.linalg.eigvalsh(gram)
    if not eigenvalues[0] > SAFE * eigenvalues[-1]:
        return None
    R = cholesky(gram)
    target = solve_triangular(R, right / scale, trans="T")
    pivots: Any = np.arange(D.shape[1])
    return Design(D, scale, pivots, R, target, None)


def _moments(D: Array, weights: Array, y: Array) -> Parts:
    """D' diag(weights) D (P, P) and D' diag(weights) y (P,)."""
    plain = bool((weights == 1).all())

    def part(span: slice) -> Parts:
        gram, right = np.zeros((D.shape[1], D.shape[1])), np.zeros(D.shape[1])
        with np.errstate(over="ignore", invalid="ignore"):
            for rows in blocks(span, D.shape[1], NARROW):
                block = D[rows]
                gram += block.T @ (block if plain else weights[rows, None] * block)  # BLAS halves the first one's work
                right += (y[rows] if plain else weights[rows] * y[rows]) @ block
        return gram, right

    return summed(len(D), part)


WHOLE = 1 << 20  # numbers: so small a design is copied


@dataclass(frozen=True)
class TransformedDesign:
    """A (n, r): `D` itself, or D @ back, back (P, r).

    lazy: products with A are taken as products with D and then with back. That costs eps cond(back)^2, and is for
    columns as independent as the Gram matrix asks for.
    """

    D: Array
    back: Array | None = None
    lazy: bool = False

    @classmethod
    def of(cls, design: Design) -> TransformedDesign:
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

    def within(self, span: slice | None = None) -> Iterator[tuple[slice, TransformedDesign]]:
        """The rows of the span, all of them if there is none given, in the order in which they come."""
        for rows in blocks(span or slice(0, len(self.D)), self.D.shape[1]):
            yield (
                rows,
                TransformedDesign(self.D[rows], self.back, True) if self.lazy else TransformedDesign(self.rows(rows)),
            )

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
