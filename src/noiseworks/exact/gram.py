"""The factor of a design from its Gram matrix: one pass over the rows, a tenth of the time of QR."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from noiseworks.exact.design import Design
from noiseworks.exact.problem import Array
from noiseworks.exact.spans import NARROW, Parts, blocks, summed

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
