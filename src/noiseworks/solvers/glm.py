"""Generalized linear models: counts, and whatever else has a mean that depends on eta; start, separation, fit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.linalg import null_space
from scipy.optimize import linprog

from noiseworks.errors import UserError
from noiseworks.solvers.design import Design, TransformedDesign, blocks
from noiseworks.solvers.least_squares import fitted_scale
from noiseworks.solvers.likelihood import Likelihood, RidgePenalty
from noiseworks.solvers.linear_problem import Array, LinearProblem
from noiseworks.solvers.newton import NewtonPoint, checked, newton

TINY = 1e-5  # a rate; on the way to zero an algorithm that stops at rounding errors is far below it
MOVED = 1e-6  # of a unit step: less is a rounding error
ASKED = 2000  # rows that are added to a linear program at once


def separated_rows(
    problem: LinearProblem, A: TransformedDesign, z: Array, penalty: RidgePenalty | None = None
) -> NDArray[np.intp]:
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


def _triangle(A: TransformedDesign, chosen: NDArray[np.bool_], penalty: RidgePenalty | None) -> Array:
    """R of a QR, of the same null space as the chosen rows and the penalty, but few rows; never without any."""
    R: Array = np.zeros((1, A.shape[1])) if penalty is None else penalty.root
    for rows in blocks(slice(0, len(chosen)), A.D.shape[1]):
        if chosen[rows].any():
            R = np.asarray(np.linalg.qr(np.concatenate((R, A.rows(rows)[chosen[rows]])), mode="r"))
    return R


def start(problem: LinearProblem, A: TransformedDesign) -> Array:
    """z (r,): the lowest mean nll among least-squares fits of eta = inverse_mean((y + mean y) / 2), the usual start of
    a generalized linear model, of the constant, and zero; if all are infinite, rates that are positive, by a linear
    program."""
    unscaled = problem.noise if problem.noise.scale_value is not None else problem.noise.with_scale(1.0)
    likelihood = Likelihood.of(replace(problem, noise=unscaled), A, joint=False)
    mean = float(np.average(problem.y, weights=problem.weights))
    middle = max(mean, 1e-3) if problem.noise.counts else mean
    guesses = [(problem.y + middle) / 2, np.full_like(problem.y, middle)]
    starts = [_fit(A, _eta(problem, mu) - problem.offset, problem.weights) for mu in guesses]
    starts.append(np.zeros(A.shape[1]))
    values = [likelihood.value(z) for z in starts]
    best = int(np.argmin(values))
    if np.isfinite(values[best]):
        return starts[best]
    z = _positive(problem, A, middle)
    if not np.isfinite(likelihood.value(z)):
        raise UserError(f"{problem.noise.name} noise: no starting point with a finite likelihood was found.")
    return z


def _eta(problem: LinearProblem, mu: Array) -> Array:
    return np.asarray(problem.noise.inverse_mean(torch.from_numpy(mu)).numpy())


def _fit(A: TransformedDesign, eta: Array, weights: Array) -> Array:
    """Least squares: A' diag(w) A = n I (see Design)."""
    return A.turned(weights * eta) / len(eta)


def _positive(problem: LinearProblem, blocks: TransformedDesign, size: float) -> Array:
    """max t <= size / 2 subject to A z + offset >= t."""
    A = blocks.rows(slice(None))
    r = A.shape[1]
    cost = np.zeros(r + 1)
    cost[-1] = -1.0
    bounds = [(None, None)] * r + [(None, 0.5)]
    rows = np.column_stack((-A, np.ones(len(A))))
    found = linprog(cost, A_ub=rows, b_ub=problem.offset / size, bounds=bounds, method="highs")
    if found.status != 0 or found.x[-1] <= 1e-9:
        raise UserError(
            f"{problem.noise.name} noise: no coefficients give every row a positive rate; another link (log) would."
        )
    return np.asarray(found.x[:r] * size)


MANY = 50_000  # rows, for fewer all are taken from the start
TIMES = 8  # n^(2/3) times this many are drawn: a twelfth of a million
STEPS = 15


def sample_start(
    problem: LinearProblem,
    A: TransformedDesign,
    joint: bool,
    start: Callable[[LinearProblem, TransformedDesign], Array],
    floor: float,
) -> Array | None:
    """v (r,), with the log scale if `joint` (r + 1,); None where it is not likely at all to all rows.

    m rows are off by about sqrt(r / m), which Newton's method squares at each step. Rows drawn are sometimes
    separated where all are not: a penalty of z^2 / (2 m), which costs less than that error, keeps z finite.
    """
    n, r = A.shape
    m = int(TIMES * n ** (2 / 3))
    if n < MANY or m < 20 * r:
        return None
    drawn = np.unique(np.random.default_rng(0).integers(n, size=m))
    weights = problem.weights[drawn]
    rows = TransformedDesign(A.rows(drawn))
    part = replace(
        problem, D=rows.D, y=problem.y[drawn], offset=problem.offset[drawn], weights=weights / weights.mean(), ridge=0.0
    )
    if not part.y.any():
        return None
    penalty = RidgePenalty(np.eye(r) / np.sqrt(m), np.zeros(r))
    return newton(Likelihood.of(part, rows, joint, penalty), start(part, rows), floor, STEPS).v


LOWEST, HIGHEST = 1e-8, 1e8  # dispersions; counts no more variable than Poisson's get the lowest, and Poisson's theta
CERTAIN = 1e-6  # a mean nll, of probabilities, that leaves nothing to find: rounded prices may be fitted perfectly


def fit_glm(problem: LinearProblem, design: Design, joint: bool) -> tuple[Array, float | None]:
    """theta (P,) and, if `joint`, the scale or dispersion."""
    noise, A = problem.noise, TransformedDesign.of(design)
    if joint and not noise.orthogonal and (problem.y <= noise.step).all():
        raise UserError(
            f"{noise.name} noise has no finite optimum: no value is above {noise.step:g}, so that the rows do not show "
            f"the {noise.scale_name}, which goes to 0. A smaller noise.tick, more rows or a given noise.scale would do."
        )
    if not joint and noise.estimates_scale:
        problem = replace(problem, noise=noise.with_scale(1.0))  # any will do: it does not move theta
    penalty = RidgePenalty.of(problem.penalty, design)
    likelihood = Likelihood.of(problem, A, joint, penalty)
    point = _minimum(problem, A, likelihood)
    z = point.v[: design.rank]
    _check_rates(problem, A, z, penalty)
    if joint and point.v[-1] > np.log(HIGHEST):
        raise UserError(f"{noise.name} noise has no finite optimum: the {noise.scale_name} grows without bound.")
    if point.value > CERTAIN:
        checked(point, noise)
    theta = design.theta(z)
    return theta, float(np.exp(point.v[-1])) if joint else fitted_scale(replace(problem, noise=noise), theta)


def _minimum(problem: LinearProblem, A: TransformedDesign, likelihood: Likelihood) -> NewtonPoint:
    """From some rows' answer, if there are many and it is a point at which all of them have a likelihood."""
    usual = _joint_start if likelihood.joint else start
    v = sample_start(problem, A, likelihood.joint, usual, np.log(LOWEST))
    if v is not None:
        v[A.shape[1] :] = np.minimum(v[A.shape[1] :], np.log(1e3))
        point = newton(likelihood, v, np.log(LOWEST))
        if np.isfinite(point.value):
            return point
    return newton(likelihood, usual(problem, A), np.log(LOWEST))


def _joint_start(problem: LinearProblem, A: TransformedDesign) -> Array:
    z = start(problem, A)
    dispersion = fitted_scale(replace(problem, D=A.times(z)[:, None]), np.ones(1)) or 1.0
    return np.append(z, np.log(np.clip(dispersion, LOWEST, 1e3)))


def _check_rates(problem: LinearProblem, A: TransformedDesign, z: Array, penalty: RidgePenalty | None) -> None:
    if not problem.y.any() and penalty is None:
        raise UserError(
            f"{problem.noise.name} noise has no finite optimum: all {len(problem.y)} counts are zero, and the rate "
            "goes to zero without end."
        )
    rows = separated_rows(problem, A, z, penalty)
    if len(rows):
        raise UserError(
            f"{problem.noise.name} noise has no finite optimum: the counts are all zero where coefficients can send "
            f"the rate to zero, in {len(rows)} rows, the first of them row {rows[0] + 1}."
        )
