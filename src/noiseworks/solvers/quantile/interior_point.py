"""Quantile regression by a primal-dual interior point method, K problems side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.linalg import LinAlgError
from numpy.typing import NDArray

from noiseworks.solvers.linear_problem import Array

ROWS_CACHED = 8192  # rows whose weighted copy stays in the cache
PRODUCTS = 1 << 24  # numbers: up to so many, the products of all pairs of columns are kept


@dataclass(frozen=True)
class StackedDesign:
    """A', (r, n) for one design that K problems share, or (K, r, n); `products` (n, r (r + 1) / 2), see `gram`."""

    At: Array
    pairs: tuple[NDArray[np.intp], NDArray[np.intp]]
    products: Array | None

    @classmethod
    def of(cls, A: Array, K: int) -> StackedDesign:
        """A (n, r) or (K, n, r)."""
        At = np.ascontiguousarray(np.swapaxes(A, -1, -2))
        pairs = np.tril_indices(A.shape[-1])
        products = None
        if K > 1 and A.ndim == 2 and A.shape[0] * len(pairs[0]) <= PRODUCTS:
            products = A[:, pairs[0]] * A[:, pairs[1]]
        return cls(At, pairs, products)

    def times(self, b: Array) -> Array:
        """A_k b_k (K, n)."""
        return np.asarray(b @ self.At if self.At.ndim == 2 else (b[:, None, :] @ self.At)[:, 0])

    def turned(self, x: Array) -> Array:
        """A_k' x_k (K, r)."""
        return np.asarray(x @ self.At.T if self.At.ndim == 2 else (self.At @ x[..., None])[..., 0])

    def gram(self, weights: Array) -> Array:
        """A_k' diag(weights_k) A_k (K, r, r)."""
        if self.products is None:
            designs = np.broadcast_to(self.At, (len(weights), *self.At.shape[-2:]))
            return np.stack([_gram(At, root) for At, root in zip(designs, np.sqrt(weights))])
        r = len(self.At)
        full = np.empty((len(weights), r, r))
        full[:, self.pairs[0], self.pairs[1]] = full[:, self.pairs[1], self.pairs[0]] = weights @ self.products
        return full


def _gram(At: Array, root: Array) -> Array:
    """A matrix times its own transpose is half the work for BLAS."""
    total = np.zeros((len(At), len(At)))
    for low in range(0, len(root), ROWS_CACHED):
        block = At[:, low : low + ROWS_CACHED] * root[low : low + ROWS_CACHED]
        total += block @ block.T
    return total


MAX_STEPS = 60
SHORT = 0.9995  # of the way to the boundary
TINY = 1e-300


@dataclass
class Interior:
    """Where the method stands: y - A b = u - v and sum_i w_i x_i A_i = 0 with x = tau - p = q - (1 - tau).

    b (K, r); u, v, p, q (K, n), all positive. At the optimum u p = v q = 0, and x is a subgradient of the check
    function at y - A b.
    """

    b: Array
    u: Array
    v: Array
    p: Array
    q: Array
    tau: float

    @property
    def x(self) -> Array:
        return np.asarray(self.tau - self.p)

    @property
    def spread(self) -> Array:
        """(u / p + v / q)^-1: grows without bound where the residual goes to 0 while x stays inside of its bounds."""
        return np.asarray(1 / (self.u / self.p + self.v / self.q))


@dataclass
class Step:
    """A direction; du, dv, and dx = -dp = dq."""

    b: Array
    u: Array
    v: Array
    x: Array


def frisch_newton(rows: StackedDesign, y: Array, w: Array, tau: float, precision: float = 1e-9) -> Interior:
    """min_b sum_i w_i rho_tau(y_i - A_i b), rho_tau(t) = t (tau - [t < 0]); y, w (K, n), weights of zero allowed.

    Dual: max sum_i w_i x_i y_i with -(1 - tau) <= x <= tau and sum_i w_i x_i A_i = 0. Both sides stay feasible from
    the start, b = 0 and x = 0; a step is Mehrotra's predictor, then his corrector (Portnoy & Koenker, "The Gaussian
    hare and the Laplacian tortoise", 1997, section 4), until the duality gap is `precision` of the objective.
    y: what least squares leaves, of size one.
    """
    at = _start(rows, y, w, tau)
    weight = 2 * w.sum(axis=-1, keepdims=True)
    with np.errstate(all="ignore"):
        for _ in range(MAX_STEPS):
            gap = (w * (at.u * at.p + at.v * at.q)).sum(axis=-1, keepdims=True)
            value = (w * (tau * at.u + (1 - tau) * at.v)).sum(axis=-1, keepdims=True)
            running = gap > precision * value
            if not running.any():
                break
            step, primal, dual = _direction(rows, at, w, gap, weight)
            running &= np.isfinite(primal * dual * step.b.sum(axis=-1, keepdims=True))
            if not running.any():
                break
            _move(at, step, np.where(running, primal, 0.0), np.where(running, dual, 0.0))
    return at


def _start(rows: StackedDesign, y: Array, w: Array, tau: float) -> Interior:
    """u and v are above zero by the mean of |y|: about as central as x = 0 is."""
    level = (w * np.abs(y)).sum(axis=-1, keepdims=True) / w.sum(axis=-1, keepdims=True)
    u = np.maximum(y, 0) + np.where(level > 0, level, 1.0)
    b = np.zeros((len(y), rows.At.shape[-2]))
    return Interior(b, u, u - y, np.full_like(y, tau), np.full_like(y, 1 - tau), tau)


def _direction(rows: StackedDesign, at: Interior, w: Array, gap: Array, weight: Array) -> tuple[Step, Array, Array]:
    """The step and how far the primal and the dual side can go (K, 1).

    Newton on u p = v q = target, linearised: p du - u dx = cu, q dv + v dx = cv, A db + du - dv = 0. Hence
    dx = -spread (cu / p - cv / q + A db), and sum w dx A = 0 gives db.
    """
    u, v, p, q = at.u, at.v, at.p, at.q
    spread = at.spread
    weighted = w * spread
    gram = rows.gram(weighted)
    b = _solve(gram, rows.turned(weighted * (u - v)))
    x = spread * (u - v - rows.times(b))  # the predictor: target 0, second-order terms left out
    g, h = x / p, x / q
    primal, dual = _reach(g - 1, -h - 1), _reach(-g, h)
    after = (w * (u * (1 + primal * (g - 1)) * (p - dual * x) + v * (1 - primal * (1 + h)) * (q + dual * x))).sum(
        axis=-1, keepdims=True
    )
    target = gap / weight * (after / gap) ** 3
    cu = target / p - u + u * (g - 1) * g  # by now cu / p: (target - u p + du dx) / p with the predictor's du and dx
    cv = target / q - v + v * (h + 1) * h  # and cv / q: (target - v q - dv dx) / q
    b = -_solve(gram, rows.turned(weighted * (cu - cv)))
    x = -spread * (cu - cv + rows.times(b))
    step = Step(b, cu + u / p * x, cv - v / q * x, x)
    return step, _reach(step.u / u, step.v / v), _reach(-x / p, x / q)


def _reach(left: Array, right: Array) -> Array:
    """The longest step, at most 1, that keeps 1 + step * (left and right) positive."""
    worst = -np.minimum(left.min(axis=-1, keepdims=True), right.min(axis=-1, keepdims=True))
    return np.asarray(np.minimum(1.0, SHORT / np.maximum(worst, TINY)))


def _move(at: Interior, step: Step, primal: Array, dual: Array) -> None:
    at.b += primal * step.b
    at.u += primal * step.u
    at.v += primal * step.v
    at.p -= dual * step.x
    at.q += dual * step.x


def _solve(gram: Array, right: Array) -> Array:
    try:
        return np.asarray(np.linalg.solve(gram, right[..., None])[..., 0])
    except LinAlgError:
        ridge = 1e-14 * np.trace(gram, axis1=-2, axis2=-1)[:, None, None] * np.eye(gram.shape[-1])
        return np.asarray(np.linalg.solve(gram + ridge, right[..., None])[..., 0])
