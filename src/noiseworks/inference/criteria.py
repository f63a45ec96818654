"""How well an exact answer fits: likelihood criteria as R counts them, and the deviance explained."""

from __future__ import annotations

import contextlib
from dataclasses import replace

import numpy as np
import torch

from noiseworks.errors import UserError
from noiseworks.inference.scores import RowScores
from noiseworks.noise import Gaussian, Noise
from noiseworks.solvers.batched import solved_batch
from noiseworks.solvers.design import Design, reduce
from noiseworks.solvers.linear_problem import Array, LinearProblem, LinearProblems, tensor
from noiseworks.solvers.solution import Solution, Solutions
from noiseworks.solvers.solve import solved
from noiseworks.solvers.stationarity import is_perfect

TINY = 1e-300  # the rate that stands for zero, which some links cannot reach
CONSTANT = 1e-8  # how far the least-squares fit of 1 may be from it, for columns that have a constant among them


def criteria(problem: LinearProblem, answer: Solution, mean_nll: float) -> dict[str, float]:
    """Of a fit whose mean nll over the rows, weighted, is this (in whatever units are wanted).

    log_likelihood: -n mean_nll; with weights see `Local.counted`. aic = 2 k - 2 log_likelihood, bic = k log n - ..., k
    the rank and one more for a scale that was estimated (as R, not statsmodels), n the rows of positive weight.
    deviance, of counts: 2 sum w (nll - nll of the rate y). The others: see below.
    """
    noise, n = problem.noise, len(problem.y)
    k = answer.rank + (noise.scale_name is not None and noise.scale_value is None)
    local = RowScores.of(problem, answer)
    likelihood = -float(local.counted.sum()) * mean_nll
    if isinstance(noise, Gaussian):
        likelihood += float(np.log(problem.weights).sum()) / 2  # a row of weight w has the variance scale^2 / w
    found = {"log_likelihood": likelihood, "aic": 2 * k - 2 * likelihood, "bic": k * np.log(n) - 2 * likelihood}
    if noise.counts:
        found |= {"deviance": _deviance(local), "overdispersion": _overdispersion(local, answer.rank)}
    found |= {"deviance_explained": _explained(problem, answer, local), "num_parameters": k}
    return {name: float(value) for name, value in found.items()}


def _explained(problem: LinearProblem, answer: Solution, local: RowScores) -> float:
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
        worst = _deviance(RowScores.of(replace(null, noise=problem.noise), _constant(null)))
        if 0 < worst < np.inf:
            return 1 - _deviance(local) / worst
    return np.nan


def _deviance(local: RowScores) -> float:
    """2 sum w (nll(eta, y) - min nll(., y)); an additive noise is most likely at eta = transform(y)."""
    y, noise = local.y, local.noise
    best = noise.transform(y) if noise.location_scale else noise.inverse_mean(y.clamp_min(TINY))
    return 2 * float((torch.from_numpy(local.counted) * (noise.nll(local.eta, y) - noise.nll(best, y))).sum())


def _overdispersion(local: RowScores, rank: int) -> float:
    """Pearson's sum w (y - mu)^2 / var(mu) over n - rank, one if the noise model is right (R's quasipoisson); for a
    score (y - mu) / var(mu) d mu / d eta each term is score^2 / information."""
    information = local.information()
    if information is None or local.n <= rank:
        return np.nan
    return float((local.counted * local.score() ** 2 / information).sum()) / (local.n - rank)


def _constant(null: LinearProblem) -> Solution:
    if not null.D.shape[1]:
        scale = null.noise.scale_value
        return Solution(torch.zeros(0, dtype=torch.float64), None if scale is None else float(scale), 0.0, 0, "optimum")
    return solved(null)


def _has_constant(problem: LinearProblem, design: Design) -> bool:
    """Whether some theta has D theta = 1."""
    if not design.rank:
        return False
    A = design.orthogonal()
    fitted: Array = A @ (A.T @ problem.weights) / len(A)
    return bool(np.abs(fitted - 1).max() < CONSTANT)


def batched_criteria(problems: LinearProblems, answers: Solutions, mean_nll: Array) -> dict[str, Array]:
    """Each (K,). Of problems of full rank and rows without weights that are not fitted perfectly; mean_nll (K,)."""
    noise, (n, P) = problems.noise, problems.D.shape[-2:]
    k = P + (noise.scale_name is not None and noise.scale_value is None)
    likelihood = -n * mean_nll
    found = {"log_likelihood": likelihood, "aic": 2 * k - 2 * likelihood, "bic": k * np.log(n) - 2 * likelihood}
    if noise.scale_name is not None:
        noise = noise.with_scale(tensor(answers.scale[:, None]))
    eta = problems.eta(answers.theta)
    deviance = _deviances(noise, eta, problems.y)
    if noise.counts:
        found |= {"deviance": deviance, "overdispersion": _overdispersions(noise, eta, problems.y, P)}
    worst = _deviances(noise, _null(problems), problems.y)
    with np.errstate(divide="ignore", invalid="ignore"):
        explained = np.where((worst > 0) & (worst < np.inf), 1 - deviance / worst, np.nan)
    return found | {"deviance_explained": explained, "num_parameters": np.full(len(problems), float(k))}


def _deviances(noise: Noise, eta: Array, y: Array) -> Array:
    """2 sum (nll(eta, y) - min nll(., y)) (K,)."""
    counts = tensor(y)
    best = noise.transform(counts) if noise.location_scale else noise.inverse_mean(counts.clamp_min(TINY))
    return np.asarray(2 * (noise.nll(tensor(eta), counts) - noise.nll(best, counts)).sum(dim=1).numpy())


def _overdispersions(noise: Noise, eta: Array, y: Array, P: int) -> Array:
    """Pearson's sum of score^2 / information over n - P (K,)."""
    information = noise.information(tensor(eta))
    if information is None or y.shape[1] <= P:
        return np.full(len(y), np.nan)
    squares = noise.score(tensor(eta), tensor(y)) ** 2 / information
    return np.asarray(squares.sum(dim=1).numpy() / (y.shape[1] - P))


def _null(problems: LinearProblems) -> Array:
    """eta (K, n) of the constant fits; of the offset alone where no combination of the columns is constant."""
    return problems.offset + np.where(_have_constant(problems), _constants(problems), 0.0)[:, None]


def _constants(problems: LinearProblems) -> Array:
    """The best constant (K,): the mean, a quantile; of counts, where links and offsets differ, by Newton's method."""
    level = problems.noise.quantile_level
    if level is not None:
        return np.asarray(np.quantile(problems.target, level, axis=1, method="inverted_cdf"))
    if isinstance(problems.noise, Gaussian):
        return np.asarray(problems.target.mean(axis=1))
    return solved_batch(replace(problems, D=np.ones((problems.y.shape[1], 1)))).theta[:, 0]


def _have_constant(problems: LinearProblems) -> Array:
    """Whether the least-squares fit of 1 is 1, (K,)."""
    Q = np.linalg.qr(problems.D)[0]
    fitted = (Q @ Q.sum(axis=-2)[..., None])[..., 0]
    found: Array = np.abs(fitted - 1).max(axis=-1) < CONSTANT
    return np.broadcast_to(found, len(problems))
