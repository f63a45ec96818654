"""K least squares fits side by side, in orthogonal columns; members close to short rank are left to be solved alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noiseworks.solvers.design import Design, reduce
from noiseworks.solvers.linear_problem import Array, LinearProblems
from noiseworks.solvers.quantile.interior_point import StackedDesign

DEPENDENT = 1e-8  # smallest over largest eigenvalue of a Gram matrix, below which a problem is solved alone


@dataclass(frozen=True)
class BatchedColumns:
    """A_k = D_k / scale_k @ V_k, about orthogonal, of size about one under the weights: A (n, r) or (K, n, r).

    One design for all keeps its own way back, `design`. gram_k = A_k' diag(w_k) A_k / n; condition: cond(D / scale), ()
    or (K,); sound (K,): both are good to compute with.
    """

    rows: StackedDesign
    scale: Array
    design: Design | None
    V: Array | None
    condition: Array
    sound: NDArray[np.bool_]
    gram: Array

    @property
    def rank(self) -> int:
        return self.gram.shape[-1]

    def theta(self, z: Array) -> Array:
        """(K, r) -> (K, P); for one design of short rank the theta of minimum norm."""
        if self.V is not None:
            return np.asarray((self.V @ z[..., None])[..., 0] / self.scale)
        assert self.design is not None
        return np.stack([self.design.theta(one) for one in z])


def shared_design(problems: LinearProblems) -> Design:
    """That of the mean weights: what all K problems look like."""
    mean = problems.weights.mean(axis=0)
    return reduce(problems.D, mean / mean.mean())


def columns(problems: LinearProblems, design: Design | None) -> BatchedColumns:
    """`design`: that of `shared_design`, for problems of one design; weights of mean one."""
    if design is None:
        return _own(problems)
    A, K, r = design.orthogonal(), len(problems), design.rank
    rows = StackedDesign.of(A, max(K, 2))
    gram, sound = _checked(rows.gram(problems.weights / A.shape[0]))
    condition = np.array(np.linalg.cond(design.R) if r else 1.0)
    return BatchedColumns(rows, design.scale, design, None, condition, sound, gram)


def _own(problems: LinearProblems) -> BatchedColumns:
    """Cholesky of each Gram matrix, then columns, then their own Gram matrix: orthogonal only up to eps cond^2, which
    is not neglected."""
    D, w = problems.D, problems.weights / problems.y.shape[1]
    with np.errstate(all="ignore"):
        size = np.sqrt((D**2).mean(axis=1))
        scale = np.exp2(np.round(np.log2(size)))
    usable = (np.isfinite(scale) & (scale > 0)).all(axis=1)
    scale[~usable] = 1.0
    Z = np.where(usable[:, None, None], D / scale[:, None, :], 0.0)
    first, sound = _checked(StackedDesign.of(Z, len(D)).gram(w))
    L = np.linalg.cholesky(first)
    V = np.swapaxes(np.linalg.inv(L), -1, -2)
    rows = StackedDesign.of(Z @ V, len(D))
    gram, still = _checked(rows.gram(w))
    return BatchedColumns(rows, scale, None, V, np.linalg.cond(L), sound & still & usable, gram)


def _checked(gram: Array) -> tuple[Array, NDArray[np.bool_]]:
    """Those that are far from singular, and the identity for the others."""
    if not gram.shape[-1]:
        return gram, np.zeros(len(gram), dtype=bool)
    sound = np.isfinite(gram).all(axis=(1, 2))
    gram[~sound] = np.eye(gram.shape[-1])
    eigenvalues = np.linalg.eigvalsh(gram)
    sound &= eigenvalues[:, 0] > DEPENDENT * eigenvalues[:, -1]
    gram[~sound] = np.eye(gram.shape[-1])
    return gram, sound


ACCURATE = 1e-11  # relative error of theta in scaled columns, above which a problem is solved alone
NEARLY_PERFECT = 1e-9  # residuals below this share of y: whether they are all rounding is decided alone
REFINEMENTS = 2


def batched_least_squares(problems: LinearProblems, columns: BatchedColumns) -> tuple[Array, NDArray[np.bool_]]:
    """theta (K, P), and for which members it is as accurate as if solved alone; weights of mean one.

    Normal equations in orthogonal columns, whose condition is that of the weights, refined. What is left is the error
    of the columns: relative to theta about eps cond(Z) (1 + cond(Z) |residual| / |theta|), Z = D / scale.
    """
    rows, w, target = columns.rows, problems.weights, problems.target
    n = target.shape[1]
    z = np.zeros((len(problems), columns.rank))
    for _ in range(1 + REFINEMENTS):
        left = target - rows.times(z)
        z = z + np.linalg.solve(columns.gram, rows.turned(w * left)[..., None] / n)[..., 0]
    theta = columns.theta(z)
    left = np.where(w > 0, target - rows.times(z), 0.0)
    size = np.linalg.norm(theta * columns.scale, axis=1)
    condition = columns.condition
    error = np.finfo(float).eps * condition * (size + condition * np.sqrt((w * left**2).mean(axis=1)))
    imperfect = np.abs(left).max(axis=1) > NEARLY_PERFECT * np.abs(target + problems.offset).max(axis=1)
    return theta, columns.sound & imperfect & (error <= ACCURATE * size)
