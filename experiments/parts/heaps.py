"""Counts that were rounded by those who told them: the apples of exercise 8 come by the pound, three at a time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from noiseworks.noise import Gaussian, NegativeBinomial, Noise, Poisson
from noiseworks.noise.lattice import log_cell
from noiseworks.solvers.solve import solve
from noiseworks_experiments.parts.counts import tensor

Array = NDArray[np.float64]
FOLDS = 10
MOST = 400  # counts are summed up to here
SHOWN = 22


def compare_distributions(D: Array, y: Array) -> dict[str, float]:
    """The mean loss of rows that were left out (every tenth in turn) by four distributions with linear predictors
    D (n, P); and of the last three, fitted to all rows, what they say of these.

    heaped: the negative binomial, of whose counts a share is rounded to multiples of three.
    """
    fold, k = np.arange(len(y)) % FOLDS, np.arange(float(MOST))
    left_out = [held_out_losses(D[fold != f], y[fold != f], D[fold == f], y[fold == f]) for f in range(FOLDS)]
    found = {f"loss_{name}": np.concatenate([part[name] for part in left_out]).mean() for name in left_out[0]}
    table = masses(D, y, D, k)
    table["rounded"] = rounded(table["nb"])
    for name, p in table.items():
        mean = (p @ k).mean()
        found[f"dispersion_{name}"] = ((p @ k**2).mean() - mean**2) / mean
        found[f"threes_{name}"] = p[:, ::3].sum(axis=1).mean()
        found[f"entropy_{name}"] = special.entr(p).sum(axis=1).mean()
        found |= {f"share_{name}_{i}": p[:, i].mean() for i in range(SHOWN)}
    found["gain_expected"] = special.rel_entr(table["heaped"], np.maximum(table["nb"], 1e-300)).sum(axis=1).mean()
    found["threes_observed"] = (y % 3 == 0).mean()
    return found | {f"share_observed_{i}": (y == i).mean() for i in range(SHOWN)}


def held_out_losses(D: Array, y: Array, to: Array, counts: Array) -> dict[str, Array]:
    """-log P of each count at rows `to`, by distributions that were fitted to D and y."""
    fit = solve(Gaussian(), tensor(D), tensor(y))
    noise, eta = Gaussian(scale=fit.scale), tensor(to) @ fit.theta
    found = log_cell(noise, eta, tensor(counts), 1.0)
    assert found is not None
    at, table = (np.arange(len(to)), counts.astype(int)), masses(D, y, to, np.arange(float(MOST)))
    return {"gaussian": -found.numpy()} | {name: -np.log(p[at]) for name, p in table.items()}


def masses(D: Array, y: Array, to: Array, k: Array) -> dict[str, Array]:
    """P(k) at rows `to` (rows, k) of three distributions that were fitted to D and y; the share of the heaped one by
    maximum likelihood, the others' parameters held."""
    found: dict[str, Array] = {}
    own: dict[str, Array] = {}
    kinds: dict[str, Noise] = {"poisson": Poisson(), "nb": NegativeBinomial()}
    for name, noise in kinds.items():
        fit = solve(noise, tensor(D), tensor(y))
        fitted = noise.with_scale(fit.scale)
        for table, rows in ((found, to), (own, D)):
            eta = (tensor(rows) @ fit.theta)[:, None].expand(-1, len(k))
            table[name] = np.exp(-fitted.nll(eta, tensor(k).expand(len(rows), -1)).numpy())
    at = np.arange(len(y)), y.astype(int)
    plain, rounds = own["nb"][at], rounded(own["nb"])[at]
    share = optimize.minimize_scalar(
        lambda h: -np.log((1 - h) * plain + h * rounds).sum(), bounds=(0, 1), method="bounded"
    ).x
    return found | {"heaped": (1 - share) * found["nb"] + share * rounded(found["nb"])}


def rounded(p: Array) -> Array:
    """P(nearest multiple of three = k) (rows, k), of P(k) (rows, k)."""
    wide, found = np.pad(p, ((0, 0), (1, 1))), np.zeros_like(p)
    for i in range(3):
        found[:, ::3] += wide[:, i : i + p.shape[1]][:, ::3]
    return found
