"""Figures of exercise 7."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from noiseworks import studies as study
from noiseworks.data.prices import monthly_prices
from noiseworks.studies import Figure, Interval, Runs
from noiseworks_experiments.parts.ex7_measure import SIGMA, TICKS
from noiseworks_experiments.parts.ex7_runs import CENTS, coverage, one, option, predicted, scales, world
from noiseworks_experiments.parts.ex7_stocks import TICKERS
from noiseworks_experiments.parts.ex7_theory import (
    covered,
    overpriced,
    rounded_returns,
    rounded_scale,
    straight_line,
)

MODELS = {"additive": "additive model", "log": "model of the log price"}


def figures(runs: Runs) -> Iterator[Figure]:
    yield tenths(runs)
    yield sizes(runs)
    yield ames(runs)
    yield biased(runs)
    yield tick_returns(runs)
    yield option_prices(runs)
    yield tick_scales(runs)


def tenths(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    for number, (model, noise) in enumerate(zip(MODELS, ("gaussian", "lognormal"))):
        run, log = world(runs, noise, "lognormal", 0.5), model == "log"
        study.estimates(axes, range(1, 11), [coverage(run, k, log) for k in range(10)], MODELS[model], number)
    exact = [float(covered(straight_line(0.5), 0.5, k, log=False)) for k in range(10)]
    study.theory(axes, range(1, 11), exact, color=study.COLORS[0])
    study.level(axes, 0.95)
    axes.set(xlabel="tenth of x, cheap to dear", ylabel="covered by 95 % intervals")
    axes.legend()
    return Figure(
        "7.1",
        alt="The intervals of the additive model cover nearly all prices in the cheapest tenth of x and four "
        "fifths in the "
        "dearest; those of the log model cover 95 % in each.",
        caption="Prices that err by 50 %, by tenths of the feature x: how many the 95 % intervals cover. "
        "Points: fits of 5,000 "
        "prices; dashed: theory for the additive model.",
        drawing=drawing,
    )


def sizes(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    for number, ticker in enumerate(TICKERS):
        path = monthly_prices(ticker)
        last, change = path[:-1], np.abs(np.diff(path))
        groups = np.array_split(np.argsort(last), max(2, len(last) // 50))
        at = [float(np.exp(np.log(last[group]).mean())) for group in groups]
        size, color = [change[group].mean() for group in groups], study.COLORS[number % len(study.COLORS)]
        axes.plot(at, size, marker="osD^vP<>"[number], markersize=4, linewidth=0.8, color=color, label=ticker)
    line = np.array([0.1, 3000])
    study.theory(axes, line, 0.07 * line, label="7 % of the price")
    axes.set(xscale="log", yscale="log", xlabel="price last month (dollars)", ylabel="mean change (dollars)")
    axes.legend(fontsize=8, ncols=2)
    return Figure(
        "7.1",
        alt="Changes of eight stocks grow nearly in proportion to the price over four decades.",
        caption="How much a price moves in a month: eight shipped stocks, each point the mean of some fifty months. "
        "Noise of one size at any price would be a flat line.",
        drawing=drawing,
    )


def ames(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    study.series(axes, range(1, 11), {MODELS[model]: by_tenth(runs, model) for model in MODELS}, shift=0.2)
    study.level(axes, 0.95)
    axes.set(xlabel="tenth of the houses by predicted price, cheap to dear", ylabel="covered by 95 % intervals")
    axes.legend()
    return Figure(
        "7.2",
        alt="Additive: all cheap houses are covered, and three quarters of the dearest; the log model stays near 95 %.",
        caption="Houses in Ames, each held out: area and age, by an additive model and by one of the log price.",
        drawing=drawing,
    )


def by_tenth(runs: Runs, model: str) -> list[Interval]:
    """The share of the houses that are covered, from the cheapest tenth to the dearest."""
    copies = one(runs, "houses").copies
    tenth = np.minimum(copies[f"rank_{model}"] * 10, 9).astype(int)
    return [study.proportion(copies[f"covered_{model}"][tenth == k]) for k in range(10)]


def biased(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    s = np.linspace(0, 1, 50)
    study.theory(axes, s, np.exp(-(s**2) / 2))
    ways = {"exp(η)": False, "exp(η + s² / 2)": True}
    found = {label: [study.mean(predicted(runs, s, way)) for s in (0.5, 0.8)] for label, way in ways.items()}
    study.series(axes, [0.5, 0.8], found)
    study.level(axes, 1)
    axes.set(xlabel="spread s of log prices", ylabel="predicted / true mean price")
    axes.legend()
    return Figure(
        "7.2",
        alt="exp(eta) falls below the mean along the curve of theory; with the correction the ratio is one.",
        caption="The cost of the logarithm: exp(η), η the predicted log price, is the median. Dashed: exp(−s² / 2).",
        drawing=drawing,
    )


def tick_returns(runs: Runs) -> Figure:
    drawing, (left, right) = study.panels(2)
    copies, prices = one(runs, "ticks").copies, [float(price) for price in np.geomspace(12.5, 200, 9)]
    exact = [rounded_returns(price) for price in prices]
    study.estimates(left, TICKS, [study.mean(copies[f"square/{price:g}"]) for price in TICKS], "returns")
    pairs = [(-copies[f"product/{price:g}"], copies[f"square/{price:g}"]) for price in TICKS]
    study.estimates(right, TICKS, [study.ratio_of_means(*pair) for pair in pairs], "returns", 1)
    study.theory(left, prices, [known.square for known in exact], color=study.COLORS[0])
    study.theory(right, prices, [-known.product / known.square for known in exact], color=study.COLORS[1])
    fine = np.geomspace(11, 220, 60)
    study.rule(left, fine, 1 + 1 / (6 * (fine * SIGMA) ** 2), "the rule", linewidth=1.5)
    left.set(ylabel="variance of returns / 0.02²")
    right.set(ylabel="− correlation of returns")
    for axes in (left, right):
        axes.set(xscale="log", xlabel="price (ticks)")
        study.ticks(axes, TICKS)
        axes.legend()
    return Figure(
        "7.3",
        alt="Below a hundred ticks the variance of returns rises, to three times the true one; neighbours correlate.",
        caption="Log returns of prices that move by 2 % a day, seen through a tick; right: of one day with the "
        "next. Dashed: theory; "
        "dotted: the rule 1 + tick² / (6 p² 0.02²), which fails below 25 ticks.",
        drawing=drawing,
    )


def option_prices(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    fine = [float(price) for price in np.geomspace(12.5, 200, 9)]
    exact = [rounded_returns(price) for price in fine]
    found = {
        "volatility of returns": [option(runs, price, corrected=False) for price in TICKS],
        "less what neighbours share": [option(runs, price, corrected=True) for price in TICKS],
    }
    study.series(axes, TICKS, found)
    study.theory(axes, fine, [overpriced(known.square) for known in exact], color=study.COLORS[0])
    corrected = [overpriced(known.square + 2 * known.product) for known in exact]
    study.theory(axes, fine, corrected, label="_", color=study.COLORS[1])
    study.level(axes, 1)
    axes.set(xscale="log", xlabel="price (ticks)", ylabel="price of the option / right price")
    study.ticks(axes, TICKS)
    axes.legend()
    return Figure(
        "7.3",
        alt="At 12.5 ticks the option is priced four fifths too high, at 25 ticks three tenths; corrected it is right "
        "from 25 ticks on.",
        caption="An option to buy at today's price in 100 days, by Black and Scholes at a volatility estimated "
        "from rounded prices, and at one corrected by twice the covariance of neighbours. Dashed: theory.",
        drawing=drawing,
    )


def tick_scales(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    noises = {"LogNormal likelihood": "lognormal", "likelihood for rounded prices": "interval_lognormal"}
    found = {label: [scales(runs, noise, price) for price in CENTS] for label, noise in noises.items()}
    study.series(axes, CENTS, found)
    fine = np.geomspace(2, 12, 60)
    study.theory(axes, fine, [rounded_scale(price) for price in fine], color=study.COLORS[0])
    study.level(axes, 1)
    axes.set(xscale="log", xlabel="price (ticks)", ylabel="estimated / true scale")
    study.ticks(axes, CENTS)
    axes.legend()
    return Figure(
        "7.3",
        alt="LogNormal noise overstates the spread of cheap prices; the likelihood for rounded prices does not.",
        caption="Prices with a spread of 20 %, rounded to ticks: what two likelihoods make of it. Dashed: theory for "
        "LogNormal noise.",
        drawing=drawing,
    )
