"""Criteria of K exact answers at once: `noiseworks.inference.criteria` on the leading axis."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from noiseworks.exact.many import Answers, Problems, solved_many
from noiseworks.exact.many.problems import tensor
from noiseworks.exact.problem import Array
from noiseworks.inference.criteria import CONSTANT, TINY
from noiseworks.noise import Gaussian, Noise


def criteria_many(problems: Problems, answers: Answers, mean_nll: Array) -> dict[str, Array]:
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


def _null(problems: Problems) -> Array:
    """eta (K, n) of the constant fits; of the offset alone where no combination of the columns is constant."""
    return problems.offset + np.where(_has_constant(problems), _constants(problems), 0.0)[:, None]


def _constants(problems: Problems) -> Array:
    """The best constant (K,): the mean, a quantile; of counts, where links and offsets differ, by Newton's method."""
    level = problems.noise.quantile_level
    if level is not None:
        return np.asarray(np.quantile(problems.target, level, axis=1, method="inverted_cdf"))
    if isinstance(problems.noise, Gaussian):
        return np.asarray(problems.target.mean(axis=1))
    return solved_many(replace(problems, D=np.ones((problems.y.shape[1], 1)))).theta[:, 0]


def _has_constant(problems: Problems) -> Array:
    """Whether the least-squares fit of 1 is 1, (K,)."""
    Q = np.linalg.qr(problems.D)[0]
    fitted = (Q @ Q.sum(axis=-2)[..., None])[..., 0]
    found: Array = np.abs(fitted - 1).max(axis=-1) < CONSTANT
    return np.broadcast_to(found, len(problems))
