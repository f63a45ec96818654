"""How far the coefficients of a quantile regression can go without losing anything."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog

from noiseworks.errors import UserError
from noiseworks.solvers.linear_problem import Array, LinearProblem
from noiseworks.solvers.quantile.crossover import LEVEL, free_directions
from noiseworks.solvers.quantile.least_absolute import at_vertex, exact_theta


def optimal_range(problem: LinearProblem, tau: float = 0.5, L: Array | None = None) -> Array:
    """(m, 2): the lowest and the highest value of each of the combinations L theta, L (m, P), among all optima, of each
    coefficient if there is no L; equal where there is one optimum.

    By complementary slackness with one optimal dual x, z is optimal if and only if its residuals are zero where x is
    inside of its bounds, not negative where x = tau, not positive where x = tau - 1. In a design of short rank these
    are coefficients of minimum norm.
    """
    design, found = at_vertex(problem, tau)
    theta = exact_theta(design, problem.target, found)
    middle = theta if L is None else L @ theta
    if found.unique:
        return np.column_stack((middle, middle))
    A = design.orthogonal()
    free = free_directions(A[found.zero], found.x[found.zero], tau)
    moves = A @ free * np.sign(found.x - (tau - 0.5))[:, None]
    room = np.where(found.zero, 0.0, np.abs(found.residual))
    per_step = np.column_stack([design.theta(direction) for direction in free.T])
    per_step = per_step if L is None else L @ per_step
    return np.asarray(middle[:, None] + _extremes(per_step, moves, room))


def _extremes(objectives: Array, moves: Array, room: Array) -> Array:
    """(P, 2): min and max of each objective @ t subject to moves @ t <= room, room >= 0."""
    binding = np.abs(moves).max(axis=1) > LEVEL * np.abs(moves).max()
    moves, room = moves[binding], room[binding]
    if moves.shape[1] == 1:
        ends = _interval(moves[:, 0], room)
        return np.asarray(np.sort(objectives * ends, axis=1))
    size = float(np.median(room[room > 0])) if room.any() else 1.0
    ends = np.zeros((len(objectives), 2))
    for j, objective in enumerate(objectives):
        for end, sign in enumerate((1.0, -1.0)):
            unit = np.abs(objective).max() or 1.0
            found = linprog(sign * objective / unit, moves, room / size, bounds=(None, None), method="highs")
            if found.status != 0:
                raise UserError(f"The range of the optima was not found ({found.message}).")
            ends[j, end] = sign * found.fun * unit * size
    return ends


def _interval(moves: Array, room: Array) -> Array:
    """The lowest and the highest t with moves t <= room."""
    ratio = room / np.abs(moves)
    return np.array([-ratio[moves < 0].min(initial=np.inf), ratio[moves > 0].min(initial=np.inf)])
