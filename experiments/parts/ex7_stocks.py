"""Exercise 7: what is measured on eight real stocks, and in worlds that have their prices and moves of a known kind."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from noiseworks.data.prices import monthly_prices
from noiseworks.noise import Gaussian, StudentT
from noiseworks_experiments.parts.ex7_held_out import held_out

TICKERS = ["IBM", "AAPL", "MSFT", "XRX", "AMZN", "DELL", "GOOGL", "ADBE"]  # no index, which would hold the others
EXPONENTS = [0.0, 0.5, 1.0]  # of the price, in the size of a move
SMALL = 0.02  # moves of `moves`, as a share of the price where that share is largest
BLOCK = 12  # months that are resampled together
TAILS = np.linspace(0, 0.6, 9)  # 1 / degrees of freedom of Student's t; 0 is the Gaussian
Array = NDArray[np.float64]


def stocks(number: int, rng: np.random.Generator) -> dict[str, Array]:
    """Of each stock `name/ticker`, and of each resample of calendar months the mean over stocks: the slope of log
    change against log price, the gain of the log model on months that were held out and what moves in proportion to a
    power of the price would make of it, and 1 / degrees of freedom of log returns."""
    months = max(len(monthly_prices(ticker)) for ticker in TICKERS) - 1
    weights = np.vstack((np.ones(months), blocks(number, months, rng)))  # first of all the months as they are
    found: dict[str, Array] = {}
    for ticker in TICKERS:
        path = monthly_prices(ticker)
        w = weights[:, months - (len(path) - 1) :]  # all end in June 2022
        found[f"months/{ticker}"] = len(path) - 1
        for name, values in of_stock(path, w).items():
            found[f"{name}/{ticker}"] = values[0]
            found[name] = found.get(name, 0.0) + values[1:] / len(TICKERS)
    return found


def blocks(number: int, months: int, rng: np.random.Generator) -> Array:
    """How often each month is in each resample (number, months) of BLOCKs, which go on from the last to the first."""
    starts = rng.integers(0, months, (number, -(-months // BLOCK)))
    chosen = (starts[..., None] + np.arange(BLOCK)).reshape(number, -1)[:, :months] % months
    return np.stack([np.bincount(each, minlength=months) for each in chosen]).astype(float)


def of_stock(path: Array, w: Array) -> dict[str, Array]:
    """Of each row of weights w (., months), one for each change of the path."""
    last, price = path[:-1], path[1:]
    w = np.where(w.sum(axis=1, keepdims=True) > 0, w, 1.0)  # a resample may miss all months of a young stock
    fold = np.arange(len(price)) * 10 // len(price)
    moved, slopes = growth(last, price)
    found = {"slope": mean(slopes, w[:, moved]), "gain": mean(gain(last, price, fold), w)}
    for exponent in EXPONENTS:
        found[f"expected_{exponent:g}"] = mean(expected_gain(last, exponent, fold), w)
    return found | tail(np.diff(np.log(path)), w)


def mean(values: Array, w: Array) -> Array:
    return np.asarray(w @ values / w.sum(axis=1))


def growth(last: Array, price: Array) -> tuple[NDArray[np.bool_], Array]:
    """The months in which the price moved, and of each the slope of log |change| against log price by least squares
    plus the influence of the month on it, (x - mean x) residual / var x; their mean is the slope."""
    moved = price != last
    x, y = np.log(last[moved]), np.log(np.abs(price - last)[moved])
    u = x - x.mean()
    slope = (u @ y) / (u @ u)
    return moved, slope + u * (y - y.mean() - slope * u) / (u * u).mean()


def gain(last: Array, price: Array, fold: NDArray[np.int_]) -> Array:
    found = held_out(last[:, None], np.log(last[:, None]), price, fold)
    return found["nll_additive"] - found["nll_log"]


def expected_gain(last: Array, exponent: float, fold: NDArray[np.int_]) -> Array:
    """E nll of the additive less that of the log model, of months whose moves have the variance last^(2 exponent) times
    a constant that cancels, small beside the price: that of log y is then last^(2 exponent - 2) times it."""
    additive = expected_nll(last, last ** (2 * exponent), fold)
    return additive - expected_nll(np.log(last), last ** (2 * exponent - 2), fold) - np.log(last)


def expected_nll(x: Array, variance: Array, fold: NDArray[np.int_]) -> Array:
    """Of least squares on x and a constant, fitted to the other folds with noise of these variances: up to a constant
    E log(s^2) / 2 + (variance + that of the line) E 1 / (2 s^2), s^2 what is left, of mean m and variance m^2 c, where
    c = 2 sum v^2 / (sum v)^2, v the variances of the residuals: E log s^2 = log m - c / 2, E 1 / s^2 = (1 + c) / m."""
    D, found = np.column_stack((np.ones(len(x)), x)), np.zeros(len(x))
    for k in np.unique(fold):
        train, out = fold != k, fold == k
        A = np.linalg.pinv(D[train])
        residual = variance[train] * (1 - (D[train] * A.T).sum(axis=1))
        left, c = residual.mean(), 2 * (residual @ residual) / residual.sum() ** 2
        line = (D[out] @ A) ** 2 @ variance[train]
        found[out] = np.log(left) / 2 - c / 4 + (variance[out] + line) * (1 + c) / (2 * left)
    return found


def tail(returns: Array, w: Array) -> dict[str, Array]:
    """1 / degrees of freedom of Student's t by maximum likelihood, of each row of weights: the best of TAILS, between
    them by a parabola; and how much less its nll is than that of the Gaussian. returns (n,), or (., n) as w."""
    r = torch.from_numpy(returns - np.median(returns, axis=-1, keepdims=True))
    nll = smallest_nll(r, torch.from_numpy(w / w.sum(axis=1, keepdims=True)))
    k = np.clip(nll.argmin(axis=0), 1, len(TAILS) - 2)
    before, at, after = (nll[k + step, np.arange(len(w))] for step in (-1, 0, 1))
    shift = (before - after) / np.maximum(2 * (before - 2 * at + after), 1e-12)
    found = np.clip(TAILS[k] + (TAILS[1] - TAILS[0]) * shift, 0, TAILS[-1])
    return {"tail": found, "tail_gain": nll[0] - nll.min(axis=0)}


def smallest_nll(r: torch.Tensor, w: torch.Tensor) -> Array:
    """By Student's t of each of TAILS, with the scale that makes it smallest: s^2 is the mean of
    r^2 (1 + tail) / (1 + tail r^2 / s^2). (tails, .) for weights w (., n)."""
    square, squares = (w * r.square()).sum(dim=1, keepdim=True), r.square()
    found = [(w * Gaussian(scale=square.sqrt()).nll(torch.zeros_like(r), r)).sum(dim=1)]
    for share in TAILS[1:]:
        for _ in range(8):
            square = (w * (squares * (1 + share) / (1 + share * squares / square))).sum(dim=1, keepdim=True)
        noise = StudentT(df=1 / share, scale=square.sqrt())
        found.append((w * noise.nll(torch.zeros_like(r), r)).sum(dim=1))
    return torch.stack(found).numpy()


def moves(number: int, exponent: float, rng: np.random.Generator) -> dict[str, Array]:
    """Each price drawn anew from that of the month before, moved by Gaussian noise in proportion to a power of it. Of
    each replicate, means over stocks: as in `stocks`, and how often AIC prefers Student's t for log returns, which has
    a parameter more."""
    found = {name: np.zeros(number) for name in ("slope", "gain", "tail", "aic")}
    for ticker in TICKERS:
        last = monthly_prices(ticker)[:-1]
        size = SMALL * (last ** (1 - exponent)).min() * last**exponent
        prices = last + size * np.clip(rng.normal(size=(number, len(last))), -8, 8)
        fold = np.arange(len(last)) * 10 // len(last)
        tails = tail(np.log(prices / last), np.ones(prices.shape))
        each = {"tail": tails["tail"], "aic": len(last) * tails["tail_gain"] > 1}
        each["slope"] = np.array([growth(last, price)[1].mean() for price in prices])
        each["gain"] = np.array([gain(last, price, fold).mean() for price in prices])
        for name, values in each.items():
            found[name] += values / len(TICKERS)
    return found
