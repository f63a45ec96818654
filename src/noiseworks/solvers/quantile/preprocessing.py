"""Quantile regression of many rows: most of them only matter by their sign, and the signs are guessed, then checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

from noiseworks.solvers.design import Design
from noiseworks.solvers.linear_problem import Array
from noiseworks.solvers.quantile.check_function import ROUNDING, fit_lines, near
from noiseworks.solvers.quantile.crossover import Lines, Vertex, is_unique
from noiseworks.solvers.quantile.interior_point import StackedDesign, frisch_newton
from noiseworks.solvers.stationarity import PERFECT

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


BAND = 4.0  # standard errors of the sub-sample's fit: about one row in a million is then on the wrong side
REPAIR = 0.1  # of the rows kept: if more than that were on the wrong side, twice as many are kept instead
SKETCH = 1e-4  # the duality gap at which the fit to the sub-sample stops; its own error is larger


def sample_size(n: int, r: int) -> int:
    """(r n)^(2/3), as in the paper."""
    return int((r * n) ** (2 / 3))


def kept_rows(n: int, r: int, m: int) -> int:
    """Rows within BAND standard errors of a fit to m rows: their number does not depend on the density at zero."""
    return int(min(BAND * n * np.sqrt(r / m), n))


def preprocessed(tall: Tall) -> Vertex:
    """Portnoy & Koenker, "The Gaussian hare and the Laplacian tortoise" (1997), section 5.

    A fit to a sub-sample; the rows inside a band around it are kept, those above and below are added up to one row
    each (a fit that passes them on the right side cannot tell the difference); whoever turns out to be on the wrong
    side is kept as well, and the fit is repeated. Rows on the fit itself may be on either side.
    """
    n, r = tall.shape
    h = tall.leverage()
    m = sample_size(n, r)
    z = _sketch(tall, h, m)
    left = tall.residual(z)
    if np.abs(left).max() <= PERFECT * np.abs(tall.y).max():
        return _perfect(z, left)
    keep = kept_rows(n, r, m)
    while True:
        kept = _nearest(left, h, keep)
        found, left = _repaired(tall, left, kept)
        if found is not None:
            return found
        keep = min(2 * keep, n)


def _sketch(tall: Tall, h: Array, m: int) -> Array:
    """z (r,) of a sub-sample: all rows of a leverage above n r / m (at most m), and m others, of raised weights.

    So the sub-sample has full rank, however rare the rows that one column takes to be seen.
    """
    n, r = tall.shape
    certain = tall.w * h**2 >= n * r / m
    others = np.flatnonzero(~certain)
    drawn = np.random.default_rng(0).choice(others, min(m, len(others)), replace=False)
    which = np.sort(np.concatenate((np.flatnonzero(certain), drawn)))
    w = tall.w[which] * np.where(certain[which], 1.0, len(others) / max(len(drawn), 1))
    A, y = tall.rows(which), tall.y[which]
    z = np.linalg.solve((A * w[:, None]).T @ A, A.T @ (w * y))
    left, unit = near(y - A @ z)
    return np.asarray(z + unit * frisch_newton(StackedDesign.of(A, 1), left[None], w[None], tall.tau, SKETCH).b[0])


def _nearest(left: Array, h: Array, keep: int) -> NDArray[np.bool_]:
    """The `keep` rows of the smallest |residual| / |A_i|, which is in proportion to its standard error."""
    if keep >= len(left):
        return np.ones(len(left), dtype=bool)
    score = np.abs(left) / np.maximum(h, np.finfo(float).tiny)
    return np.asarray(score <= np.partition(score, keep - 1)[keep - 1])


def _repaired(tall: Tall, left: Array, kept: NDArray[np.bool_]) -> tuple[Vertex | None, Array]:
    """The vertex once the signs of all rows are right, None when too many are wrong; and its residuals."""
    above, limit = left > 0, REPAIR * kept.sum()
    while True:
        which = np.flatnonzero(kept)
        found = _globbed(tall, which, kept, above)
        left = tall.residual(found.z)
        rounding = ROUNDING * (np.abs(tall.y) + np.abs(tall.y - left))
        wrong = ~kept & np.where(above, left < -rounding, left > rounding)
        if wrong.sum() > limit or found.zero[len(which) :].any():
            return None, left
        if not wrong.any():
            return _whole(tall, found, left, which, above, np.abs(left) <= rounding), left
        kept = kept | wrong


def _globbed(tall: Tall, which: NDArray[np.intp], kept: NDArray[np.bool_], above: NDArray[np.bool_]) -> Vertex:
    """The fit to the rows that are kept and, after them, the means of those above and below with all their weight."""
    w = np.where(kept, 0.0, tall.w) * np.stack((above, ~above))
    w = w[w.any(axis=1)]
    total = w.sum(axis=1)
    means = (w @ tall.D)[:, tall.pivots] @ tall.back / total[:, None]
    A = np.vstack((tall.rows(which), means))
    y = np.concatenate((tall.y[which], w @ tall.y / total))
    return fit_lines(A, y, np.concatenate((tall.w[which], total)), tall.tau)


def _whole(
    tall: Tall, found: Vertex, left: Array, which: NDArray[np.intp], above: NDArray[np.bool_], zero: NDArray[np.bool_]
) -> Vertex:
    """The same vertex among all rows: those that were added up have their dual values at the bounds."""
    x = np.where(above, tall.tau, tall.tau - 1)
    x[which], zero[which] = found.x[: len(which)], found.zero[: len(which)]
    balance = ((tall.w * x) @ tall.D)[tall.pivots] @ tall.back
    lines = Lines(found.z[None], left, tall.w, tall.tau, left)
    unique = found.unique or is_unique(tall.rows(np.flatnonzero(zero)), x[zero], tall.tau)
    return Vertex(found.z, which[found.basis], left, x, zero, lines.gap(x, left, balance), unique)


def _perfect(z: Array, left: Array) -> Vertex:
    """All rows are fitted up to rounding: no basis is better than z."""
    zero = np.ones(len(left), dtype=bool)
    return Vertex(z, np.empty(0, dtype=np.intp), left, np.zeros_like(left), zero, 0.0, True)
