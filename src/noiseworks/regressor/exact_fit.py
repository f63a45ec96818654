"""solver="exact", and what a fit leaves, however it was made."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field, replace

import torch

from noiseworks.errors import UserError
from noiseworks.exact import WITHOUT_PARAMETERS
from noiseworks.inference import Uncertainty, bootstrap, criteria, uncertainty
from noiseworks.inference.criteria import weighted_likelihood
from noiseworks.inference.scores import RowScores
from noiseworks.noise import Gaussian, Noise
from noiseworks.regressor.inputs import EstimatorRows
from noiseworks.solvers.least_squares import least_squares
from noiseworks.solvers.linear_problem import Array, LinearProblem
from noiseworks.solvers.solution import Solution
from noiseworks.solvers.solve import solved
from noiseworks.solvers.stationarity import is_perfect


@dataclass(frozen=True)
class Fitted:
    """theta (P,): the coefficients, the intercept last. noise: at the scale of the fit; rank and n as they were used.

    kind: "optimum", "stationary point" or "trained"; what only an exact answer has is None or empty for the last.
    problem: the rows, for tests that compare two fits; not there after pickling.
    """

    theta: Array
    noise: Noise
    kind: str
    n: int
    rank: int | None = None
    unique: bool = True
    uncertainty: Uncertainty | None = None
    criteria: dict[str, float] = field(default_factory=dict)
    problem: LinearProblem | None = field(default=None, repr=False, compare=False)
    epochs: int | None = None
    ridge: float = 0.0
    notes: tuple[str, ...] = ()  # what a reader of the summary might take for something else

    @property
    def scale(self) -> float | None:
        value = self.noise.scale_value
        return None if value is None else float(value)

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"problem": None}


@dataclass(frozen=True)
class Errors:
    """How standard errors are found: a method of `noiseworks.inference.uncertainty`, bootstrap, or None."""

    method: str | None
    replicates: int
    draw: torch.Generator

    def of(self, problem: LinearProblem, answer: Solution) -> Uncertainty | None:
        if self.method == "bootstrap":
            return bootstrap(problem, answer, self.replicates, self.draw)
        return None if self.method is None else uncertainty(problem, answer, self.method)


def fit_exactly(rows: EstimatorRows, noise: Noise, intercept: bool, errors: Errors, ridge: float) -> Fitted:
    """As `optimizer=exact data.standardize=false`: a scale that does not move the answer is estimated, the intercept is
    not penalised, and a penalised answer, which is biased, has no standard errors."""
    noise = noise.with_scale(None) if noise.separable else noise
    D, y, offset, weights = rows.tensors(intercept)
    penalized = torch.arange(D.shape[1]) < rows.X.shape[1]
    problem = LinearProblem.of(noise, D, y, offset, weights, ridge=ridge, penalized=penalized)
    answer = _answer(problem)
    if ridge:
        problem, answer = replace(problem, ridge=0.0), replace(answer, design=None)
    found = criteria(problem, answer, float(RowScores.of(problem, answer).mean_nll()[0]))
    return Fitted(
        theta=answer.theta.numpy(),
        noise=noise.with_scale(answer.scale),
        kind=answer.kind,
        n=len(problem.y),
        rank=answer.rank,
        unique=answer.unique,
        uncertainty=None if ridge else errors.of(problem, answer),
        criteria={name: value for name, value in found.items() if not ridge or name in WITHOUT_PARAMETERS},
        ridge=ridge,
        problem=problem,
        notes=() if weights is None else (f"weights are precisions; {weighted_likelihood(noise)}",),
    )


def _answer(problem: LinearProblem) -> Solution:
    """Where the scale is part of the fit, rows that are fitted perfectly have no optimum, and `solved` says so. An
    estimator of scikit-learn fits them nevertheless: by the theta of least norm, the scale a rounding error."""
    try:
        return solved(problem)
    except UserError as refused:
        if problem.noise.separable or not problem.noise.location_scale:
            raise
        with contextlib.suppress(UserError):  # what is said of another noise
            perfect = least_squares(replace(problem, noise=Gaussian()))
            if is_perfect(problem, perfect.theta.numpy(), None):
                return perfect
        raise refused from None
