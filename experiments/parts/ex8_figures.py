"""Figures of exercise 8."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from noiseworks import studies as study
from noiseworks.noise import Poisson
from noiseworks.studies import Figure, Runs
from noiseworks_experiments.parts.counts import Z, tensor
from noiseworks_experiments.parts.ex8_logarithm import RARE
from noiseworks_experiments.parts.ex8_measure import RATES, SAMPLERS
from noiseworks_experiments.parts.ex8_runs import (
    TITLES,
    against_oracle,
    covers,
    descent,
    of_counts,
    of_dispersed,
    of_rate,
    steps,
)
from noiseworks_experiments.parts.ex8_theory import gap, shrunk, slope_variances, wald_coverage


def figures(runs: Runs) -> Iterator[Figure]:
    yield gap_figure(runs)
    yield apples_figure(runs)
    yield moments_figure(runs)
    yield efficiency_figure(runs)
    yield starts_figure(runs)
    yield coverage_figure(runs)
    yield price_figure(runs)


def gap_figure(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    rates = np.geomspace(0.3, 1000, 60)
    study.theory(axes, rates, [gap(rate) for rate in rates], "divergence, summed")
    study.rule(axes, rates, 1 / (12 * rates), "1 / (12 rate)", study.COLORS[1], linewidth=1)
    study.estimates(axes, RATES[:3], [study.mean(of_rate(runs, r).copies["gap"]) for r in RATES[:3]], "simulation")
    axes.set(xscale="log", yscale="log", xlabel="rate (counts)", ylabel="loss too large by (nats a count)")
    axes.legend()
    return Figure(
        "8.1",
        alt="On logarithmic scales the gap falls on a straight line of slope minus one.",
        caption="What the Gaussian, given the true mean and variance, loses on each Poisson count. It becomes small, "
        "but there is no rate from which on it is nothing.",
        drawing=drawing,
    )


def apples_figure(runs: Runs) -> Figure:
    run, k = runs["ex8_apples"][0], np.arange(22)
    drawing, axes = study.panels()
    axes.bar(k, [run[f"share_observed_{i}"] for i in k], color=study.INK, alpha=0.25, label="households")
    for number, (name, title) in enumerate(TITLES.items()):
        shares, marker = [run[f"share_{name}_{i}"] for i in k], "osD"[number]
        axes.plot(k, shares, marker=marker, markersize=4, linewidth=0.8, color=study.COLORS[number], label=title)
    axes.set(xlabel="apples", ylabel="share of households", xticks=range(0, 22, 3))
    axes.legend()
    return Figure(
        "8.1",
        alt="Bars at 0, 3, 6, 9, 12 and 15 stand out; the Poisson distribution is a hump around four, the negative "
        "binomial falls smoothly, and only that with heaps follows the bars.",
        caption="The apples of 627 households and three distributions that were fitted to them. Apples come by the "
        "pound, three at a time.",
        drawing=drawing,
    )


def moments_figure(runs: Runs) -> Figure:
    drawing, panels = study.panels(columns=2)
    for number, sampler in enumerate(SAMPLERS):
        at = [rate * 1.15 ** (number - 1) for rate in RATES]
        copies = [of_rate(runs, rate, sampler).copies for rate in RATES]
        name = sampler.replace("_", " ")
        study.estimates(panels[0], at, [study.mean(c["mean"] / r) for c, r in zip(copies, RATES)], name, number)
        study.estimates(panels[1], at, [study.mean(c["variance"] / r) for c, r in zip(copies, RATES)], name, number)
    study.theory(panels[0], [0.4, 1200], [1, 1])
    rates = np.geomspace(0.4, 1200, 50)
    study.theory(panels[1], rates, np.ones(50), "1")
    study.theory(panels[1], rates, 1 + rates / 2, "1 + rate / 2", color=study.COLORS[2])
    panels[0].set(xscale="log", xlabel="rate (counts)", ylabel="mean / rate", ylim=(0.98, 1.02))
    panels[1].set(xscale="log", yscale="log", xlabel="rate (counts)", ylabel="variance / rate")
    panels[0].legend(fontsize=8)
    panels[1].legend(fontsize=8)
    return Figure(
        "8.2",
        alt="Left: all means over their rates lie at one. Right: variances of Poisson counts lie at one, those of "
        "negative binomial counts on a rising curve.",
        caption="Mean and variance of counts over the rate, with 99 % intervals. A mean of the rate is not special to "
        "the Poisson distribution; a variance of the rate is.",
        drawing=drawing,
    )


def efficiency_figure(runs: Runs) -> Figure:
    drawing, axes = study.panels(height=2.8)
    spreads, curve = [1.5, 3.0, 6.0], np.geomspace(1.05, 8, 40)
    exact = [slope_variances(100, spread) for spread in curve]
    names = {"maximum likelihood": "mle", "least squares": "ols"}
    found = {label: [against_oracle(runs, name, s) for s in spreads] for label, name in names.items()}
    study.series(axes, spreads, found)
    study.theory(axes, curve, np.ones(len(curve)), label="theory", color=study.COLORS[0])
    study.theory(axes, curve, [e["ols"] / e["bound"] for e in exact], label="_", color=study.COLORS[1])
    axes.set(xscale="log", xlabel="highest rate / lowest rate", ylabel="variance / that with true weights")
    study.ticks(axes, [1, 1.5, 3, 6])
    axes.legend()
    return Figure(
        "8.3",
        alt="Maximum likelihood stays at one; least squares rises with the spread of the rates.",
        caption="Rates that are linear in x: how variable the slope is, against least squares that is told the true "
        "variances. Dashed: theory.",
        drawing=drawing,
    )


def starts_figure(runs: Runs) -> Figure:
    drawing, panels = study.panels(columns=2, sharex=True)
    below = int(np.argmax(descent(runs, "clamp", 0.1).copies["coefficient/intercept"] < 0))
    above = int(np.argmax(descent(runs, "clamp", 0.1).copies["coefficient/intercept"] > 0))
    for axes, start, title in ((panels[0], below, "a start below zero"), (panels[1], above, "a start above zero")):
        for number, link in enumerate(("identity", "clamp", "softplus", "log")):
            path = steps(runs, link, 0.1)[0][:, start]
            rate = Poisson(link=link).mean(tensor(path.copy())).numpy()
            style = (0, (4 + 2 * number, number))
            label = {"identity": "raw"}.get(link, link)
            axes.plot(np.arange(len(rate)) + 1, rate, color=study.COLORS[number], linestyle=style, label=label)
        axes.set(xlabel="step", title=title)
    panels[0].set_ylabel("rate (counts)")
    panels[0].text(
        0.97,
        0.12,
        "raw: failed at the first step",
        transform=panels[0].transAxes,
        ha="right",
        fontsize=8,
    )
    panels[1].legend(fontsize=8)
    return Figure(
        "8.3",
        alt="From below zero the clamped rate stays at zero, softplus and logarithm rise to the answer. From above "
        "zero all four move towards it.",
        caption="Full-batch gradient descent at lr = 0.1 for the rate of 50 counts, two samples; the logarithm "
        "has reached "
        "the mean of each. On the right raw and clamped are one curve.",
        drawing=drawing,
    )


def coverage_figure(runs: Runs) -> Figure:
    drawing, panels = study.panels(columns=2, sharey=True)
    ways = {"information": "information", "HC3": "sandwich (HC3)", "quasi": "quasi-Poisson"}
    dispersed = [of_counts(runs, 200), *(of_dispersed(runs, phi) for phi in (2.0, 5.0))]
    for number, (how, name) in enumerate(ways.items()):
        at = [phi * 1.04 ** (number - 1) for phi in (1, 2, 5)]
        study.estimates(panels[0], at, [covers(run, how) for run in dispersed], name, number)
    phis, totals = np.geomspace(1, 5.2, 40), np.geomspace(0.9, 25, 400)
    study.theory(panels[0], phis, [shrunk(math.sqrt(phi)) for phi in phis], "theory")
    rows = (10, 20, 25, 50, 200)
    rare = [covers(of_counts(runs, n, truth="rare"), "information") for n in rows]
    study.estimates(panels[1], [RARE * n for n in rows], rare, "information")
    study.theory(panels[1], totals, [wald_coverage(total) for total in totals], "exact sum")
    for axes in panels:
        study.level(axes, 0.95, 0.6)
        axes.set(xscale="log")
        axes.legend(fontsize=8)
    panels[0].set(xlabel="variance / mean", ylabel="coverage of intervals at 95 %")
    panels[1].set(xlabel="counts expected in all")
    study.ticks(panels[0], [1, 2, 5])
    study.ticks(panels[1], [1, 2, 5, 20])
    return Figure(
        "8.4",
        alt="Left: coverage by information falls along the dashed curve as variance over mean grows, that of sandwich "
        "and quasi-Poisson stays near 95 per cent. Right: with few counts coverage is a saw.",
        caption="How often intervals at 95 % cover. Left: the slope from 200 counts that are more variable "
        "than Poisson counts. Right: a constant rate, by how many counts are to be expected in the whole sample.",
        drawing=drawing,
    )


def price_figure(runs: Runs) -> Figure:
    run = runs["ex8_apples"][0]
    poisson, nb = run["coefficient_poisson"], run["coefficient_nb"]
    rows = {
        "Poisson, counting apples": (poisson, run["information_poisson"]),
        "Poisson, counting pounds": (poisson, run["information_pounds"]),
        "quasi-Poisson": (poisson, run["quasi_poisson"]),
        "Poisson, sandwich": (poisson, run["HC0_poisson"]),
        "Poisson, bootstrap": (poisson, float(run.copies["bootstrap"].std(ddof=1))),
        "negative binomial": (nb, run["information_nb"]),
    }
    drawing, axes = study.panels(height=2.4)
    for number, (middle, error) in enumerate(rows.values()):
        axes.errorbar(middle, -number, xerr=Z * error, marker="o", color=study.COLORS[number], capsize=3)
    axes.set_yticks(-np.arange(len(rows)), rows)
    axes.set(xlabel="change of the log rate for a dollar a pound", ylim=(-len(rows) + 0.4, 0.6))
    return Figure(
        "8.4",
        alt="The first interval is a third as wide as the last four; counting pounds widens it.",
        caption="The effect of the price of ecological apples on the apples of 627 households, with 95 % "
        "intervals of six "
        "kinds.",
        drawing=drawing,
    )
