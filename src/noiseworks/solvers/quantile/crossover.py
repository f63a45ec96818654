"""From an interior point to a vertex: the best fit through r of the points, its certificate, its uniqueness."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray
from scipy.linalg import null_space, qr
from scipy.optimize import linprog

from noiseworks.solvers.linear_problem import Array
from noiseworks.solvers.stationarity import PERFECT

INSIDE_BOUNDS = 1e-9  # a dual value is inside of its bounds from here on
RANK = 1e-10
LEVEL = 1e-9  # a row that moves less along a direction of size one does not move


def free_directions(A: Array, x: Array, tau: float) -> Array:
    """(r, k): a basis of the directions that leave the rows in place whose dual value is inside of its bounds.

    By complementary slackness an optimum has residual zero in all of those. A (m, r), x (m,): the rows on the fit.
    """
    inside = A[(x > tau - 1 + INSIDE_BOUNDS) & (x < tau - INSIDE_BOUNDS)]
    if len(inside) > A.shape[1]:  # ties of counts: the triangle has the same null space, and not their number of rows
        inside = np.asarray(np.linalg.qr(inside, mode="r"))
    return np.asarray(null_space(inside, rcond=RANK) if len(inside) else np.eye(A.shape[1]))


def is_unique(A: Array, x: Array, tau: float) -> bool:
    """No free direction has all other rows on the fit leave it to their own side, x = tau above, x = tau - 1 below.

    A (m, r) has rank r, so that each direction moves one of its rows.
    """
    free = free_directions(A, x, tau)
    if free.shape[1] == 0:
        return True
    size = np.maximum(np.linalg.norm(A, axis=1, keepdims=True), np.finfo(float).tiny)
    moves = (A / size) @ free * np.sign(x - (tau - 0.5))[:, None]
    moves = moves[np.abs(moves).max(axis=1) > LEVEL]
    if free.shape[1] == 1:
        return bool((moves > 0).any() and (moves < 0).any())
    found = linprog(moves.sum(axis=0), moves, np.zeros(len(moves)), bounds=(-1, 1), method="highs")
    return bool(found.status == 0 and found.fun > -LEVEL)


GAP = 1e-9  # relative, and in units of the bounds of the dual
PIVOTS = 200
FAINT = 1e-7  # of the largest: what is less likely to be on the basis counts alike, so that rounding errors count less
INSIDE = 1e-3  # a dual value on the basis counts as at least so far from its bounds when errors are shared out


@dataclass(frozen=True)
class Lines:
    """min_z sum_i w_i rho_tau(y_i - A_i z): A (n, r) of columns of size one; y, w (n,); `rounding` (n,) is y's."""

    A: Array
    y: Array
    w: Array
    tau: float
    rounding: Array

    def residual(self, z: Array) -> Array:
        return self.y - self.A @ z

    def loss(self, t: Array) -> Array:
        """rho_tau(t) (n,)."""
        return np.asarray(np.maximum(self.tau * t, (self.tau - 1) * t))

    def slack(self, x: Array) -> Array:
        """The distance to the nearer bound of -(1 - tau) <= x <= tau."""
        return np.asarray(np.minimum(self.tau - x, x + 1 - self.tau))

    def excess(self, x: Array) -> Array:
        """How many times too far from 0 for its bounds; at most one: feasible."""
        return np.asarray(np.maximum(x / self.tau, -x / (1 - self.tau)))

    def sides(self, residual: Array) -> Array:
        """The derivative of the check function where the residual is not zero."""
        return np.asarray(np.where(residual > 0, self.tau, self.tau - 1))

    def gap(self, x: Array, residual: Array, balance: Array) -> float:
        """1 - dual / primal value; if x is m > 1 times too far from 0, x / m is feasible; 1 if it cannot be told.

        balance (r,): sum w x A, zero up to rounding or there is no certificate.
        """
        primal = float(self.w @ self.loss(residual))
        dual = float((self.w * x) @ residual) / max(float(self.excess(x).max()), 1.0)
        gap = 1 - dual / primal if primal > 0 else 0.0
        return gap if np.abs(balance).max() <= GAP * self.w.sum() and np.isfinite(gap) else 1.0


@dataclass(frozen=True)
class Vertex:
    """z (r,) is the solution of A[basis] z = y[basis]; x (n,) the subgradient that shows how good it is.

    x_i is tau or tau - 1 by the sign of the residual, except for `zero` residuals; sum_i w_i x_i A_i = 0.
    gap: relative duality gap, of x shrunk into its bounds. unique: no other z is as good.
    """

    z: Array
    basis: NDArray[np.intp]
    residual: Array
    x: Array
    zero: NDArray[np.bool_]
    gap: float
    unique: bool


def improve(lines: Lines, basis: NDArray[np.intp], x: Array) -> Vertex:
    """The vertex at `basis`, then pivots as of the simplex method while they lower the objective and are needed.

    x (n,): what an interior point's dual has for the rows of zero residual.
    """
    at = _at(lines, basis, x)
    for _ in range(PIVOTS):
        exchanged = _pivot(lines, at) if at.gap > GAP else None
        if exchanged is None:
            break
        at = _at(lines, exchanged, x)
    return replace(at, unique=is_unique(lines.A[at.zero], at.x[at.zero], lines.tau))


def independent(A: Array, preference: Array) -> NDArray[np.intp]:
    """r independent rows, of the largest preference (pivoted QR); of the others only as many as it takes."""
    n, r = A.shape
    count = min(n, max(4 * r, 40))
    while True:
        likely = np.argpartition(preference, n - count)[n - count :]
        size = np.maximum(preference[likely] / preference[likely].max(), FAINT)
        _, order = qr((A[likely] * size[:, None]).T, mode="r", pivoting=True)
        chosen = np.asarray(likely[order[:r]])
        if count == n or np.linalg.cond(A[chosen]) < 1e8:
            return chosen
        count = min(n, 8 * count)


def _at(lines: Lines, basis: NDArray[np.intp], guess: Array) -> Vertex:
    z = np.asarray(np.linalg.solve(lines.A[basis], lines.y[basis]), dtype=float)
    residual = lines.residual(z)
    residual[basis] = 0
    zero = np.abs(residual) <= PERFECT * (np.abs(lines.y) + np.abs(z).sum()) + lines.rounding
    zero[basis] = True
    x = _balanced(lines, basis, zero, np.where(zero, guess, lines.sides(residual)))
    return Vertex(z, basis, residual, x, zero, lines.gap(x, residual, lines.A.T @ (lines.w * x)), False)


def _balanced(lines: Lines, basis: NDArray[np.intp], zero: NDArray[np.bool_], x: Array) -> Array:
    """x changed in the rows of zero residual until sum w x A = 0. With no more than r such rows there is one answer.

    With more, most is changed where x is far from its bounds; on the basis, it is tried, a little in any case.
    """
    free = np.flatnonzero(zero)
    if len(free) == len(basis):
        order = np.sort(basis)
        x = np.where(zero, 0.0, x)
        x[order] = -np.linalg.solve(lines.A[order].T, lines.A.T @ (lines.w * x)) / lines.w[order]
        return x
    slack = np.maximum(lines.slack(x[free]), np.finfo(float).eps)
    at_least = np.maximum(slack, INSIDE * np.isin(free, basis))
    shared = [_shared(lines, free, room, x) for room in (slack, at_least)]
    return min(shared, key=lambda tried: float(np.nan_to_num(lines.excess(tried[free]), nan=np.inf).max()))


def _shared(lines: Lines, free: NDArray[np.intp], room: Array, x: Array) -> Array:
    """x + room * (least change); three rounds make up for the squared condition."""
    x, rows = x.copy(), lines.A[free] * lines.w[free, None]
    gram = (rows * room[:, None]).T @ rows
    for _ in range(3):
        try:
            shift = np.linalg.solve(gram, lines.A.T @ (lines.w * x))
        except LinAlgError:
            return np.full_like(x, np.nan)
        x[free] -= room * (rows @ shift)
    return x


def _pivot(lines: Lines, at: Vertex) -> NDArray[np.intp] | None:
    """The basis after the first exchange that lowers the objective, from the worst dual value on; None: none does.

    Leaving row j: z moves along d with A_j d = -1 or 1 and A_i d = 0 in the rest of the basis, to the weighted
    quantile of the points met on the way (Barrodale & Roberts, "An improved algorithm for discrete l1 linear
    approximation", 1973).
    """
    inverse = np.linalg.inv(lines.A[at.basis])
    for k in np.argsort(-lines.excess(at.x[at.basis])):
        j = at.basis[k]
        if lines.excess(at.x[j : j + 1])[0] <= 1:
            return None
        direction = -np.sign(at.x[j]) * inverse[:, k]
        entering = _first_rise(lines, at, direction)
        if entering is not None:
            basis = at.basis.copy()
            basis[k] = entering
            return basis
    return None


def _first_rise(lines: Lines, at: Vertex, direction: Array) -> int | None:
    """The row whose point is met where the objective along z + t d stops falling; None if it does not fall at t = 0."""
    speed = lines.A @ direction
    slope = float(lines.w[at.zero] @ lines.loss(-speed[at.zero]))
    slope -= float(lines.w[~at.zero] @ (at.x * speed)[~at.zero])
    if slope >= -1e-13 * float(lines.w @ np.abs(speed)):
        return None
    ahead = np.flatnonzero(~at.zero & (at.residual * speed > 0))
    times = at.residual[ahead] / speed[ahead]
    order = np.argsort(times)
    rising = slope + np.cumsum((lines.w[ahead] * np.abs(speed[ahead]))[order])
    met = int(np.searchsorted(rising, 0.0))
    return int(ahead[order[met]]) if met < len(ahead) else None
