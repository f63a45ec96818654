"""How well an exact answer fits: likelihood criteria as R counts them, and the deviance explained."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import torch

from noiseworks.errors import UserError
from noiseworks.exact.answer import Answer
from noiseworks.exact.design import Design, reduce
from noiseworks.exact.gradient import is_perfect
from noiseworks.exact.problem import Array, Problem
from noiseworks.exact.solve import solved
from noiseworks.inference.local import Local
from noiseworks.noise import Gaussian

TINY = 1e-300  # the rate that stands for zero, which some links cannot reach
CONSTANT = 1e-8  # how far the least-squares fit of 1 may be from it, for columns that have a constant among them


def criteria(problem: Problem, answer: Answer, mean_nll: float) -> dict[str, float]:
    """Of a fit whose mean nll over the rows, weighted, is this (in whatever units are wanted).

    log_likelihood: -n mean_nll; with weights see `Local.counted`. aic = 2 k - 2 log_likelihood, bic = k log n - ..., k
    the rank and one more for a scale that was estimated (as R, not statsmodels), n the rows of positive weight.
    deviance, of counts: 2 sum w (nll - nll of the rate y). The others: see below.
    """
    noise, n = problem.noise, len(problem.y)
    k = answer.rank + (noise.scale_name is not None and noise.scale_value is None)
    local = Local.of(problem, answer)
    likelihood = -float(local.counted.sum()) * mean_nll
    if isinstance(noise, Gaussian):
        likelihood += float(np.log(problem.weights).sum()) / 2  # a row of weight w has the variance scale^2 / w
    found = {"log_likelihood": likelihood, "aic": 2 * k - 2 * likelihood, "bic": k * np.log(n) - 2 * likelihood}
    if noise.counts:
        found |= {"deviance": _deviance(local), "overdispersion": _overdispersion(local, answer.rank)}
    found |= {"deviance_explained": _explained(problem, answer, local), "num_parameters": k}
    return {name: float(value) for name, value in found.items()}


def _explained(problem: Problem, answer: Answer, local: Local) -> float:
    """1 - D / D0, D the deviance and D0 that of the constant, at the scale of the answer; without a constant among the
    columns D0 is that of the offset alone.

    R-squared for Gaussian noise, for LogNormal that of log y; Koenker and Machado's R1 for Laplace, 1 - sum |r| / sum
    |r - median|; for counts what R's null.deviance gives.
    """
    if is_perfect(problem, answer.theta.numpy(), answer.scale):
        return 1.0 if np.ptp(problem.target) > 0 else np.nan
    design = answer.design or reduce(problem.D, problem.weights)
    columns = np.ones((len(problem.y), int(_has_constant(problem, design))))
    null = replace(problem, D=columns, noise=problem.noise.with_scale(answer.scale))
    with contextlib.suppress(UserError):
        worst = _deviance(Local.of(replace(null, noise=problem.noise), _constant(null)))
        if 0 < worst < np.inf:
            return 1 - _deviance(local) / worst
    return np.nan


def _deviance(local: Local) -> float:
    """2 sum w (nll(eta, y) - min nll(., y)); an additive noise is most likely at eta = transform(y)."""
    y, noise = local.y, local.noise
    best = noise.transform(y) if noise.location_scale else noise.inverse_mean(y.clamp_min(TINY))
    return 2 * float((torch.from_numpy(local.counted) * (noise.nll(local.eta, y) - noise.nll(best, y))).sum())


def _overdispersion(local: Local, rank: int) -> float:
    """Pearson's sum w (y - mu)^2 / var(mu) over n - rank, one if the noise model is right (R's quasipoisson); for a
    score (y - mu) / var(mu) d mu / d eta each term is score^2 / information."""
    information = local.information()
    if information is None or local.n <= rank:
        return np.nan
    return float((local.counted * local.score() ** 2 / information).sum()) / (local.n - rank)


def _constant(null: Problem) -> Answer:
    if not null.D.shape[1]:
        scale = null.noise.scale_value
        return Answer(torch.zeros(0, dtype=torch.float64), None if scale is None else float(scale), 0.0, 0, "optimum")
    return solved(null)


def _has_constant(problem: Problem, design: Design) -> bool:
    """Whether some theta has D theta = 1."""
    if not design.rank:
        return False
    A = design.orthogonal()
    fitted: Array = A @ (A.T @ problem.weights) / len(A)
    return bool(np.abs(fitted - 1).max() < CONSTANT)
