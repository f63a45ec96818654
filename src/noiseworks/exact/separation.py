"""Counts whose likelihood has no finite optimum."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import null_space
from scipy.optimize import linprog

from noiseworks.exact.blocks import Blocks
from noiseworks.exact.problem import Array, Problem
from noiseworks.exact.quadratic import Quadratic
from noiseworks.exact.spans import blocks

TINY = 1e-5  # a rate; on the way to zero an algorithm that stops at rounding errors is far below it
MOVED = 1e-6  # of a unit step: less is a rounding error
ASKED = 2000  # rows that are added to a linear program at once


def separated_rows(problem: Problem, A: Blocks, z: Array, penalty: Quadratic | None = None) -> NDArray[np.intp]:
    """The rows (from 0) that some direction d sends to a rate of zero, while it moves no row with y > 0, nor a
    penalized coefficient.

    d: A_i d <= 0 where y_i = 0, not all zero, and A_i d = 0 where y_i > 0 (Santos Silva & Tenreyro, "On the existence
    of the maximum likelihood estimates in Poisson regression", 2010). Only for links with mean(-inf) = 0; found by a
    linear program in the null space of the rows with y > 0. It is asked only if z, where an algorithm stopped, has
    tiny rates. Empty: the optimum is finite.
    """
    none = np.empty(0, dtype=np.intp)
    if not problem.noise.counts or problem.noise.mean(torch.tensor([-800.0], dtype=torch.float64)).item() != 0:
        return none
    zero = problem.y == 0
    rates = problem.noise.mean(torch.from_numpy(A.times(z) + problem.offset)).numpy()
    if not (rates[zero] < TINY).any():
        return none
    free = null_space(_triangle(A, ~zero, penalty))
    if free.shape[1] == 0:
        return none
    moves = np.concatenate([A.rows(rows)[zero[rows]] @ free for rows in blocks(slice(0, len(zero)), A.D.shape[1])])
    return np.asarray(np.flatnonzero(zero)[moves @ _descent(moves) < -MOVED])


def _descent(moves: Array) -> Array:
    """argmin_d sum(moves d) subject to moves d <= 0, |d_j| <= 1: a linear program with some of the rows, and then
    with those that its answer violates most, until there are none."""
    used = np.arange(0, len(moves), -(-len(moves) // ASKED))
    total = moves.sum(axis=0)
    while True:
        found = linprog(total, A_ub=moves[used], b_ub=np.zeros(len(used)), bounds=(-1, 1), method="highs")
        if found.status != 0:
            return np.zeros(len(total))
        step = moves @ found.x
        worst = np.argsort(step)[-ASKED:]
        more = np.setdiff1d(worst[step[worst] > MOVED], used)
        if not len(more):
            return np.asarray(found.x)
        used = np.concatenate((used, more))


def _triangle(A: Blocks, chosen: NDArray[np.bool_], penalty: Quadratic | None) -> Array:
    """R of a QR, of the same null space as the chosen rows and the penalty, but few rows; never without any."""
    R: Array = np.zeros((1, A.shape[1])) if penalty is None else penalty.root
    for rows in blocks(slice(0, len(chosen)), A.D.shape[1]):
        if chosen[rows].any():
            R = np.asarray(np.linalg.qr(np.concatenate((R, A.rows(rows)[chosen[rows]])), mode="r"))
    return R
