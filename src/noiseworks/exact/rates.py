"""Noises that are no shift of y: counts, and whatever else has a mean that depends on eta."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from noiseworks.errors import UserError
from noiseworks.exact.blocks import Blocks
from noiseworks.exact.design import Design
from noiseworks.exact.least_squares import fitted_scale
from noiseworks.exact.likelihood import Likelihood
from noiseworks.exact.newton import Point, checked, newton
from noiseworks.exact.problem import Array, Problem
from noiseworks.exact.quadratic import Quadratic
from noiseworks.exact.sample import sample_start
from noiseworks.exact.separation import separated_rows
from noiseworks.exact.start import start

LOWEST, HIGHEST = 1e-8, 1e8  # dispersions; counts no more variable than Poisson's get the lowest, and Poisson's theta
CERTAIN = 1e-6  # a mean nll, of probabilities, that leaves nothing to find: rounded prices may be fitted perfectly


def rates(problem: Problem, design: Design, joint: bool) -> tuple[Array, float | None]:
    """theta (P,) and, if `joint`, the scale or dispersion."""
    noise, A = problem.noise, Blocks.of(design)
    if not joint and noise.scale_name is not None and noise.scale_value is None:
        problem = replace(problem, noise=noise.with_scale(1.0))  # any will do: it does not move theta
    penalty = Quadratic.of(problem.penalty, design)
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


def _minimum(problem: Problem, A: Blocks, likelihood: Likelihood) -> Point:
    """From some rows' answer, if there are many and it is a point at which all of them have a likelihood."""
    usual = _joint_start if likelihood.joint else start
    v = sample_start(problem, A, likelihood.joint, usual, np.log(LOWEST))
    if v is not None:
        v[A.shape[1] :] = np.minimum(v[A.shape[1] :], np.log(1e3))
        point = newton(likelihood, v, np.log(LOWEST))
        if np.isfinite(point.value):
            return point
    return newton(likelihood, usual(problem, A), np.log(LOWEST))


def _joint_start(problem: Problem, A: Blocks) -> Array:
    z = start(problem, A)
    dispersion = fitted_scale(replace(problem, D=A.times(z)[:, None]), np.ones(1)) or 1.0
    return np.append(z, np.log(np.clip(dispersion, LOWEST, 1e3)))


def _check_rates(problem: Problem, A: Blocks, z: Array, penalty: Quadratic | None) -> None:
    rows = separated_rows(problem, A, z, penalty)
    if len(rows):
        raise UserError(
            f"{problem.noise.name} noise has no finite optimum: the counts are all zero where coefficients can send "
            f"the rate to zero, in {len(rows)} rows, the first of them row {rows[0] + 1}."
        )
