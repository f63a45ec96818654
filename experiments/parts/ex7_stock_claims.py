"""Exercise 7: what is concluded from eight real stocks, and from worlds that have their prices."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from noiseworks import studies as study
from noiseworks.studies import Claim, Interval, Run, Runs, claim, control
from noiseworks_experiments.parts.ex7_runs import each, eight, moved, over_expected, over_stocks
from noiseworks_experiments.parts.ex7_stocks import EXPONENTS

HALF = 0.5  # nearer to the theory than to the other: halfway between 0 and 1
STABLE = 1.7  # Mandelbrot's exponent for the changes of log cotton prices; Student's t of as many degrees has that tail


def spread(runs: Runs) -> Iterator[Claim]:
    sentence = "slope of log |change| in log price, mean of eight stocks: between 1/2, as the root of the price, and 1"
    found, wrong = over_stocks(eight(runs), "slope"), {"0: of one size at any price": 0.0}
    yield claim("7.1", sentence, 0.75, found, 0.25, wrong)
    constant = study.mean(moved(runs, 0).copies["slope"])
    yield control("7.1", f"{sentence}; a world of their prices that adds its noise", 0.75, constant, 0.25)
    for exponent in EXPONENTS:
        found = study.mean(moved(runs, exponent).copies["slope"])
        what = f"slope of log |change| in log price, in a world whose moves grow as the price to the power {exponent:g}"
        wrong = {f"the power {other:g}": other for other in EXPONENTS if other != exponent}
        yield claim("7.1", what, exponent, found, 0.05, wrong)


def gained(runs: Runs) -> Iterator[Claim]:
    stocks = eight(runs)
    promised = {f"power {exponent:g}": gain_expected(stocks, exponent) for exponent in EXPONENTS}
    sentence = "what the log model gains, held out, over what moves in proportion to the price would give, eight stocks"
    wrong = {f"moves as the price to the {name}": promised[name] for name in ("power 0", "power 0.5")}
    yield claim("7.2", f"{sentence}: nearer to 1 than to 0", 1.0, over_expected(stocks), HALF, wrong)
    for exponent in EXPONENTS:
        name = f"power {exponent:g}"
        others = {f"the {other}": value for other, value in promised.items() if other != name}
        what = f"{sentence}; a world of their prices whose moves grow as the price to the {name}"
        yield claim("7.2", what, promised[name], world_gain(runs, exponent), 0.15, others)
    yield control("7.2", f"{sentence}: nearer to 1 than to 0; a world that adds", 1.0, world_gain(runs, 0), HALF)


def gain_expected(run: Run, exponent: float) -> float:
    return float(each(run, f"expected_{exponent:g}").mean() / each(run, "expected_1").mean())


def world_gain(runs: Runs, exponent: float) -> Interval:
    return study.mean(moved(runs, exponent).copies["gain"] / each(eight(runs), "expected_1").mean())


def tails(runs: Runs) -> Iterator[Claim]:
    found, gaussian = over_stocks(eight(runs), "tail"), study.mean(moved(runs, 1).copies["tail"])
    sentence = "1 / degrees of freedom of Student's t for log returns, mean of eight stocks: 1/4, give or take 1/5"
    wrong = {"a stable law's tail, 1 / 1.7": 1 / STABLE, "Cauchy's, 1": 1.0}
    yield claim("7.2", sentence, 0.25, found, 0.2, wrong)
    yield control("7.2", f"{sentence}; Gaussian log returns of as many months", 0.25, gaussian, 0.2)
    sentence = "log returns are Gaussian, or Student's t with more than 20 degrees of freedom (1 / degrees)"
    yield control("7.2", f"{sentence}, mean of eight stocks", 0.0, found, 0.05)
    preferred = each(eight(runs), "months") * each(eight(runs), "tail_gain") > 1  # AIC: a parameter costs a nat
    sentence = "AIC prefers Student's t to the Gaussian for log returns (share of eight): all but one at most"
    yield claim("7.2", sentence, 1.0, study.exactly(np.mean(preferred)), 0.15)
    gaussian = study.mean(moved(runs, 1).copies["aic"])
    yield control("7.2", f"{sentence}; Gaussian log returns of as many months", 1.0, gaussian, 0.15)
