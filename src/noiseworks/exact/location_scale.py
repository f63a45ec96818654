"""Noises of the form transform(y) = eta + scale * noise that have no algorithm of their own: Huber, StudentT, yours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from noiseworks.errors import UserError
from noiseworks.exact.design import Design, reduce
from noiseworks.exact.gradient import is_perfect
from noiseworks.exact.least_squares import fitted_scale, refined
from noiseworks.exact.likelihood import Likelihood
from noiseworks.exact.newton import checked, newton
from noiseworks.exact.problem import Array, Problem
from noiseworks.exact.quantile.least_absolute import least_absolute
from noiseworks.noise import Huber, Laplace
from noiseworks.noise.scale import above_rounding

SMALLEST = 1e-12  # scale sought, relative to the least-squares one
SMALL = 100_000  # numbers in a design for which the start is the Laplace answer; for larger ones it is Huber's


def location_scale(problem: Problem, design: Design, joint: bool) -> tuple[Array, float]:
    """theta (P,) and the scale: Newton's method on what least squares leaves, in units of its root mean square.

    So starts and tolerances mean the same for all data. A perfect fit is the answer; its scale is a rounding error.
    """
    b = refined(design, problem.target, problem.weights)
    theta = design.minimum_norm(b)
    if is_perfect(problem, theta, None):
        return theta, float(above_rounding(torch.zeros(()), torch.from_numpy(problem.target + problem.offset)))
    inner, unit = _standard(problem, problem.target - design.Z @ b, design.orthogonal())
    z = _robust(inner)
    v = np.append(z, np.log(fitted_scale(inner, z) or 1.0)) if joint else z
    seen = inner if joint or inner.noise.scale_value is not None else replace(inner, noise=inner.noise.with_scale(1.0))
    v = checked(newton(Likelihood.of(seen, inner.D, joint), v, np.log(SMALLEST)), problem.noise).v
    if joint and v[-1] <= np.log(SMALLEST):
        raise UserError(
            f"{problem.noise.name} noise has no finite optimum: so many rows can be fitted exactly that the likelihood "
            "grows without bound as the scale goes to 0."
        )
    theta = design.theta(design.R @ b + unit * v[: design.rank])
    return theta, unit * float(np.exp(v[-1])) if joint else fitted_scale(problem, theta) or 1.0


def _standard(problem: Problem, left: Array, A: Array) -> tuple[Problem, float]:
    """The problem of fitting `left` by the columns of A, in units that make it, or the given scale, about one."""
    given = problem.noise.scale_value
    unit = float(np.sqrt(np.average(left**2, weights=problem.weights)))
    noise = problem.noise
    if given is not None:
        unit = max(unit, float(given))
        noise = noise.with_scale(float(given) / unit)
    y = noise.inverse_transform(torch.from_numpy(left / unit)).numpy()
    return replace(problem, noise=noise, D=A, y=y, offset=np.zeros_like(y)), unit


def _robust(problem: Problem) -> Array:
    """Where Newton's method starts: at zero, which is least squares, for Huber; else at the Laplace or Huber answer."""
    if isinstance(problem.noise, Huber):
        return np.zeros(problem.D.shape[1])
    stand_in = replace(problem, y=problem.target)
    if problem.D.size <= SMALL:
        return np.asarray(least_absolute(replace(stand_in, noise=Laplace())).theta.numpy())
    return location_scale(replace(stand_in, noise=Huber()), reduce(problem.D, problem.weights, stand_in.y), True)[0]
