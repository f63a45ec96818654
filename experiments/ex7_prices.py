"""Exercise 7: regression for the prices of houses and stocks.

7.1 Additive Gaussian noise is wrong for prices. 7.2 The logarithm repairs it, and what that costs. 7.3 What ticks do to
cheap stock, and a likelihood that knows of them.

Source:  D2L 3.1, exercise 7.
Command: make exercises EX=7
Cost:    15 s on 2 cores.
Expect:  shares, coverages and gains as theory says; on real houses and stocks the logarithm gains.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from noiseworks import studies as study
from noiseworks.studies import Claim, Interval, Run, Runs, claim, control
from noiseworks_experiments.parts.ex7_figures import figures
from noiseworks_experiments.parts.ex7_measure import SIGMA, measure
from noiseworks_experiments.parts.ex7_runs import CENTS, coverage, one, parameters, predicted, scales, world
from noiseworks_experiments.parts.ex7_theory import (
    INTERCEPT,
    SLOPE,
    START,
    STEPS,
    censored_variance,
    covered,
    gain,
    loss,
    negative_share,
    rounded_returns,
    rounded_scale,
    straight_line,
)

__all__ = ["EXPERIMENTS", "claims", "figures", "measure"]

EXPERIMENTS = {
    "ex7_worlds": ["replicates=20"],
    "ex7_paths": ["replicates=10"],
    "ex7_penny": ["replicates=3", "data.num_examples=2000"],
    "ex7_measures": [],
}
TRAIN = 1000  # rows that a fit of ex7_worlds sees, as in its YAML
Array = NDArray[np.float64]


def claims(runs: Runs) -> Iterator[Claim]:
    yield from additive(runs)
    yield from spread(runs)
    yield from logarithm(runs)
    yield from real(runs)
    yield from back(runs)
    yield from returns(runs)
    yield from repaired(runs)


def additive(runs: Runs) -> Iterator[Claim]:
    for s in (0.5, 0.8):
        a, b, scale = straight_line(s)
        exact = float(negative_share(np.array(a), np.array(b), np.array(scale)))
        share = study.mean(negative_share(*parameters(world(runs, "gaussian", "lognormal", s))))
        sentence = f"share of prices below zero that the additive model expects, log prices spread by {s}"
        yield claim("7.1", sentence, exact, share, 0.02)
        yield control(
            "7.1", f"the additive model expects no prices below zero, log prices spread by {s}", 0.0, share, 0.02
        )
    none = study.mean(negative_share(*parameters(world(runs, "gaussian", "gaussian", 0.5))))
    yield claim(
        "7.1",
        "share of prices below zero that the additive model expects, noise additive and small beside the price",
        0.0,
        none,
        0.02,
    )
    for tenth, what in ((0, "cheapest"), (9, "dearest")):
        exact = float(covered(straight_line(0.5), 0.5, tenth, log=False))
        found = coverage(world(runs, "gaussian", "lognormal", 0.5), tenth, log=False)
        yield claim(
            "7.1", f"share covered by 95 % intervals of the additive model, {what} tenth of x", exact, found, 0.02
        )
        yield control("7.1", f"95 % intervals of the additive model cover 95 %, {what} tenth of x", 0.95, found, 0.02)


def spread(runs: Runs) -> Iterator[Claim]:
    sentence = "slope of log |change| in log price: 1 is in proportion, 0 the same for all"
    yield claim("7.1", f"{sentence}; shipped stocks", 1.0, growth(one(runs, "stocks")), 0.2)
    yield claim("7.1", f"{sentence}; an additive world", 0.0, growth(one(runs, "walk")), 0.2)
    yield control("7.1", f"{sentence}; an additive world: 1", 1.0, growth(one(runs, "walk")), 0.2)


def growth(run: Run) -> Interval:
    """Least squares; each month's influence on the slope is (x - mean x) residual / var x."""
    moved = run.copies["change"] > 0
    x, y = np.log(run.copies["last"][moved]), np.log(run.copies["change"][moved])
    u = x - x.mean()
    slope = (u * y).mean() / (u * u).mean()
    return study.mean(slope + u * (y - y.mean() - slope * u) / (u * u).mean())


def logarithm(runs: Runs) -> Iterator[Claim]:
    for tenth, what in ((0, "cheapest"), (9, "dearest")):
        found = coverage(world(runs, "lognormal", "lognormal", 0.5), tenth, log=True)
        yield claim("7.2", f"share covered by 95 % intervals of the log model, {what} tenth of x", 0.95, found, 0.01)
    found = nats(runs, "lognormal", 0.5)
    yield claim(
        "7.2", "what the log model gains, held out, in a multiplicative world (nats a price)", gain(0.5), found, 0.05
    )
    yield claim(
        "7.2",
        "what the log model loses, held out, in an additive world (nats a price)",
        loss(0.5),
        nats(runs, "gaussian", 0.5),
        0.003,
    )
    lost = nats(runs, "gaussian", 0.5)
    gained = Interval(-lost.estimate, -lost.hi, -lost.lo, lost.standard_error)
    sentence = "the log model gains as much, held out, in an additive world (nats a price)"
    yield control("7.2", sentence, gain(0.5), gained, 0.05)
    slope = study.mean(world(runs, "lognormal", "lognormal", 0.5).copies["coefficient/x0"])
    yield claim("7.2", "the coefficient of x, by the log model", SLOPE, slope, 0.01)
    relative = study.mean(ratio_of_slope(world(runs, "gaussian", "lognormal", 0.5)))
    yield control(
        "7.2",
        "the coefficient of x, by the additive model as a share of the mean price at x = 0",
        SLOPE,
        relative,
        0.01,
    )


def nats(runs: Runs, truth: str, s: float) -> Interval:
    """Mean nll of the wrong model less that of the right one, on the same held-out prices."""
    wrong = "gaussian" if truth == "lognormal" else "lognormal"
    unsuited, right = (world(runs, model, truth, s).copies["test/nll"] for model in (wrong, truth))
    return study.mean(unsuited - right)


def ratio_of_slope(run: Run) -> Array:
    """d E[y | x] / dx over E[y | x] at x = 0, where the truth is SLOPE, as a straight line has it."""
    intercept, slope, _ = parameters(run)
    return slope / math.exp(INTERCEPT + 0.5**2 / 2) * np.ones_like(intercept)


def real(runs: Runs) -> Iterator[Claim]:
    sentence = "the log model gains, held out, between 0.05 and 0.45 nats on a house in Ames"
    house = one(runs, "houses")
    yield claim("7.2", sentence, 0.25, difference(house, "nll_log"), 0.2)
    yield control("7.2", f"{sentence}, the Jacobian forgotten", 0.25, difference(house, "nll_log_price"), 0.2)
    sentence = "the log model gains, held out, between 0.5 and 4.5 nats on a month of a stock"
    yield claim("7.2", sentence, 2.5, difference(one(runs, "stocks"), "nll_log"), 2.0)
    yield control("7.2", f"{sentence} that adds its noise", 2.5, difference(one(runs, "walk"), "nll_log"), 2.0)
    sentence = "coverage of the cheap half of the houses less that of the dear half"
    yield claim("7.2", f"{sentence}, log model", 0.0, halves(house, "log"), 0.045)
    yield control("7.2", f"{sentence}, additive model", 0.0, halves(house, "additive"), 0.045)


def difference(run: Run, other: str) -> Interval:
    return study.mean(run.copies["nll_additive"] - run.copies[other])


def halves(run: Run, model: str) -> Interval:
    """+-2 times those covered: the halves are of one size, so that the mean is the difference of two shares."""
    sign = np.where(run.copies[f"rank_{model}"] < 0.5, 1.0, -1.0)
    return study.mean(2 * sign * (run.copies[f"covered_{model}"] - run.copies[f"covered_{model}"].mean()))


def back(runs: Runs) -> Iterator[Claim]:
    for s in (0.5, 0.8):
        found = study.mean(predicted(runs, s, corrected=False))
        exact = math.exp(-(s**2) / 2 * (1 - 1 / TRAIN))
        yield claim("7.2", f"exp(eta) over the mean price, log prices spread by {s}", exact, found, 0.02)
        yield control("7.2", f"exp(eta) is the mean price, log prices spread by {s}", 1.0, found, 0.02)
        corrected = study.mean(predicted(runs, s, corrected=True))
        yield claim("7.2", f"exp(eta + scale^2 / 2) is the mean price, log prices spread by {s}", 1.0, corrected, 0.02)
    skewed = one(runs, "smearing").copies
    yield claim(
        "7.2", "Duan's smearing finds the mean, noise of log prices skewed", 1.0, study.mean(skewed["smeared"]), 0.012
    )
    yield control(
        "7.2",
        "exp(eta + scale^2 / 2) finds the mean, noise of log prices skewed",
        1.0,
        study.mean(skewed["normal"]),
        0.012,
    )


def returns(runs: Runs) -> Iterator[Claim]:
    found = one(runs, "ticks").copies
    for price in (12.5, 25.0, 50.0):
        known = rounded_returns(price)
        square, product, still = known.square, known.product, known.still
        what = f"log returns of a stock of {price:g} ticks that moves by 2 % a day"
        yield claim(
            "7.3", f"{what}: their variance over 0.02^2", square, study.mean(found[f"square/{price:g}"]), 0.05 * square
        )
        estimate = study.ratio_of_means(-found[f"product/{price:g}"], found[f"square/{price:g}"])
        yield claim("7.3", f"{what}: minus the correlation of neighbours", -product / square, estimate, 0.02)
        yield claim("7.3", f"{what}: share of days without a move", still, study.mean(found[f"still/{price:g}"]), 0.01)
        formula = study.exactly(1 + 1 / (6 * (price * SIGMA) ** 2))
        if price == 12.5:
            yield control("7.3", f"{what}: the rule 1 + tick^2 / (6 p^2 sigma^2)", square, formula, 0.05 * square)
        else:
            yield claim("7.3", f"{what}: the rule 1 + tick^2 / (6 p^2 sigma^2)", square, formula, 0.05 * square)
    cheap = study.mean(found["square/25"])
    yield control("7.3", "rounding does not matter at 25 ticks: variance over 0.02^2", 1.0, cheap, 0.05)


def repaired(runs: Runs) -> Iterator[Claim]:
    for price in CENTS:
        naive, censored = (scales(runs, noise, price) for noise in ("lognormal", "interval_lognormal"))
        what = f"of prices of {price:g} ticks, over the true one"
        yield claim("7.3", f"scale {what}, by LogNormal noise", rounded_scale(price), naive, 0.05)
        yield claim("7.3", f"scale {what}, by a likelihood for rounded prices", 1.0, censored, 0.05)
        if price == CENTS[0]:
            yield control("7.3", f"scale {what}, by LogNormal noise: 1", 1.0, naive, 0.05)
    naive, censored = (
        path(runs, noise).copies["scale"] ** 2 / SIGMA**2 for noise in ("lognormal", "interval_lognormal")
    )
    fitted = (STEPS - 4) / STEPS  # two coefficients take two parts, and on a random walk two more (Dickey and Fuller)
    plain, left = fitted * rounded_returns(START, 1, STEPS - 1).square, fitted * censored_variance()
    stock = f"a stock of {START} ticks regressed on the day before, variance over 0.02^2:"
    yield claim(
        "7.3",
        f"{stock} what the likelihood for rounded prices takes away",
        plain - left,
        study.mean(naive - censored),
        0.12,
    )
    yield claim("7.3", f"{stock} what that likelihood leaves", left, study.mean(censored), 0.25)
    yield control("7.3", f"{stock} that likelihood leaves the true one", 1.0, study.mean(censored), 0.25)


def path(runs: Runs, noise: str) -> Run:
    return runs["ex7_paths"].one(noise=noise)
