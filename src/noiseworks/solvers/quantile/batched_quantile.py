"""K least absolute deviations fits side by side: bootstrap replicates of one design, or data sets of one shape."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from noiseworks.errors import UserError
from noiseworks.noise import Laplace
from noiseworks.solvers.design import Design, reduce
from noiseworks.solvers.linear_problem import Array, LinearProblem
from noiseworks.solvers.quantile.check_function import crossover, near
from noiseworks.solvers.quantile.crossover import GAP, Vertex
from noiseworks.solvers.quantile.interior_point import StackedDesign, frisch_newton
from noiseworks.solvers.quantile.least_absolute import check_level, exact_theta, least_absolute
from noiseworks.solvers.stationarity import PERFECT

CACHED = 1 << 16  # rows of all problems that the interior point method takes at once
DEPENDENT = 1e-8  # of the size of a column, or of a Gram matrix: below it a problem is solved alone


@dataclass(frozen=True)
class BatchedQuantiles:
    """theta (K, P); gap (K,), each certified by a dual of its own; unique (K,)."""

    theta: Array
    gap: Array
    unique: NDArray[np.bool_]


def batched_least_absolute(D: Array, y: Array, weights: Array | None = None, tau: float = 0.5) -> BatchedQuantiles:
    """min_theta_k sum_i w_ki rho_tau(y_ki - D_ki theta_k) for k = 1 ... K, each as `least_absolute` alone solves it.

    D (n, P) or (K, n, P); y (n,) or (K, n); weights None, (n,) or (K, n), zeros allowed. Problems of short rank, and
    whatever is not certified, are solved one by one.
    """
    check_level(tau)
    K, n = _shape(D, y, np.ones(D.shape[-2]) if weights is None else weights)
    w, Y = np.broadcast_to(1.0 if weights is None else weights, (K, n)), np.broadcast_to(y, (K, n))
    shared = QuantileColumns.shared(D) if D.ndim == 2 else None
    answers: list[tuple[Array, float, bool]] = []
    for block in np.array_split(np.arange(K), max(1, -(-K * n // CACHED))):
        columns = shared or QuantileColumns.own(D[block])
        for k, found in zip(block, _vertices(columns, Y[block], w[block], tau)):
            if found is None or found.gap > GAP:
                answers.append(_alone(D if shared else D[k], Y[k], w[k], tau))
            else:
                answers.append((columns.theta(int(k - block[0]), Y[k], found), max(found.gap, 0.0), found.unique))
    theta, gap, unique = zip(*answers)
    return BatchedQuantiles(np.stack(theta), np.array(gap), np.array(unique))


@dataclass(frozen=True)
class QuantileColumns:
    """A (n, r) or (K, n, r), orthogonal columns of size one; full () or (K,): has D full rank, or is it one for all."""

    D: Array
    A: Array
    full: NDArray[np.bool_]
    design: Design | None

    @classmethod
    def shared(cls, D: Array) -> QuantileColumns:
        design = reduce(D, np.ones(len(D)))
        return cls(D, design.orthogonal(), np.array(design.rank > 0), design)

    @classmethod
    def own(cls, D: Array) -> QuantileColumns:
        Q, R = np.linalg.qr(D)
        K, n, P = D.shape
        if n < P:
            return cls(D, Q, np.zeros(K, dtype=bool), None)
        diagonal = np.abs(np.diagonal(R, axis1=1, axis2=2))
        return cls(D, Q * np.sqrt(n), (diagonal > DEPENDENT * np.linalg.norm(D, axis=1)).all(axis=1), None)

    def theta(self, k: int, y: Array, found: Vertex) -> Array:
        """From the points of the basis and the columns as they are given."""
        if self.design is not None:
            return exact_theta(self.design, y, found)
        scale = np.linalg.norm(self.D[k], axis=0)
        return np.asarray(np.linalg.solve(self.D[k][found.basis] / scale, y[found.basis]) / scale)


def _shape(D: Array, y: Array, weights: Array) -> tuple[int, int]:
    """K and n, or a sentence about what does not fit."""
    shapes = (D.shape[:-1], y.shape, weights.shape)
    K = {shape[0] for shape in shapes if len(shape) == 2} or {1}
    n = {shape[-1] for shape in shapes if shape}
    if len(K) > 1 or len(n) > 1 or not all(len(shape) in (1, 2) and min(shape) > 0 for shape in shapes):
        raise UserError(
            f"D, y and weights must share their rows, (n,) or (K, n) for K problems; theirs are {shapes[0]}, "
            f"{shapes[1]} and {shapes[2]}."
        )
    for name, values in (("D", D), ("y", y), ("weights", weights)):
        if not np.isfinite(values).all():
            raise UserError(f"{name} must be finite; some of it is not.")
    if weights.min() < 0 or (weights.max(axis=-1) == 0).any():
        raise UserError(f"weights must be positive; the smallest is {weights.min():g}.")
    return K.pop(), n.pop()


def _vertices(columns: QuantileColumns, y: Array, w: Array, tau: float) -> list[Vertex | None]:
    """Side by side around least squares, then each to its vertex; None for short rank, perfect fits."""
    A, r = columns.A, columns.A.shape[-1]
    if not columns.full.any():
        return [None] * len(y)
    rows = StackedDesign.of(A, len(y))
    gram = rows.gram(w)
    eigenvalues = np.linalg.eigvalsh(gram)
    sound = columns.full & (eigenvalues[:, 0] > DEPENDENT * eigenvalues[:, -1])
    gram[~sound] = np.eye(r)
    z = np.asarray(np.linalg.solve(gram, rows.turned(w * y)[..., None])[..., 0], dtype=float)
    left = y - rows.times(z)
    sound &= np.abs(left).max(axis=-1) > PERFECT * np.abs(y).max(axis=-1)
    left = np.stack([near(one)[0] for one in left])
    interior = frisch_newton(rows, left, w, tau)
    vertices: list[Vertex | None] = []
    for k, (x, spread) in enumerate(zip(interior.x, interior.spread)):
        used = np.flatnonzero(w[k])
        own = (A if columns.design else A[k])[used]
        found = crossover(own, y[k, used], w[k, used], tau, z[k], x[used], spread[used]) if sound[k] else None
        vertices.append(found and replace(found, basis=used[found.basis]))
    return vertices


def _alone(D: Array, y: Array, w: Array, tau: float) -> tuple[Array, float, bool]:
    used = w > 0
    problem = LinearProblem(Laplace(), D[used], y[used], np.zeros(used.sum()), w[used] / w[used].mean())
    answer = least_absolute(problem, tau)
    return answer.theta.numpy(), answer.gradient, answer.unique
