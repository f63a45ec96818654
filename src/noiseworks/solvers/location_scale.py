"""Noises of the form transform(y) = eta + scale * noise that have no algorithm of their own: Huber, also with a robust
scale, StudentT, yours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from noiseworks.errors import UserError
from noiseworks.noise import Huber, Laplace
from noiseworks.noise.base import above_rounding, weighted_median
from noiseworks.solvers.design import Design, TransformedDesign
from noiseworks.solvers.glm import fit_glm
from noiseworks.solvers.least_squares import check_varies, factored, fitted_scale, refined
from noiseworks.solvers.likelihood import Likelihood, RidgePenalty
from noiseworks.solvers.linear_problem import Array, LinearProblem
from noiseworks.solvers.newton import GRADIENT, checked, newton
from noiseworks.solvers.quantile.least_absolute import least_absolute
from noiseworks.solvers.solution import Solution
from noiseworks.solvers.stationarity import gradient, is_perfect, log_concave

SMALLEST = 1e-12  # scale sought, relative to the least-squares one
FALLING = 1e-6  # a scale at which Newton's method only stops on its way to zero
SMALL = 100_000  # numbers in a design for which the start is the Laplace answer; for larger ones it is Huber's


def fit_location_scale(problem: LinearProblem, design: Design, joint: bool) -> tuple[Array, float]:
    """theta (P,) and the scale: Newton's method on what a robust start leaves, in units of its median size.

    So starts and tolerances mean the same for all data. A perfect fit is the answer; its scale is a rounding error.
    """
    b = refined(design, problem.target, problem.weights, problem.penalty)
    theta = design.minimum_norm(b)
    if is_perfect(problem, theta, None):
        check_varies(problem, theta)
        _check_rows(problem, design, joint or not problem.noise.by_likelihood)
        return theta, float(above_rounding(torch.zeros(()), torch.from_numpy(problem.target + problem.offset)))
    noise = problem.noise
    if isinstance(noise, Huber) and not noise.by_likelihood:
        return m_estimate(problem, noise, design, theta)
    theta = _robust(problem, design, theta)
    inner, unit = _standard(problem, problem.target - problem.D @ theta)
    penalty = RidgePenalty.of(problem.penalty, design, unit, theta)
    v = _newton(inner, TransformedDesign.of(design), joint, penalty)
    theta = theta + design.theta(unit * v[: design.rank])
    return theta, unit * float(np.exp(v[-1])) if joint else fitted_scale(problem, theta) or 1.0


def _check_rows(problem: LinearProblem, design: Design, joint: bool) -> None:
    if joint and design.rank >= len(problem.y) and problem.ridge == 0:
        raise UserError(
            f"{problem.noise.name} noise has no finite optimum: {len(problem.y)} rows and {problem.D.shape[1]} columns "
            "of rank as many fit every row, and the likelihood grows without bound as the scale goes to 0. More rows, "
            "fewer columns, or a given noise.scale would do."
        )


def _standard(problem: LinearProblem, left: Array) -> tuple[LinearProblem, float]:
    """The problem of fitting `left`, in units that make it, or the given scale, about one."""
    noise, given = problem.noise, problem.noise.scale_value
    unit = float(weighted_median(torch.from_numpy(np.abs(left)), torch.from_numpy(problem.weights)))
    if not unit > SMALLEST * np.abs(left).max():  # half of the rows are fitted exactly
        unit = float(np.sqrt(np.average(left**2, weights=problem.weights)))
    if given is not None:
        unit = max(unit, float(given))
        noise = noise.with_scale(float(given) / unit)
    y = noise.inverse_transform(torch.from_numpy(left / unit)).numpy()
    return replace(problem, noise=noise, y=y, offset=np.zeros_like(y)), unit


def _newton(problem: LinearProblem, A: TransformedDesign, joint: bool, penalty: RidgePenalty | None) -> Array:
    """v: z and, if `joint`, the log scale; from z = 0."""
    noise, z = problem.noise, np.zeros(A.shape[1])
    v = np.append(z, np.log(_scale_at(problem, A, z))) if joint else z
    seen = problem if joint or noise.scale_value is not None else replace(problem, noise=noise.with_scale(1.0))
    point = newton(Likelihood.of(seen, A, joint, penalty), v, np.log(SMALLEST))
    if joint and point.v[-1] <= np.log(SMALLEST if point.slope <= GRADIENT else FALLING):
        raise UserError(
            f"{problem.noise.name} noise has no finite optimum: so many rows can be fitted exactly that the likelihood "
            "grows without bound as the scale goes to 0."
        )
    return checked(point, problem.noise).v


def _robust(problem: LinearProblem, design: Design, theta: Array) -> Array:
    """Where Newton's method starts: at theta of least squares for Huber, whose likelihood has one minimum; else at the
    Laplace answer, or, with a penalty or many rows, at Huber's with the scale of its median residual."""
    if isinstance(problem.noise, Huber):
        return theta
    stand_in = replace(problem, y=problem.target, offset=np.zeros_like(problem.target))
    if problem.D.size <= SMALL and problem.penalty is None:
        return least_absolute(replace(stand_in, noise=Laplace())).theta.numpy()
    huber = Huber()
    try:
        return m_estimate(replace(stand_in, noise=huber), huber, design, theta)[0]
    except UserError:  # half of the rows are fitted exactly
        return theta


ROUNDS = 200
NEAR = 1e-12  # in scales: no coefficient, in columns of size one, moves further


def m_estimate(problem: LinearProblem, noise: Huber, design: Design, theta: Array) -> tuple[Array, float]:
    """theta (P,) and the scale, from theta of least squares: by turns the scale of the residuals and the minimum of the
    mean rho(r / scale), which is convex. Where the two have no common point, since the median jumps from one residual
    to another, the last of many rounds."""
    A, weights, last = TransformedDesign.of(design), torch.from_numpy(problem.weights), np.inf
    for _ in range(ROUNDS):
        left = problem.target - problem.D @ theta
        scale = float(noise.robust_scale(torch.from_numpy(np.abs(left)), weights, design.rank))
        if not scale > np.finfo(float).eps * np.abs(problem.target).max():
            raise UserError(
                "huber noise has no robust scale here: more than half of the rows are fitted exactly, so that their "
                "median absolute residual is 0. A given noise.scale would do."
            )
        penalty = RidgePenalty.of(problem.penalty, design, scale, theta)
        standard = replace(problem, noise=noise.with_scale(1.0), y=left / scale, offset=np.zeros_like(left))
        z = checked(newton(Likelihood.of(standard, A, False, penalty), np.zeros(design.rank)), noise).v
        theta = theta + design.theta(scale * z)
        if np.abs(z).max(initial=0.0) <= NEAR and abs(scale - last) <= NEAR * scale:
            break
        last = scale
    return theta, scale


def _scale_at(problem: LinearProblem, A: TransformedDesign, z: Array) -> float:
    """The maximum-likelihood scale there, or the one that was given."""
    return fitted_scale(replace(problem, D=A.times(z)[:, None]), np.ones(1)) or 1.0


LARGE = 1 << 15  # numbers in a design from which its factor, which only brings the columns to one scale, costs


def likelihood_fit(problem: LinearProblem) -> Solution:
    """Newton's method, jointly with the scale where the best theta depends on it and it is not given."""
    noise = problem.noise
    design = factored(problem, LARGE)
    fit = fit_location_scale if noise.location_scale else fit_glm
    theta, scale = fit(problem, design, noise.joint)
    kind = "optimum" if log_concave(noise, problem.y) else "stationary point"
    slope = gradient(problem, design, theta, scale, noise.joint)
    return Solution(torch.from_numpy(theta), scale, slope, design.rank, kind, design)
