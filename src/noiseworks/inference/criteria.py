"""How well exact answers fit: likelihood criteria as R counts them, and the deviance explained."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from noiseworks.errors import UserError
from noiseworks.inference.scores import RowScores
from noiseworks.noise import Gaussian, Noise
from noiseworks.solvers.batched import solved_batch
from noiseworks.solvers.design import reduce
from noiseworks.solvers.linear_problem import Array, LinearProblem, LinearProblems, tensor
from noiseworks.solvers.solution import Solution, Solutions
from noiseworks.solvers.solve import solved
from noiseworks.solvers.stationarity import is_perfect

CONSTANT = 1e-8  # how far the least-squares fit of 1 may be from it, for columns that have a constant among them


def weighted_likelihood(noise: Noise) -> str:
    """What the log-likelihood of rows with weights w that are precisions is, in words: criteria of noise models for
    which it is not the same cannot be compared."""
    if isinstance(noise, Gaussian):  # a row of weight w has the variance scale^2 / w
        return "the log-likelihood has scale / sqrt(w) for the scale of a row"
    return "the log-likelihood is the sum of w log f"


def criteria_from_sums(
    noise: Noise, n: int, rank: int, log_likelihood: Array, deviance: Array, null: Array, pearson: Array
) -> dict[str, Array]:
    """Criteria by name, (K,) each, from sums over the rows, (K,) each; n rows of positive weight, noise as assumed.

    aic = 2 k - 2 log_likelihood, bic = k log n - 2 log_likelihood, k the rank and one more for a scale that was
    estimated (as R, not statsmodels). deviance_explained: 1 - D / D0, D the deviance and D0 (`null`) that of the
    constant; R-squared for Gaussian noise, for LogNormal that of log y; Koenker and Machado's R1 for Laplace, 1 - sum
    |r| / sum |r - median|; for counts what R's null.deviance gives. overdispersion: Pearson's sum over n - rank, one if
    the noise model is right (R's quasipoisson).
    """
    k = rank + noise.estimates_scale
    found = {
        "log_likelihood": log_likelihood,
        "aic": 2 * k - 2 * log_likelihood,
        "bic": k * np.log(n) - 2 * log_likelihood,
    }
    if noise.counts:
        found |= {"deviance": deviance, "overdispersion": pearson / (n - rank if n > rank else np.nan)}
    with np.errstate(divide="ignore", invalid="ignore"):
        explained = np.where((null > 0) & (null < np.inf), 1 - deviance / null, np.nan)
    if not noise.by_likelihood:
        found = {}
    return found | {"deviance_explained": explained, "num_parameters": np.full(len(explained), float(k))}


def criteria(problem: LinearProblem, answer: Solution, mean_nll: float) -> dict[str, float]:
    """Of a fit whose mean nll over the rows, weighted, is this (in whatever units are wanted)."""
    rows = RowScores.of(problem, answer)
    if is_perfect(problem, answer.theta.numpy(), answer.scale):
        deviance, null = np.zeros(1), np.array([float(np.ptp(problem.target) > 0)])
    else:
        design = answer.design or reduce(problem.D, problem.weights)
        deviance, null = rows.deviance(), _null_deviance(rows, _has_constant(design.orthogonal()[None], rows.weights))
    found = _criteria(rows, answer.rank, np.array([mean_nll]), deviance, null)
    return {name: float(values[0]) for name, values in found.items()}


def batched_criteria(problems: LinearProblems, answers: Solutions, mean_nll: Array) -> dict[str, Array]:
    """Each (K,). Of problems of full rank and rows without weights that are not fitted perfectly; mean_nll (K,)."""
    rows = RowScores.batched(problems, answers)
    Q = np.linalg.qr(problems.D if problems.D.ndim == 3 else problems.D[None])[0]
    null = _null_deviance(rows, _has_constant(Q * np.sqrt(rows.n), rows.weights))
    return _criteria(rows, problems.D.shape[-1], mean_nll, rows.deviance(), null)


def _criteria(rows: RowScores, rank: int, mean_nll: Array, deviance: Array, null: Array) -> dict[str, Array]:
    likelihood = -rows.counted.sum(axis=1) * mean_nll
    if isinstance(rows.noise, Gaussian):
        likelihood += np.log(rows.weights).sum(axis=1) / 2  # see weighted_likelihood
    pearson = rows.pearson() if rows.noise.counts else np.full_like(null, np.nan)
    return criteria_from_sums(rows.assumed, rows.n, rank, likelihood, deviance, null, pearson)


def _has_constant(A: Array, weights: Array) -> NDArray[np.bool_]:
    """Whether some theta has A theta = 1 (K,): the least-squares fit of 1 is 1. A'WA = n I, A (K or 1, n, r)."""
    fitted = A @ (np.swapaxes(A, 1, 2) @ weights[..., None]) / A.shape[1]
    return np.asarray(np.abs(fitted[..., 0] - 1).max(axis=1) < CONSTANT)


def _null_deviance(rows: RowScores, constant: NDArray[np.bool_]) -> Array:
    """The deviance of the best constant (K,), at the scale of the answer; of the offset alone where there is no
    `constant` (K,) among the columns; nan where there is no best one."""
    level = np.where(constant, _constants(rows), 0.0) if constant.any() else np.zeros(len(constant))
    return rows.deviance(tensor(rows.offset + level[:, None]))


def _constants(rows: RowScores) -> Array:
    """The best constant (K,): the mean, a quantile; for other noise by Newton's method."""
    tau, w, noise = rows.noise.quantile_level, rows.weights, rows.assumed
    target = np.asarray(noise.transform(rows.y).numpy()) - rows.offset
    if isinstance(noise, Gaussian):
        return np.asarray((w * target).mean(axis=1))
    if tau is not None:
        order = np.argsort(target, axis=1)
        below = np.take_along_axis(w, order, axis=1).cumsum(axis=1)
        at = (below < tau * below[:, -1:]).sum(axis=1, keepdims=True)
        return np.take_along_axis(target, np.take_along_axis(order, at, axis=1), axis=1)[:, 0]
    problems = LinearProblems(noise, np.ones((rows.n, 1)), rows.y.numpy(), rows.offset, w)
    if noise.scale_name is None:
        return solved_batch(problems).theta[:, 0]
    return np.array([_constant(replace(problems, noise=noise.with_scale(s)).one(k)) for k, s in enumerate(rows.scales)])


def _constant(problem: LinearProblem) -> float:
    try:
        return float(solved(problem).theta)
    except UserError:
        return np.nan
