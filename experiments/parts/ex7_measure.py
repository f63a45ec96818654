"""Exercise 7: what is measured: houses that are held out, the mean price, and returns that are seen through a tick."""

from __future__ import annotations

import math

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray

from noiseworks_experiments.parts.ex7_held_out import held_out
from noiseworks_experiments.parts.ex7_stocks import moves, stocks

SIGMA = 0.02  # volatility of a day
FIRST, DAYS = 20, 100  # the days that `ticks` looks at
TICKS = [12.5, 25.0, 50.0, 100.0, 200.0]  # prices, in ticks
ROWS = 200  # of a data set of `smearing`
SKEW = 0.4  # log prices of `smearing` miss by SKEW (exponential - 1)
Array = NDArray[np.float64]


def measure(cfg):
    rng = np.random.default_rng([cfg.seed, 7])
    if cfg.measure == "houses":
        found = instantiate(cfg.data).examples(0)
        return houses(found.X.numpy(), found.y.numpy(), cfg.replicates, rng)
    if cfg.measure == "moves":
        return moves(cfg.replicates, cfg.exponent, rng)
    return {"stocks": stocks, "smearing": smearing, "ticks": ticks}[cfg.measure](cfg.replicates, rng)


def houses(X: Array, price: Array, number: int, rng: np.random.Generator) -> dict[str, Array]:
    """Some houses, each priced by models of the other nine tenths."""
    order = rng.permutation(len(price))
    found = held_out(X[order], X[order], price[order], np.arange(len(price)) % 10)
    return {name: values[:number] for name, values in found.items()}


def smearing(number: int, rng: np.random.Generator) -> dict[str, Array]:
    """Predicted over true mean price at x = 0, by least squares on ROWS log prices whose noise is skewed."""
    x, noise = rng.normal(size=(number, ROWS)), SKEW * (rng.exponential(size=(number, ROWS)) - 1)
    z, u = noise - noise.mean(1, keepdims=True), x - x.mean(1, keepdims=True)
    slope = (u * z).sum(1) / (u * u).sum(1)
    naive = np.exp(noise.mean(1) - slope * x.mean(1)) * math.exp(SKEW) * (1 - SKEW)
    left = z - slope[:, None] * u
    return {"naive": naive, "normal": naive * np.exp(left.var(1) / 2), "smeared": naive * np.exp(left).mean(1)}


def ticks(number: int, rng: np.random.Generator) -> dict[str, Array]:
    """Of each path: the mean square of its log returns, that of the product of neighbours, over SIGMA^2, and the share
    of days on which the price stands still; for prices that start at so many ticks. payoff: of half a call and half a
    put on the price as it is, at the money, after DAYS; over the price at first."""
    walked = np.cumsum(SIGMA * rng.normal(size=(number, FIRST + DAYS + 1)) - SIGMA**2 / 2, axis=1)[:, FIRST - 1 :]
    found = {"payoff": np.abs(np.exp(walked[:, DAYS] - walked[:, 0]) - 1) / 2}
    for price in TICKS:
        returns = np.diff(np.log(np.round(price * np.exp(walked))), axis=1)
        found[f"square/{price:g}"] = (returns**2).mean(1) / SIGMA**2
        found[f"product/{price:g}"] = (returns[:, 1:] * returns[:, :-1]).mean(1) / SIGMA**2
        found[f"still/{price:g}"] = (returns == 0).mean(1)
    return found
