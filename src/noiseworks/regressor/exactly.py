"""solver="exact"."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

import torch

from noiseworks.errors import UserError
from noiseworks.exact import Answer, Problem, solved
from noiseworks.exact.gradient import is_perfect
from noiseworks.exact.least_squares import least_squares
from noiseworks.inference import Uncertainty, bootstrap, criteria, uncertainty
from noiseworks.inference.local import Local
from noiseworks.noise import Gaussian, Noise
from noiseworks.optimizer.exact import WITHOUT_PARAMETERS
from noiseworks.regressor.fitted import Fitted
from noiseworks.regressor.rows import Rows


@dataclass(frozen=True)
class Errors:
    """How standard errors are found: a method of `noiseworks.inference.uncertainty`, bootstrap, or None."""

    method: str | None
    replicates: int
    draw: torch.Generator

    def of(self, problem: Problem, answer: Answer) -> Uncertainty | None:
        if self.method == "bootstrap":
            return bootstrap(problem, answer, self.replicates, self.draw)
        return None if self.method is None else uncertainty(problem, answer, self.method)


def fit_exactly(rows: Rows, noise: Noise, intercept: bool, errors: Errors, ridge: float) -> Fitted:
    """As `optimizer=exact data.standardize=false`: a scale that does not move the answer is estimated, the intercept is
    not penalised, and a penalised answer, which is biased, has no standard errors."""
    noise = noise.with_scale(None) if noise.separable else noise
    D, y, offset, weights = rows.tensors(intercept)
    penalized = torch.arange(D.shape[1]) < rows.X.shape[1]
    problem = Problem.of(noise, D, y, offset, weights, ridge=ridge, penalized=penalized)
    answer = _answer(problem)
    if ridge:
        problem, answer = replace(problem, ridge=0.0), replace(answer, design=None)
    found = criteria(problem, answer, _mean_nll(problem, answer))
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
    )


def _answer(problem: Problem) -> Answer:
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


def _mean_nll(problem: Problem, answer: Answer) -> float:
    local = Local.of(problem, answer)
    return float((torch.from_numpy(local.weights) * local.noise.nll(local.eta, local.y)).mean())
