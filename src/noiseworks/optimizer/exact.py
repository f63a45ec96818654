"""`optimizer=exact`: the answer is computed instead of trained; beside trained ones it is the reference."""

from __future__ import annotations

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


class Solutions:
    """Exact answers, each computed once: jobs of a sweep that differ in seed or learning rate only share theirs."""

    def __init__(self) -> None:
        self.known: dict[tuple[int, Noise], tuple[Problem, Answer]] = {}  # it is held, so that its id stays its own

    def of(self, problem: Problem, noise: Noise) -> Answer:
        key = (id(problem), noise.with_scale(None) if noise.separable else noise)
        if key not in self.known:
            self.known[key] = problem, solve_problem(problem, key[1])
        return self.known[key][1]


def cheap(problem: Problem) -> bool:
    """Whether the exact answer costs next to nothing beside a run: a fifth of a second.

    Costs measured at 100,000 x 5 and larger. A problem is judged by itself, so that a job has the same reference alone
    and in a sweep.
    """
    n, p = problem.parts["train"].D.shape
    cost = n * p * p * 2e-9 if isinstance(problem.noise, Gaussian) else n * p * max(p, 5) * 6e-7
    return problem.model.linear and cost < 0.2
