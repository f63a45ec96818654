"""`optimizer=exact`: the answer is computed instead of trained; beside trained ones it is the reference."""

from __future__ import annotations

from dataclasses import dataclass

from noiseworks.errors import UserError
from noiseworks.exact import Answer, solve
from noiseworks.noise import Noise
from noiseworks.problem import Problem

NEXT_TO_NOTHING = 0.2  # seconds


@dataclass(frozen=True)
class Exact:
    """Takes the place of an optimizer in the configuration; the algorithms are in `noiseworks.exact`."""


def solve_problem(problem: Problem, noise: Noise) -> Answer:
    """The exact answer on the training rows, in units of the fit; `noise` as configured, in units of the data."""
    if not problem.model.linear:
        raise UserError(
            f"optimizer=exact solves models that are linear in their parameters (linear, constant, quadratic); "
            f"model={type(problem.model).__name__} is not: train it."
        )
    if noise.scale_value is not None and noise.location_scale:
        noise = noise.with_scale(float(noise.scale_value) / problem.scaling.y_spread.item())
    train = problem.parts["train"]
    y, offset = problem.in_fit_units(train)
    return solve(noise, train.D, y, offset, train.weights)


def cheap(problem: Problem) -> bool:
    """Whether the exact answer costs next to nothing beside training: a rough count of operations."""
    n, p = problem.parts["train"].D.shape
    if not problem.model.linear:
        return False
    if problem.noise.name in ("gaussian", "lognormal"):
        return n * p * p * 4e-9 < NEXT_TO_NOTHING
    if problem.noise.name in ("laplace", "student_t"):  # a linear program, or a start from one
        return n * p * 2.5e-5 < NEXT_TO_NOTHING
    return n * p * p * 1e-7 < NEXT_TO_NOTHING
