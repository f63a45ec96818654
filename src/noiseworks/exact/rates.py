"""Noises that are no shift of y: counts, and whatever else has a mean that depends on eta."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from noiseworks.errors import UserError
from noiseworks.exact.design import Design
from noiseworks.exact.least_squares import fitted_scale
from noiseworks.exact.likelihood import Likelihood
from noiseworks.exact.newton import checked, newton
from noiseworks.exact.problem import Array, Problem
from noiseworks.exact.separation import separated_rows
from noiseworks.exact.start import start

LOWEST, HIGHEST = 1e-8, 1e8  # dispersions; counts no more variable than Poisson's get the lowest, and Poisson's theta


def rates(problem: Problem, design: Design, joint: bool) -> tuple[Array, float | None]:
    """theta (P,) and, if `joint`, the scale or dispersion."""
    noise, A = problem.noise, design.orthogonal()
    if not joint and noise.scale_name is not None and noise.scale_value is None:
        problem = replace(problem, noise=noise.with_scale(1.0))  # any will do: it does not move theta
    v = start(problem, A)
    if joint:
        dispersion = fitted_scale(replace(problem, D=A), v) or 1.0
        v = np.append(v, np.log(np.clip(dispersion, LOWEST, 1e3)))
    point = newton(Likelihood.of(problem, A, joint), v, np.log(LOWEST))
    z = point.v[: design.rank]
    _check_rates(problem, A, z)
    if joint and point.v[-1] > np.log(HIGHEST):
        raise UserError(f"{noise.name} noise has no finite optimum: the {noise.scale_name} grows without bound.")
    checked(point, noise)
    theta = design.theta(z)
    return theta, float(np.exp(point.v[-1])) if joint else fitted_scale(replace(problem, noise=noise), theta)


def _check_rates(problem: Problem, A: Array, z: Array) -> None:
    rows = separated_rows(problem, A, z)
    if len(rows):
        raise UserError(
            f"{problem.noise.name} noise has no finite optimum: the counts are all zero where coefficients can send "
            f"the rate to zero, in {len(rows)} rows, the first of them row {rows[0] + 1}."
        )
