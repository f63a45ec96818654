"""Laplace noise: least absolute deviations, by linear programming."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import qr, solve
from scipy.optimize import linprog

from noiseworks.errors import UserError
from noiseworks.exact.answer import Answer
from noiseworks.exact.design import reduce
from noiseworks.exact.gradient import PERFECT
from noiseworks.exact.least_squares import fitted_scale
from noiseworks.exact.problem import Array, Problem

GAP = 1e-9


def least_absolute(problem: Problem) -> Answer:
    """min_theta sum_i w_i |target_i - D_i theta|; Answer.gradient is the relative duality gap.

    Solved as what is left of the least-squares fit, in units of its mean: HiGHS's tolerances (1e-7) are absolute.
    Where the optimum is not unique (an even number of rows and a constant), it is one of its vertices.
    """
    weights = problem.weights
    design = reduce(problem.D, weights, problem.target)
    A, z = design.orthogonal(), design.target
    left = problem.target - A @ z
    z = z + A.T @ (weights * left) / len(left)  # one refinement
    left = problem.target - A @ z
    unit, gap = float(np.average(np.abs(left), weights=weights)), 0.0
    if unit > PERFECT * np.abs(problem.target).max() and design.rank:
        correction, gap = _vertex(A, left / unit, weights)
        z = z + unit * correction
    theta = design.theta(z)
    return Answer(torch.from_numpy(theta), fitted_scale(problem, theta), gap, design.rank, "optimum")


def _vertex(A: Array, y: Array, w: Array) -> tuple[Array, float]:
    """The optimum through r of the points, exactly, and its relative duality gap.

    The dual program max y'a, A'a = 0, |a| <= w has only r rows and, for HiGHS, is many times faster than the primal
    one. The rows with |a_i| < w_i are those of residual zero; z and their a follow from r x r systems.
    """
    found = linprog(
        -y * w, A_eq=(A * w[:, None]).T, b_eq=np.zeros(A.shape[1]), bounds=(-1, 1), method="highs-ipm"
    )  # in a / w, so that every bound is one
    if found.status != 0:
        raise UserError(f"laplace noise: the linear program was not solved ({found.message}).")
    basis = _basis(A, y + A @ found.eqlin.marginals, found.x)
    z = solve(A[basis], y[basis])
    return z, _gap(A, y - A @ z, w, basis, found.x)


def _basis(A: Array, residual: Array, dual: Array) -> NDArray[np.intp]:
    """r independent rows (pivoted QR) among those of the smallest residuals, up to HiGHS's tolerance of 1e-7.

    Of more than r residuals that are zero, those first whose dual value is farthest from its bounds.
    """
    likely = np.argsort(np.abs(residual), kind="stable")[: max(20 * A.shape[1], 500)]
    preference = (1e-4 + 1 - np.abs(dual[likely])) / (1 + (np.abs(residual[likely]) / 1e-8) ** 2)
    *_, order = qr((A[likely] * preference[:, None]).T, mode="economic", pivoting=True)
    return np.asarray(likely[order[: A.shape[1]]])


def _gap(A: Array, residual: Array, w: Array, basis: NDArray[np.intp], dual: Array) -> float:
    """1 - (best dual value) / (primal value), from a dual that is exactly feasible.

    Off the basis a_i = w_i sign(residual_i), or HiGHS's value where the residual is zero; on it A'a = 0 gives a. If
    some |a_i| / w_i is m > 1 there, a / m is feasible and its value is 1 / m of the primal one.
    """
    zero = np.abs(residual) <= 1e-11
    a = np.where(zero, np.clip(dual, -1, 1), np.sign(residual)) * w
    a[basis] = 0
    on_basis = solve(A[basis].T, -(A.T @ a)) / w[basis]
    excess = max(float(np.abs(on_basis).max()), 1.0)
    gap = 1 - 1 / excess
    if gap > GAP:
        raise UserError(f"laplace noise: the linear program is solved only to a relative duality gap of {gap:.1e}.")
    return gap
