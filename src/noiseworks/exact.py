"""`optimizer=exact`: the answer is computed instead of trained; beside trained ones it is the reference."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Generator, Tensor

from noiseworks.data.base import in_source
from noiseworks.errors import UserError
from noiseworks.inference import LEVEL, METHODS, bootstrap, criteria, uncertainty
from noiseworks.inference.bootstrap import Bootstrap, check_replicates
from noiseworks.inference.covariance import BIASED
from noiseworks.noise import Gaussian, Noise
from noiseworks.problem import Problem
from noiseworks.solvers.batched import solve_batch
from noiseworks.solvers.linear_problem import LinearProblem, check_ridge
from noiseworks.solvers.naive import METHODS as NAIVE
from noiseworks.solvers.quantile.optimal_range import optimal_range
from noiseworks.solvers.solution import Solution
from noiseworks.solvers.solve import solved

WITHOUT_PARAMETERS = ("log_likelihood", "deviance", "deviance_explained")  # criteria that do not count them


@dataclass(frozen=True)
class Exact:
    """Takes the place of an optimizer in the configuration; the algorithms are in `noiseworks.solvers`.

    standard_errors: how they are found, see `noiseworks.inference.uncertainty`; or bootstrap.
    bootstrap: how many replicates it draws.
    ridge: adds ridge / 2 times the sum of the squared weights, in units of the fit and without the intercept, to the
        mean nll. It is where `optimizer.weight_decay` of plain SGD ends (with the chapter's loss, of scale 1), but for
        the intercept, which that decays too; in a standardized Gaussian fit it is zero anyway. (With data.standardize
        training divides the loss of counts by their mean: there a decay counts that many times.)
    method: auto, which takes a design of any rank; or, for least squares, one of the naive ones, which do not.
    """

    standard_errors: str = "auto"
    bootstrap: int = 1000
    ridge: float = 0.0
    method: str = "auto"

    def __post_init__(self) -> None:
        check_ridge(self.ridge, "optimizer.ridge")
        check_replicates(self.bootstrap)
        if self.method not in ("auto", *NAIVE):
            raise UserError(f"optimizer.method={self.method} is unknown; it must be one of auto, {', '.join(NAIVE)}.")
        if self.standard_errors not in (*METHODS, "bootstrap"):
            raise UserError(
                f"optimizer.standard_errors={self.standard_errors} is unknown; it must be one of {', '.join(METHODS)}, "
                "bootstrap."
            )


def ridge_of(optimizer: object) -> float:
    return optimizer.ridge if isinstance(optimizer, Exact) else 0.0


def method_of(optimizer: object) -> str:
    return optimizer.method if isinstance(optimizer, Exact) else "auto"


def exact_problem(problem: Problem, noise: Noise, ridge: float = 0.0, method: str = "auto") -> LinearProblem:
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
    penalized = torch.ones(train.D.shape[1], dtype=torch.bool)
    if problem.terms[-1:] == ["intercept"]:
        penalized[-1] = False
    made = LinearProblem.of(noise, train.D, y, offset, train.weights, ridge=ridge, penalized=penalized)
    return replace(made, method=method)


def solve_problem(problem: Problem, noise: Noise, ridge: float = 0.0) -> Solution:
    """The exact answer on the training rows, in units of the fit."""
    return solved(exact_problem(problem, noise, ridge))


@dataclass(frozen=True)
class Inference:
    """What is computed from an exact answer: standard errors (number of terms,) and intervals (number of terms, 2) in
    units of the data, nan where a coefficient cannot be estimated, how they were found, and criteria by name."""

    standard_errors: Tensor
    intervals: Tensor
    method: str
    criteria: dict[str, float]


def standard_errors(problem: Problem, noise: Noise, answer: Solution) -> Tensor:
    """Those of `auto` (number of terms,), in units of the data, nan where a coefficient cannot be estimated."""
    found = uncertainty(exact_problem(problem, noise), answer)
    return torch.from_numpy(found.standard_errors(jacobian(problem).numpy()))


def infer(problem: Problem, noise: Noise, answer: Solution, how: Exact, mean_nll: float, draw: Generator) -> Inference:
    """`mean_nll` of the training rows, in units of the data; `draw` is for the bootstrap."""
    exact = exact_problem(problem, noise)
    if how.ridge > 0:
        return _penalized(problem, exact, answer, mean_nll)
    method = how.standard_errors
    found = (
        bootstrap(exact, answer, how.bootstrap, draw) if method == "bootstrap" else uncertainty(exact, answer, method)
    )
    J = jacobian(problem)
    errors = torch.from_numpy(found.standard_errors(J.numpy()))
    intervals = torch.from_numpy(found.intervals(answer.theta.numpy(), J.numpy(), LEVEL))
    shift = problem.model.coefficients(answer.theta, problem.scaling) - J @ answer.theta
    known = criteria(exact, answer, mean_nll)
    if isinstance(found, Bootstrap):
        known["bootstrap_failed"] = float(found.failed)
    return Inference(errors, intervals + shift.unsqueeze(1), found.method, known)


def optimal_ranges(problem: Problem) -> Tensor:
    """The lowest and the highest value of each coefficient among all optima of a quantile regression (number of terms,
    2), in units of the data."""
    assert problem.noise.quantile_level is not None
    exact, J = exact_problem(problem, problem.noise), jacobian(problem).numpy()
    found = optimal_range(exact, problem.noise.quantile_level, J)
    nothing = torch.zeros(exact.D.shape[1], dtype=torch.float64)
    return torch.from_numpy(found) + problem.model.coefficients(nothing, problem.scaling).unsqueeze(1)


def _penalized(problem: Problem, exact: LinearProblem, answer: Solution, mean_nll: float) -> Inference:
    """No standard errors, since the answer is biased, and none of the criteria that count parameters."""
    found = criteria(exact, replace(answer, design=None), mean_nll)
    nothing = torch.full((len(problem.terms),), torch.nan, dtype=torch.float64)
    kept = {name: value for name, value in found.items() if name in WITHOUT_PARAMETERS}
    return Inference(nothing, nothing.unsqueeze(1).expand(-1, 2), BIASED, kept)


def jacobian(problem: Problem) -> Tensor:
    """d coefficients / d theta (number of terms, P): coefficients in units of the data are affine in theta."""
    scaling = replace(problem.scaling, y_center=torch.zeros_like(problem.scaling.y_center))
    P = problem.parts["train"].D.shape[1]
    return problem.model.coefficients(torch.eye(P, dtype=torch.float64), scaling).T


CHEAP, DEAR = 0.2, 2.0  # seconds that an exact answer may take in any case, and at most
SHARE, STEP = 0.2, 5e-5  # of the time that training takes, and that of one of its steps


def cheap(problem: Problem, steps: int = 0) -> bool:
    """Whether the exact answer costs little: a fifth of a second, or of the time that so many steps of training take.

    Costs measured at 100,000 x 5 and larger. A job is judged by itself, so that it has the same reference alone and in
    a sweep.
    """
    n, p = problem.parts["train"].D.shape
    cost = n * p * p * 2e-9 if isinstance(problem.noise, Gaussian) else n * p * max(p, 5) * 6e-7
    return problem.model.linear and cost < min(max(CHEAP, SHARE * STEP * steps), DEAR)


STACKED = 1 << 23  # numbers in the designs that are stacked at a time

Found = Solution | UserError
Key = tuple[int, Noise, float, str]  # of a problem, its noise, its ridge and its method


class SolutionCache:
    """Jobs of a sweep that differ in seed or learning rate only share their answer."""

    def __init__(self) -> None:
        self.known: dict[Key, tuple[Problem, Found]] = {}  # it is held, so that its id stays its own

    def of(
        self, wanted: Sequence[tuple[Problem, Noise]], ridges: Sequence[float] = (), methods: Sequence[str] = ()
    ) -> list[Found]:
        """For each its answer, or why there is none. ridges, methods: as many, or none at all."""
        K = len(wanted)
        how = zip(wanted, ridges or [0.0] * K, methods or ["auto"] * K)
        keys = [(id(of), n.with_scale(None) if n.separable else n, ridge, method) for (of, n), ridge, method in how]
        new = {key: problem for key, (problem, _) in zip(keys, wanted) if key not in self.known}
        exact: dict[Key, LinearProblem] = {}
        for key, problem in new.items():
            try:
                exact[key] = exact_problem(problem, *key[1:])
            except UserError as error:
                self.known[key] = problem, error
        for together in _stacks(exact):
            for key, found in zip(together, _solved([exact[key] for key in together])):
                rows = new[key].parts["train"].rows
                self.known[key] = new[key], in_source(found, rows) if isinstance(found, UserError) else found
        return [self.known[key][1] for key in keys]


def _stacks(exact: dict[Key, LinearProblem]) -> Iterator[list[Key]]:
    """Problems of one shape and one noise, as many as may be in memory once more."""
    shapes: dict[Hashable, list[Key]] = {}
    for key, problem in exact.items():
        shapes.setdefault((problem.noise, problem.D.shape, problem.ridge, problem.method), []).append(key)
    for keys in shapes.values():
        first = exact[keys[0]]
        size = max(1, STACKED // max(first.D.size, 1)) if first.ridge == 0 and first.method == "auto" else 1
        yield from (keys[low : low + size] for low in range(0, len(keys), size))


def _solved(problems: Sequence[LinearProblem]) -> list[Found]:
    if len(problems) == 1:
        try:
            return [solved(problems[0])]
        except UserError as error:
            return [error]
    stacked = (torch.from_numpy(np.stack(rows)) for rows in zip(*((p.D, p.y, p.offset, p.weights) for p in problems)))
    answers = solve_batch(problems[0].noise, *stacked)
    return [answers.one(k) or UserError(answers.failures[k]) for k in range(len(answers))]
