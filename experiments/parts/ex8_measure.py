"""Exercise 8: what is measured; here of counts of one rate, and of rates that are linear."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray

from noiseworks.noise import Gaussian, NegativeBinomial, Poisson
from noiseworks.noise.lattice import log_cell
from noiseworks.solvers.batched import solve_batch
from noiseworks_experiments.parts.counts import line, tensor
from noiseworks_experiments.parts.ex8_apples import apples
from noiseworks_experiments.parts.ex8_logarithm import coverage
from noiseworks_experiments.parts.ex8_zeros import zeros

RATES = [0.5, 5.0, 20.0, 100.0, 1000.0]
SAMPLERS = ["numpy", "torch", "negative_binomial"]
Array = NDArray[np.float64]


def measure(cfg):
    measures = {"draws": draws, "identity": identity, "coverage": coverage, "apples": apples, "zeros": zeros}
    return measures[cfg.measure](cfg)


def draws(cfg) -> dict[str, Array]:
    """Of each replicate: moments, and how much more a normal distribution loses; and what holds without chance."""
    key = [cfg.seed, SAMPLERS.index(cfg.sampler), RATES.index(cfg.rate)]
    y = sample(cfg.sampler, cfg.rate, (cfg.replicates, cfg.num_draws), key)
    k = np.arange(max(int(cfg.rate + 12 * math.sqrt(cfg.rate)) + 30, int(y.max()) + 1))
    p = np.exp(-losses(Poisson(link="identity"), cfg.rate, k))
    gap = losses(Gaussian(scale=math.sqrt(cfg.rate)), cfg.rate, k) - losses(Poisson(link="identity"), cfg.rate, k)
    bought = np.maximum((y > 0).sum(axis=1), 1)
    at_random = {
        "mean": y.mean(axis=1),
        "variance": y.var(axis=1, ddof=1),
        "pairs": (y * (y - 1.0)).mean(axis=1),
        "bought": y.sum(axis=1) / bought,
        "gap": gap[y].mean(axis=1),
    }
    return at_random | {"series": (k * p).sum(), "gap_expected": (p * gap).sum()} | minimizers(float(y[0].mean()))


def sample(sampler: str, rate: float, shape: tuple[int, int], key: list[int]) -> NDArray[np.int64]:
    if sampler == "numpy":
        return np.random.default_rng(key).poisson(rate, shape)
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]))
    noise = Poisson() if sampler == "torch" else NegativeBinomial(dispersion=0.5)
    return noise.sample(torch.full(shape, math.log(rate), dtype=torch.float64), generator).long().numpy()


def losses(noise, mean: float, k: Array) -> Array:
    """-log P(k): of a density for the unit cell around k, so that it may be compared with that of counts."""
    found = log_cell(noise, torch.full((len(k),), mean, dtype=torch.float64), tensor(k))
    assert found is not None
    return -found.numpy()


def minimizers(mean: float) -> dict[str, float]:
    """The rate that minimises each loss for counts of this mean, over the mean; on grids of steps of 0.0005 or so.

    public: an answer often read, which drops the rate itself; torch: PoissonNLLLoss() as it comes. stirling: what
    PoissonNLLLoss(full=True) lacks of the whole loss at k = 2.
    """
    rates, logs = mean * np.geomspace(0.01, 100, 20_001), np.linspace(-8, 8, 32_001)
    k, two = torch.full((32_001,), mean, dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64)
    by_default = torch.nn.PoissonNLLLoss(reduction="none")(tensor(logs), k)
    stirling = torch.nn.PoissonNLLLoss(log_input=False, full=True, eps=0.0)(two, two)
    return {
        "minimizer": rates[nll_of_rates(rates, mean).argmin()] / mean,
        "minimizer_public": rates[(mean * np.log(rates) - mean).argmin()] / mean,
        "minimizer_torch": logs[int(by_default.argmin())] / mean,
        "minimizer_torch_exp": math.exp(logs[int(by_default.argmin())]) / mean,
        "stirling": float(Poisson(link="identity").nll(two, two) - stirling),
    }


def nll_of_rates(rates: Array, mean: float) -> Array:
    return Poisson(link="identity").nll(tensor(rates), torch.full((len(rates),), mean, dtype=torch.float64)).numpy()


def identity(cfg) -> dict[str, Array]:
    """The slope by maximum likelihood and by least squares, without and with the true variances for weights."""
    D, rates = line(cfg.num_observations, cfg.spread)
    y = tensor(np.random.default_rng([cfg.seed, 3, int(10 * cfg.spread)]).poisson(rates, (cfg.replicates, len(rates))))
    fits = {
        "mle": solve_batch(Poisson(link="identity"), tensor(D), y),
        "ols": solve_batch(Gaussian(), tensor(D), y),
        "wls": solve_batch(Gaussian(), tensor(D), y, weights=tensor(1 / rates)),
    }
    return {name: fit.theta[:, 0] for name, fit in fits.items()}
