"""Counts whose likelihood has no finite optimum."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import null_space
from scipy.optimize import linprog

from noiseworks.exact.problem import Array, Problem

TINY = 1e-5  # a rate; on the way to zero an algorithm that stops at rounding errors is far below it


def separated_rows(problem: Problem, A: Array, z: Array) -> NDArray[np.intp]:
    """The rows (from 0) that some direction d sends to a rate of zero, while it moves no row with y > 0.

    d: A_i d <= 0 where y_i = 0, not all zero, and A_i d = 0 where y_i > 0 (Santos Silva & Tenreyro, "On the existence
    of the maximum likelihood estimates in Poisson regression", 2010). Only for links with mean(-inf) = 0; found by a
    linear program in the null space of the rows with y > 0. It is asked only if z, where an algorithm stopped, has
    tiny rates. Empty: the optimum is finite.
    """
    none = np.empty(0, dtype=np.intp)
    if not problem.noise.counts or problem.noise.mean(torch.tensor([-800.0], dtype=torch.float64)).item() != 0:
        return none
    zero = problem.y == 0
    rates = problem.noise.mean(torch.from_numpy(A @ z + problem.offset)).numpy()
    if not (rates[zero] < TINY).any():
        return none
    free = null_space(_triangle(A[~zero]))
    if free.shape[1] == 0:
        return none
    moves = A[zero] @ free
    found = linprog(moves.sum(axis=0), A_ub=moves, b_ub=np.zeros(len(moves)), bounds=(-1, 1), method="highs")
    if found.status != 0:
        return none
    return np.asarray(np.flatnonzero(zero)[moves @ found.x < -1e-6])


def _triangle(rows: Array) -> Array:
    """R of a QR, of the same null space but at most r rows; a row of zeros for none at all."""
    return np.asarray(np.linalg.qr(rows, mode="r")) if len(rows) else np.zeros((1, rows.shape[1]))
