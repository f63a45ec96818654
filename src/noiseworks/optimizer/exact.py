"""`optimizer=exact`: the answer is computed instead of trained; beside trained ones it is the reference."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from noiseworks.errors import UserError
from noiseworks.exact import Answer, solve
from noiseworks.noise import Gaussian, Noise
from noiseworks.problem import Problem


@dataclass(frozen=True)
class Exact:
    """Takes the place of an optimizer in the configuration; the algorithms are in `noiseworks.exact`."""


def solve_problem(problem: Problem, noise: Noise) -> Answer:
    """The exact answer on the training rows, in units of the fit; `noise` as configured, in units of the data."""
    if not problem.model.linear:
        raise UserError(
            f"optimizer=exact solves models that are linear in their parameters (linear, constant, quadratic); "
            f"model={problem.model.name} is not: train it."
        )
    if noise.scale_value is not None and noise.location_scale:
        noise = noise.with_scale(float(noise.scale_value) / problem.scaling.y_spread.item())
    train = problem.parts["train"]
    y, offset = problem.in_fit_units(train)
    return solve(noise, train.D, y, offset, train.weights)


def cheap(problems: Sequence[Problem]) -> bool:
    """Whether the exact answers cost next to nothing beside training: a fifth of a second, and 2 ms for each of many.

    Costs measured at 100,000 x 5 and larger, and a millisecond for the small ones.
    """

    def seconds(problem: Problem) -> float:
        n, p = problem.parts["train"].D.shape
        return 1e-3 + (n * p * p * 2e-9 if isinstance(problem.noise, Gaussian) else n * p * max(p, 5) * 6e-7)

    return sum(map(seconds, problems)) < 0.2 + 2e-3 * len(problems)
