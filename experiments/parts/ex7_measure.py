"""Exercise 7: what is measured: prices that are held out, the mean price, and returns that are seen through a tick."""

from __future__ import annotations

import math

import numpy as np
import torch
from hydra.utils import instantiate
from numpy.typing import NDArray
from scipy.special import ndtri

from noiseworks.data.prices import monthly_prices
from noiseworks.noise import Gaussian, LogNormal

SIGMA = 0.02  # volatility of a day
FIRST, DAYS = 20, 100  # the days that `ticks` looks at
TICKS = [12.5, 25.0, 50.0, 100.0, 200.0]  # prices, in ticks
TICKERS = ["IBM", "AAPL", "MSFT", "XRX", "AMZN", "DELL", "GOOGL", "ADBE", "^GSPC", "^IXIC"]
REACH = float(ndtri(0.975))
SKEW = 0.4  # log prices of `smearing` miss by SKEW (exponential - 1)
Array = NDArray[np.float64]


def measure(cfg):
    rng = np.random.default_rng([cfg.seed, 7])
    if cfg.measure == "houses":
        found = instantiate(cfg.data).examples(0)
        return houses(found.X.numpy(), found.y.numpy(), cfg.replicates, rng)
    return {"stocks": stocks, "walk": walk, "smearing": smearing, "ticks": ticks}[cfg.measure](cfg.replicates, rng)


def houses(X: Array, price: Array, number: int, rng: np.random.Generator) -> dict[str, Array]:
    """Some houses, each priced by models of the other nine tenths."""
    order = rng.permutation(len(price))
    found = held_out(X[order], X[order], price[order], np.arange(len(price)) % 10)
    return {name: values[:number] for name, values in found.items()}


def stocks(number: int, rng: np.random.Generator) -> dict[str, Array]:
    """Some months of the shipped stocks; of each a tenth of the time is held out at once."""
    return _months([monthly_prices(ticker) for ticker in TICKERS], number, rng)


def walk(number: int, rng: np.random.Generator) -> dict[str, Array]:
    """As many prices that add the same noise each month, whatever the price is."""
    return _months([60 * 2**k + np.cumsum(rng.normal(size=390)) for k in range(1, 11)], number, rng)


def _months(paths: list[Array], number: int, rng: np.random.Generator) -> dict[str, Array]:
    each = []
    for path in paths:
        last, price = path[:-1, None], path[1:]
        found = held_out(last, np.log(last), price, np.arange(len(price)) * 10 // len(price))
        each.append(found | {"last": path[:-1], "change": np.abs(np.diff(path))})
    chosen = rng.permutation(sum(len(path) - 1 for path in paths))[:number]
    return {name: np.concatenate([one[name] for one in each])[chosen] for name in each[0]}


def held_out(X: Array, X_log: Array, price: Array, fold: NDArray[np.int_]) -> dict[str, Array]:
    """Of each price, by models of the other folds: the rank of its prediction, from 0 to 1, and for additive noise on X
    and multiplicative noise on X_log the nll in units of the price, and whether 95 % intervals cover it."""
    y, found = torch.from_numpy(price), {"nll_log_price": np.zeros(len(price))}
    for name, noise, features in (("additive", Gaussian(), X), ("log", LogNormal(), X_log)):
        D = np.column_stack((np.ones(len(price)), features))
        eta, scale, target = np.zeros(len(price)), np.zeros(len(price)), noise.transform(y).numpy()
        for k in np.unique(fold):
            train = fold != k
            theta = np.linalg.lstsq(D[train], target[train], rcond=None)[0]
            eta[~train], scale[~train] = D[~train] @ theta, np.std(target[train] - D[train] @ theta)
        found[f"nll_{name}"] = noise.with_scale(torch.from_numpy(scale)).nll(torch.from_numpy(eta), y).numpy()
        found[f"covered_{name}"] = (np.abs(target - eta) < REACH * scale).astype(float)
        found[f"rank_{name}"] = eta.argsort().argsort() / len(eta)
    found["nll_log_price"] = found["nll_log"] - np.log(price)  # the mistake: no Jacobian
    return found


def smearing(number: int, rng: np.random.Generator) -> dict[str, Array]:
    """Predicted over true mean price at x = 0, by least squares on 200 log prices whose noise is skewed."""
    x, noise = rng.normal(size=(number, 200)), SKEW * (rng.exponential(size=(number, 200)) - 1)
    z, u = noise - noise.mean(1, keepdims=True), x - x.mean(1, keepdims=True)
    slope = (u * z).sum(1) / (u * u).sum(1)
    naive = np.exp(noise.mean(1) - slope * x.mean(1)) * math.exp(SKEW) * (1 - SKEW)
    left = z - slope[:, None] * u
    return {"naive": naive, "normal": naive * np.exp(left.var(1) / 2), "smeared": naive * np.exp(left).mean(1)}


def ticks(number: int, rng: np.random.Generator) -> dict[str, Array]:
    """Of each path: the mean square of its log returns, that of the product of neighbours, over SIGMA^2, and the share
    of days on which the price stands still; for prices that start at so many ticks."""
    walked = np.cumsum(SIGMA * rng.normal(size=(number, FIRST + DAYS + 1)) - SIGMA**2 / 2, axis=1)[:, FIRST - 1 :]
    found = {}
    for price in TICKS:
        returns = np.diff(np.log(np.round(price * np.exp(walked))), axis=1)
        found[f"square/{price:g}"] = (returns**2).mean(1) / SIGMA**2
        found[f"product/{price:g}"] = (returns[:, 1:] * returns[:, :-1]).mean(1) / SIGMA**2
        found[f"still/{price:g}"] = (returns == 0).mean(1)
    return found
