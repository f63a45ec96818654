"""`optimizer=exact`: the answer is computed instead of trained; beside trained ones it is the reference."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from noiseworks.errors import UserError
from noiseworks.exact import Answer, solved
from noiseworks.exact import Problem as ExactProblem
from noiseworks.inference import METHODS, criteria, uncertainty
from noiseworks.noise import Gaussian, Noise
from noiseworks.problem import Problem


@dataclass(frozen=True)
class Exact:
    """Takes the place of an optimizer in the configuration; the algorithms are in `noiseworks.exact`.

    standard_errors: how they are found, see `noiseworks.inference.uncertainty`.
    """

    standard_errors: str = "auto"

    def __post_init__(self) -> None:
        if self.standard_errors not in METHODS:
            raise UserError(
                f"optimizer.standard_errors={self.standard_errors} is unknown; it must be one of {', '.join(METHODS)}."
            )


def exact_problem(problem: Problem, noise: Noise) -> ExactProblem:
    """The training rows in units of the fit; `noise` as configured, in units of the data. Where it does not move the
    answer a given scale is only where training starts from: the maximum-likelihood one is reported."""
    noise = noise.with_scale(None) if noise.separable else noise
    if not problem.model.linear:
        raise UserError(
            f"optimizer=exact solves models that are linear in their parameters (linear, constant, quadratic); "
            f"model={problem.model.name} is not: train it."
        )
    if noise.scale_value is not None and noise.location_scale:
        noise = noise.with_scale(float(noise.scale_value) / problem.scaling.y_spread.item())
    train = problem.parts["train"]
    y, offset = problem.in_fit_units(train)
    return ExactProblem.of(noise, train.D, y, offset, train.weights)


def solve_problem(problem: Problem, noise: Noise) -> Answer:
    """The exact answer on the training rows, in units of the fit."""
    return solved(exact_problem(problem, noise))


@dataclass(frozen=True)
class Inference:
    """What is computed from an exact answer: standard errors (number of terms,) in units of the data, nan where a
    coefficient cannot be estimated, how they were found, and criteria by name."""

    standard_errors: Tensor
    method: str
    criteria: dict[str, float]


def infer(problem: Problem, noise: Noise, answer: Answer, method: str, mean_nll: float) -> Inference:
    """`mean_nll` of the training rows, in units of the data."""
    exact = exact_problem(problem, noise)
    found = uncertainty(exact, answer, method)
    errors = torch.from_numpy(found.standard_errors(jacobian(problem).numpy()))
    return Inference(errors, found.method, criteria(exact, answer, mean_nll))


def jacobian(problem: Problem) -> Tensor:
    """d coefficients / d theta (number of terms, P): coefficients in units of the data are affine in theta."""
    scaling = replace(problem.scaling, y_center=torch.zeros_like(problem.scaling.y_center))
    P = problem.parts["train"].D.shape[1]
    return problem.model.coefficients(torch.eye(P, dtype=torch.float64), scaling).T


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
