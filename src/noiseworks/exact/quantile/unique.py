"""Whether a vertex is the only optimum."""

from __future__ import annotations

import numpy as np
from scipy.linalg import null_space
from scipy.optimize import linprog

from noiseworks.exact.problem import Array

INSIDE = 1e-9  # a dual value is inside of its bounds from here on
RANK = 1e-10
LEVEL = 1e-9  # a row that moves less along a direction of size one does not move


def free_directions(A: Array, x: Array, tau: float) -> Array:
    """(r, k): a basis of the directions that leave the rows in place whose dual value is inside of its bounds.

    By complementary slackness an optimum has residual zero in all of those. A (m, r), x (m,): the rows on the fit.
    """
    inside = A[(x > tau - 1 + INSIDE) & (x < tau - INSIDE)]
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
