"""Exercise 7: what is concluded about prices that are rounded to ticks."""

from __future__ import annotations

import math
from collections.abc import Iterator

from noiseworks import studies as study
from noiseworks.studies import Claim, Run, Runs, claim, control
from noiseworks_experiments.parts.ex7_measure import SIGMA
from noiseworks_experiments.parts.ex7_runs import CENTS, one, option, scales
from noiseworks_experiments.parts.ex7_theory import (
    SPREAD,
    START,
    STEPS,
    call,
    censored_variance,
    overpriced,
    rounded_returns,
    rounded_scale,
)


def returns(runs: Runs) -> Iterator[Claim]:
    found = one(runs, "ticks").copies
    for price in (12.5, 25.0, 50.0):
        known, half = rounded_returns(price), one_error(price)
        what = f"log returns of a stock of {price:g} ticks that moves by 2 % a day"
        square = study.mean(found[f"square/{price:g}"])
        wrong = {"the error of one price for that of two": half}
        yield claim("7.3", f"{what}: their variance over 0.02^2", known.square, square, 0.05 * known.square, wrong)
        estimate = study.ratio_of_means(-found[f"product/{price:g}"], found[f"square/{price:g}"])
        wrong = {"all that rounding adds for its half": 1 - 1 / known.square, "none": 0.0}
        exact = -known.product / known.square
        yield claim("7.3", f"{what}: minus the correlation of neighbours", exact, estimate, 0.02, wrong)
        still = study.mean(found[f"still/{price:g}"])
        wrong = {"the density at zero times a tick": min(1.0, 1 / (price * SIGMA * math.sqrt(2 * math.pi)))}
        yield claim("7.3", f"{what}: share of days without a move", known.still, still, 0.01, wrong)
        holds = control if price == 12.5 else claim
        formula = study.exactly(1 + 1 / (6 * (price * SIGMA) ** 2))
        sentence = f"{what}: the rule 1 + tick^2 / (6 p^2 sigma^2)"
        yield holds("7.3", sentence, known.square, formula, 0.05 * known.square)
    cheap = study.mean(found["square/25"])
    yield control("7.3", "rounding does not matter at 25 ticks: variance over 0.02^2", 1.0, cheap, 0.05)


def one_error(price: float) -> float:
    """The variance over SIGMA^2 if only one of the two prices of a return were rounded."""
    return 1 + 1 / (12 * (price * SIGMA) ** 2)


def options(runs: Runs) -> Iterator[Claim]:
    what = (
        "call of 100 days at the money by Black and Scholes, at the volatility of rounded returns over at the true one"
    )
    for price, margin in ((12.5, 0.03), (25.0, 0.02), (50.0, 0.02)):
        known, found = rounded_returns(price), option(runs, price, corrected=False)
        wrong = {"as the variance": known.square, "the error of one price": overpriced(one_error(price))}
        yield claim("7.3", f"{what}, {price:g} ticks", overpriced(known.square), found, margin, wrong)
        yield control("7.3", f"{what}, {price:g} ticks: 1", 1.0, found, margin)
    known, what = rounded_returns(25.0), "that call with twice the covariance of neighbours added to the variance"
    wrong = {"once": overpriced(known.square + known.product), "as without": overpriced(known.square)}
    exact = overpriced(known.square + 2 * known.product)
    yield claim("7.3", f"{what}, 25 ticks", exact, option(runs, 25.0, corrected=True), 0.03, wrong)
    yield control("7.3", f"{what}, 12.5 ticks: repaired, 1", 1.0, option(runs, 12.5, corrected=True), 0.03)
    paid = study.mean(one(runs, "ticks").copies["payoff"] / call(SIGMA))
    wrong = {"at that of returns rounded at 25 ticks": overpriced(known.square)}
    what = "what such calls pay on average, over their price by Black and Scholes"
    yield claim("7.3", f"{what} at the true volatility", 1.0, paid, 0.09, wrong)
    dear = study.mean(one(runs, "ticks").copies["payoff"] / call(SIGMA * math.sqrt(known.square)))
    yield control("7.3", f"{what} at the volatility of returns rounded at 25 ticks", 1.0, dear, 0.09)


def likelihoods(runs: Runs) -> Iterator[Claim]:
    for price, margin in zip(CENTS, (0.05, 0.04, 0.06)):
        naive, censored = (scales(runs, noise, price) for noise in ("lognormal", "interval_lognormal"))
        what, error = f"of prices of {price:g} ticks, over the true one", 1 / (price * SPREAD)
        wrong = {"standard deviations added, not variances": 1 + error / math.sqrt(12)}
        wrong |= {"variance for standard deviation": 1 + error**2 / 12} if price < 10 else {}
        yield claim("7.3", f"scale {what}, by LogNormal noise", rounded_scale(price), naive, margin, wrong)
        if price < 10:
            wrong = {"as by LogNormal noise": rounded_scale(price)}
            yield claim("7.3", f"scale {what}, by a likelihood for rounded prices", 1.0, censored, margin, wrong)
            yield control("7.3", f"scale {what}, by LogNormal noise: 1", 1.0, naive, margin)


def regressed(runs: Runs) -> Iterator[Claim]:
    """On the price of the day before, which is rounded, too."""
    naive, censored = (
        path(runs, noise).copies["scale"] ** 2 / SIGMA**2 for noise in ("lognormal", "interval_lognormal")
    )
    fitted = (STEPS - 4) / STEPS  # two coefficients take two parts, and on a random walk two more (Dickey and Fuller)
    plain, left = fitted * rounded_returns(START, 1, STEPS - 1).square, fitted * censored_variance()
    stock = f"a stock of {START} ticks regressed on the day before, variance over 0.02^2:"
    sentence = f"{stock} what the likelihood for rounded prices takes away"
    wrong = {"all that rounding adds": plain - fitted, "nothing": 0.0}
    yield claim("7.3", sentence, plain - left, study.mean(naive - censored), 0.12, wrong)
    yield control("7.3", f"{stock} that likelihood leaves the true one", 1.0, study.mean(censored), 0.22)


def path(runs: Runs, noise: str) -> Run:
    return runs["ex7_paths"].one(noise=noise)
