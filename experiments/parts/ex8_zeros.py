"""Exercise 8: more households without apples than the negative binomial expects: what is measured."""

from __future__ import annotations

import math

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray
from scipy import optimize, special

from noiseworks.noise import NegativeBinomial
from noiseworks.solvers.solve import solve
from noiseworks_experiments.parts.counts import clustered_counts, tensor

HEAPED = 2 / 3  # of the counts are rounded to multiples of three, as among the apples
Array = NDArray[np.float64]


def zeros(cfg) -> dict[str, Array]:
    """The share of zeros less what a negative binomial expects that is fitted to the same counts: of surveys drawn from
    the one fitted to the apples, as they are and with HEAPED counts, and of the apples; and less what the
    zero-inflated one expects."""
    examples = instantiate(cfg.data).examples(0)
    D, y = np.column_stack((examples.X.numpy(), np.ones(len(examples)))), examples.y.numpy()
    rng = np.random.default_rng([cfg.seed, 6])
    fit = solve(NegativeBinomial(), tensor(D), tensor(y))
    drawn = clustered_counts(np.exp(D @ fit.theta.numpy()), fit.scale, cfg.replicates, rng)
    heaped = np.where(rng.random(drawn.shape) < HEAPED, 3 * np.round(drawn / 3), drawn)
    found = {"plain": [lacking(D, k) for k in drawn], "heaped": [lacking(D, k) for k in heaped]}
    return found | {"apples": lacking(D, y)} | inflated(D, y, np.append(fit.theta.numpy(), math.log(fit.scale)))


def lacking(D: Array, y: Array) -> float:
    fit = solve(NegativeBinomial(), tensor(D), tensor(y))
    return float((y == 0).mean() - np.exp(log_mass(np.zeros(len(y)), D @ fit.theta.numpy(), fit.scale)).mean())


def log_mass(y: Array, eta: Array, alpha: float) -> Array:
    """Of negative binomial counts of mean exp(eta) and variance mean + alpha mean^2."""
    r, mu = 1 / alpha, np.exp(eta)
    ways = special.gammaln(y + r) - special.gammaln(r) - special.gammaln(y + 1)
    return np.asarray(ways - r * np.log1p(alpha * mu) + y * (np.log(mu) - np.log(r + mu)))


def inflated(D: Array, y: Array, start: Array) -> dict[str, float]:
    """The zero-inflated negative binomial by maximum likelihood: a share of the rows is zero whatever its mean is.
    share: that; inflated: the share of zeros less what it expects; inflated_gain: nats a row, with a parameter more."""

    def log_p(theta: Array, counts: Array) -> Array:
        p, mass = special.expit(theta[-1]), log_mass(counts, D @ theta[:-2], math.exp(theta[-2]))
        return np.log(p * (counts == 0) + (1 - p) * np.exp(mass))

    none = np.append(start, -1.0)
    best = optimize.minimize(lambda theta: -log_p(theta, y).mean(), none, method="BFGS", options={"gtol": 1e-5}).x
    plain = log_mass(y, D @ start[:-1], math.exp(start[-1])).mean()
    return {
        "share": special.expit(best[-1]),
        "inflated": (y == 0).mean() - np.exp(log_p(best, np.zeros(len(y)))).mean(),
        "inflated_gain": log_p(best, y).mean() - plain,
    }
