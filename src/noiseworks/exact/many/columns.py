"""Orthogonal columns for K problems, and which of them are far enough from short rank to be solved side by side."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noiseworks.exact.design import Design, reduce
from noiseworks.exact.many.problems import Problems
from noiseworks.exact.problem import Array
from noiseworks.exact.quantile.rows import Rows

DEPENDENT = 1e-8  # smallest over largest eigenvalue of a Gram matrix, below which a problem is solved alone


@dataclass(frozen=True)
class Columns:
    """A_k = D_k / scale_k @ V_k, about orthogonal, of size about one under the weights: A (n, r) or (K, n, r).

    One design for all keeps its own way back, `design`. gram_k = A_k' diag(w_k) A_k / n; condition: cond(D / scale), ()
    or (K,); sound (K,): both are good to compute with.
    """

    rows: Rows
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


def shared_design(problems: Problems) -> Design:
    """That of the mean weights: what all K problems look like."""
    mean = problems.weights.mean(axis=0)
    return reduce(problems.D, mean / mean.mean())


def columns(problems: Problems, design: Design | None) -> Columns:
    """`design`: that of `shared_design`, for problems of one design; weights of mean one."""
    if design is None:
        return _own(problems)
    A, K, r = design.orthogonal(), len(problems), design.rank
    rows = Rows.of(A, max(K, 2))
    gram, sound = _checked(rows.gram(problems.weights / A.shape[0]))
    condition = np.array(np.linalg.cond(design.R) if r else 1.0)
    return Columns(rows, design.scale, design, None, condition, sound, gram)


def _own(problems: Problems) -> Columns:
    """Cholesky of each Gram matrix, then columns, then their own Gram matrix: orthogonal only up to eps cond^2, which
    is not neglected."""
    D, w = problems.D, problems.weights / problems.y.shape[1]
    with np.errstate(all="ignore"):
        size = np.sqrt((D**2).mean(axis=1))
        scale = np.exp2(np.round(np.log2(size)))
    usable = (np.isfinite(scale) & (scale > 0)).all(axis=1)
    scale[~usable] = 1.0
    Z = np.where(usable[:, None, None], D / scale[:, None, :], 0.0)
    first, sound = _checked(Rows.of(Z, len(D)).gram(w))
    L = np.linalg.cholesky(first)
    V = np.swapaxes(np.linalg.inv(L), -1, -2)
    rows = Rows.of(Z @ V, len(D))
    gram, still = _checked(rows.gram(w))
    return Columns(rows, scale, None, V, np.linalg.cond(L), sound & still & usable, gram)


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
