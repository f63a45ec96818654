"""Theory of exercise 7."""

from __future__ import annotations

import math
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import ndtr, ndtri

from noiseworks_experiments.parts.ex7_held_out import REACH
from noiseworks_experiments.parts.ex7_measure import DAYS, FIRST, SIGMA, SKEW

INTERCEPT, SLOPE = 8.0, 0.5  # of ex7_worlds, as in its YAML
START, STEPS = 20, 100  # of ex7_paths
SPREAD = 0.2  # of ex7_penny
Array = NDArray[np.float64]


def straight_line(s: float) -> tuple[float, float, float]:
    """Intercept, slope and scale of the best straight line in exp(8 + x / 2 + s Z): by Stein's lemma the slope is
    E y / 2, and var y - slope^2 is left."""
    mean, total = math.exp(INTERCEPT + (SLOPE**2 + s**2) / 2), SLOPE**2 + s**2
    return mean, SLOPE * mean, mean * math.sqrt(math.expm1(total) - SLOPE**2)


def negative_share(intercept: Array, slope: Array, scale: Array) -> Array:
    """P(prediction + noise < 0) for normal x and noise."""
    return np.asarray(ndtr(-intercept / np.hypot(slope, scale)))


def covered(theta: tuple[Array, Array, Array], s: float, tenth: int, log: bool) -> Array:
    """The share of prices exp(8 + x / 2 + s Z) in intervals eta +- 1.96 scale, x in this tenth (0 to 9)."""
    x = ndtri((tenth + (np.arange(40) + 0.5) / 40) / 10)
    intercept, slope, scale = (np.asarray(part, dtype=float)[..., None] for part in theta)
    low, high = intercept + slope * x - REACH * scale, intercept + slope * x + REACH * scale
    if not log:
        low, high = (np.log(np.maximum(edge, 1e-300)) for edge in (low, high))
    middle = INTERCEPT + SLOPE * x
    return np.asarray((ndtr((high - middle) / s) - ndtr((low - middle) / s)).mean(-1))


def multiplicative_negative(total: float) -> float:
    """`negative_share` of the best straight line through prices whose log has the variance `total`."""
    return float(ndtr(-1 / math.sqrt(math.expm1(total))))


def smeared_mean(n: int) -> float:
    """Duan's smearing over the mean, at x = 0, after n rows whose log prices miss by e = SKEW (exponential - 1): with
    exp(e_i - x_i d), d the error of the slope, to first order 1 + var(d) x^2 / 2 - E e exp(e) / (n E exp(e))."""
    return 1 + (SKEW**2 / 2 - SKEW**2 / (1 - SKEW)) / n


def plug_in_coverage(tenth: int, n: int) -> float:
    """Of 95 % intervals eta +- c scale after n rows, c = 1.96, x in this tenth: to first order the scale, whose
    square has the mean (n - 2) / n and the variance 2 / n, and the line, of variance (1 + x^2) / n, take off
    phi(c) c (5 / 2 + c^2 / 2 + 1 + x^2) / n."""
    x = ndtri((tenth + (np.arange(40) + 0.5) / 40) / 10)
    density = math.exp(-(REACH**2) / 2) / math.sqrt(2 * math.pi)
    return 0.95 - density * REACH * (3.5 + REACH**2 / 2 + float((x**2).mean())) / n


def gain(s: float) -> float:
    """E nll of the best straight line - that of the truth, which is LogNormal: log(scale_y / s) - E log y."""
    return math.log(straight_line(s)[2] / s) - INTERCEPT


def loss(s: float) -> float:
    """E nll of the best LogNormal model - that of the truth, y = 8 + x / 2 + s Z, by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    x, z = np.meshgrid(nodes, nodes)
    mass = np.outer(weights, weights) / (2 * math.pi)
    log_y = np.log(INTERCEPT + SLOPE * x + s * z)
    mean, slope = (mass * log_y).sum(), (mass * log_y * x).sum()
    return float(math.log((mass * (log_y - mean - slope * x) ** 2).sum() ** 0.5 / s) + mean)


def rounded_scale(price: float) -> float:
    """sd of the logarithm of LogNormal prices of this median and SPREAD, rounded; over SPREAD."""
    k = np.arange(1, 200)
    mass = np.diff(ndtr(np.log((np.append(k - 0.5, 199.5)) / price) / SPREAD))
    mean = (mass * np.log(k)).sum()
    return float(np.sqrt((mass * (np.log(k) - mean) ** 2).sum()) / SPREAD)


@cache
def rounded_returns(price: float, first: int = FIRST, days: int = DAYS) -> Rounded:
    """Of prices that start at so many ticks, on average over these days: the price of day t is LogNormal, and given it
    those of the days before and after are independent."""
    nodes, share = np.polynomial.legendre.leggauss(5)
    u = np.linspace(-5, 5, 3001)
    reach = 6 * SIGMA * math.sqrt(first + days)
    k = np.arange(max(math.floor(price * math.exp(-reach)), 1), math.ceil(price * math.exp(reach)) + 1)
    pairs, product = np.zeros((len(k), len(k))), 0.0
    for node, weight in zip(nodes, share / 2):
        t = first + days * (1 + node) / 2
        middle = math.log(price) - SIGMA**2 * t / 2 + SIGMA * math.sqrt(t) * u
        today = (np.round(np.exp(middle)) - k[0]).astype(int)
        mass = np.exp(-(u**2) / 2)
        mass *= weight / mass.sum()
        after = cells(middle - SIGMA**2 / 2, SIGMA, k)
        back = (middle + SIGMA**2 * t / 2 - math.log(price)) * (t - 1) / t + math.log(price) - SIGMA**2 * (t - 1) / 2
        before = cells(back, SIGMA * math.sqrt((t - 1) / t), k)
        log_today = np.log(k[today])
        product += (mass * (after @ np.log(k) - log_today) * (log_today - before @ np.log(k))).sum() / SIGMA**2
        np.add.at(pairs, today, mass[:, None] * after)
    moves = np.log(k) - np.log(k)[:, None]
    return Rounded(float((pairs * moves**2).sum() / SIGMA**2), float(product), float(np.trace(pairs)), k, pairs)


def call(volatility: float) -> float:
    """Black and Scholes: an option to buy at today's price after DAYS, over the price, at no interest; volatility of a
    day."""
    return float(2 * ndtr(volatility * math.sqrt(DAYS) / 2) - 1)


def overpriced(variance: float) -> float:
    """The price of that option at this variance of a day over SIGMA^2, over that at SIGMA."""
    return call(SIGMA * math.sqrt(variance)) / call(SIGMA)


class Rounded(NamedTuple):
    """E r^2 and E r r' over SIGMA^2, P(r = 0), and P(k_i today, k_j tomorrow), r = log k_j - log k_i."""

    square: float
    product: float
    still: float
    k: Array
    pairs: Array


def cells(middle: Array, width: float, k: Array) -> Array:
    """P(round(exp(v)) = k), v ~ N(middle, width^2): a row for each middle."""
    edges = np.log(np.append(k - 0.5, k[-1] + 0.5))
    return np.asarray(np.diff(ndtr((edges - middle[:, None]) / width), axis=1))


@cache
def censored_variance() -> float:
    """scale^2 over SIGMA^2 of the likelihood for rounded prices, given yesterday's rounded price: where its expectation
    over `pairs` is largest."""
    known = rounded_returns(START, 1, STEPS - 1)

    def nll(log_scale: float) -> float:
        return -float(
            (known.pairs * np.log(np.maximum(cells(np.log(known.k), math.exp(log_scale), known.k), 1e-300))).sum()
        )

    found = minimize_scalar(nll, bounds=(math.log(SIGMA) - 1, math.log(SIGMA) + 1), method="bounded")
    return math.exp(2 * found.x) / SIGMA**2
