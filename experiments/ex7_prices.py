"""Exercise 7: regression for the prices of houses and stocks.

7.1 Additive Gaussian noise is wrong for prices. 7.2 The logarithm repairs it, and what that costs; eight real stocks.
7.3 What ticks do to cheap stock and to the price of an option, and a likelihood that knows of them.

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
from scipy.special import ndtr

from noiseworks import studies as study
from noiseworks.studies import Claim, Interval, Run, Runs, claim, control
from noiseworks_experiments.parts.ex7_figures import figures
from noiseworks_experiments.parts.ex7_measure import ROWS, SKEW, measure
from noiseworks_experiments.parts.ex7_runs import coverage, one, parameters, predicted, world
from noiseworks_experiments.parts.ex7_stock_claims import gained, spread, tails
from noiseworks_experiments.parts.ex7_theory import (
    INTERCEPT,
    SLOPE,
    covered,
    gain,
    loss,
    multiplicative_negative,
    negative_share,
    plug_in_coverage,
    smeared_mean,
    straight_line,
)
from noiseworks_experiments.parts.ex7_tick_claims import likelihoods, options, regressed, returns

__all__ = ["EXPERIMENTS", "claims", "figures", "measure"]

EXPERIMENTS = {
    "ex7_worlds": ["replicates=8"],
    "ex7_paths": ["replicates=10"],
    "ex7_penny": ["replicates=3", "data.num_examples=1000"],
    "ex7_measures": [],
    "ex7_stocks": ["replicates=50"],
    "ex7_moves": ["replicates=5"],
}
TRAIN = 5000  # rows that a fit of ex7_worlds sees, as in its YAML
Array = NDArray[np.float64]


def claims(runs: Runs) -> Iterator[Claim]:
    yield from additive(runs)
    yield from spread(runs)
    yield from logarithm(runs)
    yield from ames(runs)
    yield from gained(runs)
    yield from tails(runs)
    yield from back(runs)
    yield from returns(runs)
    yield from options(runs)
    yield from likelihoods(runs)
    yield from regressed(runs)


def additive(runs: Runs) -> Iterator[Claim]:
    for s, margin in ((0.5, 0.014), (0.8, 0.025)):
        exact = multiplicative_negative(SLOPE**2 + s**2)
        share = study.mean(negative_share(*parameters(world(runs, "gaussian", "lognormal", s))))
        sentence = f"share of prices below zero that the additive model expects, log prices spread by {s}"
        wrong = {"the spread of x forgotten": multiplicative_negative(s**2)}
        wrong["the sd of log prices for sd over mean"] = float(ndtr(-1 / math.hypot(SLOPE, s)))
        yield claim("7.1", sentence, exact, share, margin, wrong)
        sentence = f"the additive model expects no prices below zero, log prices spread by {s}"
        yield control("7.1", sentence, 0.0, share, margin)
    none = study.exactly(negative_share(*parameters(world(runs, "gaussian", "gaussian", 0.5))).max())
    sentence = (
        "largest share of prices below zero that the additive model expects, noise additive and small beside the price"
    )
    wrong = {"as where prices err by percentages": multiplicative_negative(SLOPE**2 + 0.5**2)}
    yield claim("7.1", sentence, 0.0, none, 0.014, wrong)
    for tenth, what, margin in ((0, "cheapest", 0.01), (9, "dearest", 0.02)):
        exact = float(covered(straight_line(0.5), 0.5, tenth, log=False))
        found = coverage(world(runs, "gaussian", "lognormal", 0.5), tenth, log=False)
        sentence = f"share covered by 95 % intervals of the additive model, {what} tenth of x"
        yield claim("7.1", sentence, exact, found, margin, {"95 %, as of all": 0.95})
        yield control("7.1", f"95 % intervals of the additive model cover 95 %, {what} tenth of x", 0.95, found, margin)


def logarithm(runs: Runs) -> Iterator[Claim]:
    for tenth, what in ((0, "cheapest"), (9, "dearest")):
        found = coverage(world(runs, "lognormal", "lognormal", 0.5), tenth, log=True)
        wrong = {"as of the additive model": float(covered(straight_line(0.5), 0.5, tenth, log=False))}
        sentence = f"share covered by 95 % intervals of the log model, {what} tenth of x"
        yield claim("7.2", sentence, plug_in_coverage(tenth, TRAIN), found, 0.01, wrong)
    found, exact = nats(runs, "lognormal", 0.5), gain(0.5)
    mean, slope, scale = straight_line(0.5)
    wrong = {
        "what x explains not taken off": exact + math.log(math.hypot(scale, slope) / scale),
        "the log of the mean for the mean of the log": exact + INTERCEPT - math.log(mean),
    }
    sentence = "what the log model gains, held out, in a multiplicative world (nats a price)"
    yield claim("7.2", sentence, exact, found, 0.06, wrong)
    lost = nats(runs, "gaussian", 0.5)
    sentence = "what the log model loses, held out, in an additive world (nats a price)"
    yield claim("7.2", sentence, loss(0.5), lost, 0.003, {"nothing": 0.0})
    gained = Interval(-lost.estimate, -lost.hi, -lost.lo, lost.standard_error)
    sentence = "the log model gains as much, held out, in an additive world (nats a price)"
    yield control("7.2", sentence, exact, gained, 0.06)
    found = study.mean(world(runs, "lognormal", "lognormal", 0.5).copies["coefficient/x0"])
    wrong = {"exp(coefficient) - 1, a change in per cent": math.expm1(SLOPE)}
    yield claim("7.2", "the coefficient of x, by the log model", SLOPE, found, 0.01, wrong)
    sentence = "the coefficient of x, by the additive model as a share of the mean price at x = 0"
    yield control("7.2", sentence, SLOPE, study.mean(ratio_of_slope(world(runs, "gaussian", "lognormal", 0.5))), 0.01)


def nats(runs: Runs, truth: str, s: float) -> Interval:
    """Mean nll of the wrong model less that of the right one, on the same held-out prices."""
    wrong = "gaussian" if truth == "lognormal" else "lognormal"
    unsuited, right = (world(runs, model, truth, s).copies["test/nll"] for model in (wrong, truth))
    return study.mean(unsuited - right)


def ratio_of_slope(run: Run) -> Array:
    """d E[y | x] / dx over E[y | x] at x = 0, where the truth is SLOPE, as a straight line has it."""
    intercept, slope, _ = parameters(run)
    return slope / math.exp(INTERCEPT + 0.5**2 / 2) * np.ones_like(intercept)


def ames(runs: Runs) -> Iterator[Claim]:
    """No theory: whether the gain lies nearer to a quarter of a nat than to none."""
    sentence = "the log model gains, held out, a quarter of a nat on a house in Ames, give or take an eighth"
    house = one(runs, "houses")
    yield claim("7.2", sentence, 0.25, difference(house, "nll_log"), 0.125, {"none": 0.0})
    yield control("7.2", f"{sentence}, the Jacobian forgotten", 0.25, difference(house, "nll_log_price"), 0.125)
    sentence = "coverage of the cheap half of the houses less that of the dear half"
    wrong = {"as of the additive model, if the log model were true": halves(house, "additive", "expected").estimate}
    yield claim("7.2", f"{sentence}, log model", 0.0, halves(house, "log"), 0.045, wrong)
    yield control("7.2", f"{sentence}, additive model", 0.0, halves(house, "additive"), 0.045)


def difference(run: Run, other: str) -> Interval:
    return study.mean(run.copies["nll_additive"] - run.copies[other])


def halves(run: Run, model: str, what: str = "") -> Interval:
    """+-2 times those covered: the halves are of one size, so that the mean is the difference of two shares."""
    sign, covered_by = np.where(run.copies[f"rank_{model}"] < 0.5, 1.0, -1.0), run.copies[what or f"covered_{model}"]
    return study.mean(2 * sign * (covered_by - covered_by.mean()))


def back(runs: Runs) -> Iterator[Claim]:
    for s in (0.5, 0.8):
        found = study.mean(predicted(runs, s, corrected=False))
        exact = math.exp(-(s**2) / 2 * (1 - 1 / TRAIN))
        wrong = {"scale^2 for its half": math.exp(-(s**2)), "scale / 2 for scale^2 / 2": math.exp(-s / 2)}
        yield claim("7.2", f"exp(eta) over the mean price, log prices spread by {s}", exact, found, 0.02, wrong)
        yield control("7.2", f"exp(eta) is the mean price, log prices spread by {s}", 1.0, found, 0.02)
        corrected = study.mean(predicted(runs, s, corrected=True))
        wrong = {"corrected by scale^2, not its half": math.exp(s**2 / 2), "not corrected": math.exp(-(s**2) / 2)}
        sentence = f"exp(eta + scale^2 / 2) is the mean price, log prices spread by {s}"
        yield claim("7.2", sentence, 1.0, corrected, 0.025, wrong)
    skewed, normal = one(runs, "smearing").copies, math.exp(SKEW + SKEW**2 / 2) * (1 - SKEW)
    sentence = "Duan's smearing finds the mean, noise of log prices skewed"
    wrong = {"as by the correction for normal noise": normal}
    yield claim("7.2", sentence, smeared_mean(ROWS), study.mean(skewed["smeared"]), 0.012, wrong)
    sentence = "exp(eta + scale^2 / 2) finds the mean, noise of log prices skewed"
    yield control("7.2", sentence, 1.0, study.mean(skewed["normal"]), 0.012)
