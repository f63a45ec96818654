"""Figures of exercise 5."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from noiseworks import studies as study
from noiseworks.studies import Figure, Interval, Runs
from noiseworks_experiments.parts.ex5_measure import NOISES
from noiseworks_experiments.parts.ex5_runs import SIZES, STEPS, TITLES, level, price, relative, repaired, steady, walked
from noiseworks_experiments.parts.ex5_theory import cross_entropy, efficiency, expected, limit
from noiseworks_experiments.parts.ex5_walks import AT, TRUE, B, D
from noiseworks_experiments.parts.hopping import Hopping, squared_floor

KINDS = {  # of floors: noise model, scale of the label noise
    "squared, label noise": ("gaussian", 1.0),
    "absolute, label noise": ("laplace", 1.0),
    "absolute, no label noise": ("laplace", 1e-12),
}


def figures(runs: Runs) -> Iterator[Figure]:
    yield prices(runs)
    yield efficiencies(runs)
    yield trajectories(runs)
    yield floors(runs)
    yield remedies(runs)
    yield falling(runs)


def prices(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    for number, assumed in enumerate(NOISES):
        at = np.arange(3) + 0.15 * (number - 1)
        study.estimates(axes, at, [price(runs, truth, assumed) for truth in NOISES], TITLES[assumed], number)
        exact = [cross_entropy(truth, assumed) - cross_entropy(truth, truth) for truth in NOISES]
        study.dashes(axes, at, exact, "theory" if number == 2 else None)
    axes.set(ylabel="nats an example, above the best", ylim=(-0.005, None))
    axes.set_xticks(range(3), [f"truth: {TITLES[truth]}" for truth in NOISES], fontsize=8)
    axes.legend(title="assumed", fontsize=8)
    return Figure(
        "5.1",
        alt="Three groups; in each the true noise is at zero, and the others lie above it, on the dashes of theory.",
        caption="What it costs on 8,000 new rows to assume each noise model, the scale fitted, with 99 % intervals "
        "over data sets.",
        drawing=drawing,
    )


def efficiencies(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    n = np.geomspace(8, 3000, 40)
    for number, truth in enumerate(NOISES[:2]):
        color = study.COLORS[number]
        study.theory(axes, n, [efficiency(truth, int(size)) for size in n], label="_", color=color)
        study.estimates(axes, SIZES, [relative(runs, truth, size) for size in SIZES], TITLES[truth], number)
        axes.axhline(limit(truth), color=color, linewidth=0.8, linestyle=":")
    study.level(axes, 1)
    axes.set(xscale="log", xlabel="observations n", ylabel="var(least squares) / var(absolute loss)")
    axes.legend()
    return Figure(
        "5.2",
        alt="The curve for Laplace noise rises from 1 towards 2; that for Gaussian noise stays near 0.64.",
        caption="How many observations least squares needs for each one of the absolute loss. Points: simulation with "
        "99 % intervals; dashed: theory for that n; dotted: the limits 2 and 2 / pi.",
        drawing=drawing,
    )


def trajectories(runs: Runs) -> Figure:
    drawing, panels = study.panels(2, sharey=True)
    for axes, scale, title in zip(panels, (1.0, 1e-12), ("with label noise", "no label noise")):
        for noise, color, label in zip(("laplace", "gaussian"), study.COLORS, ("absolute loss", "squared loss")):
            run = steady(runs, noise, scale, 0.1)
            path = [run.trajectory[f"x{j}"][:: int(run.params["replicates"])][:400] for j in range(D)]
            apart = np.sqrt(sum((w - true) ** 2 for w, true in zip(path, TRUE)))
            axes.semilogy(np.maximum(apart, 1e-6), color=color, linewidth=1, label=label)
        axes.set(xlabel="step", title=title)
    panels[0].set(ylabel="distance to the true weights")
    panels[1].legend()
    return Figure(
        "5.3",
        alt="Left: both losses stop falling near 0.2. Right: squared loss falls without end, absolute loss stays near "
        "0.07.",
        caption="One run each at lr = 0.1. With label noise both losses hop; without it squared loss arrives (cut at "
        "1e-6).",
        drawing=drawing,
    )


def floors(runs: Runs) -> Figure:
    drawing, (left, right) = study.panels(2)
    exact = Hopping(D, B)
    found = [study.mean(level(steady(runs, "laplace", 1.0, lr))) for lr in STEPS]
    study.estimates(left, STEPS, found, "absolute loss", 1)
    study.theory(left, STEPS, [exact.gap(exact.floor(lr)) for lr in STEPS])
    study.rule(left, STEPS, [lr * D / (4 * B) for lr in STEPS], "lr d / (4 B)")
    left.set(ylabel="loss gap, with label noise")
    study.series(right, STEPS, {label: squares(runs, noise, scale) for label, (noise, scale) in KINDS.items()})
    study.theory(right, STEPS, [squared_floor(lr, D, B) for lr in STEPS], label="_", color=study.COLORS[0])
    study.theory(right, STEPS, [D * exact.floor(lr) for lr in STEPS], label="_", color=study.COLORS[1])
    right.set(ylabel="squared distance to the true weights")
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlabel="learning rate")
        study.ticks(axes, STEPS[::2])
        axes.legend(fontsize=8)
    return Figure(
        "5.3",
        alt="On log-log axes the loss gap and two of the squared distances have slope 1, that without noise has slope "
        "2.",
        caption="Where SGD stays, against the step size: Laplace noise for absolute loss, Gaussian for squared loss. "
        "Points: means over runs and steps, with 99 % intervals; dashed: theory.",
        drawing=drawing,
    )


def squares(runs: Runs, noise: str, scale: float) -> list[Interval]:
    """E|w - w*|^2 at each step."""
    return [study.mean(level(steady(runs, noise, scale, lr), 2)) for lr in STEPS]


def remedies(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    schedules = ["constant", "inverse_sqrt", "cosine"]
    for number, averaging in enumerate((False, True)):
        at = np.arange(3) + 0.1 * number
        found = [repaired(runs, schedule, averaging) for schedule in schedules]
        study.estimates(axes, at, found, "mean of the last half" if averaging else "last iterate", number)
        exact = [expected(schedule, averaging) for schedule in schedules]
        study.dashes(axes, at, exact, "theory" if averaging else None)
    least = D / (2 * B * 1000)
    axes.axhline(least, color=study.INK, linewidth=0.8, linestyle=":", label="d / (2 n), n = 10,000")
    axes.set(yscale="log", ylabel="loss gap after 1,000 steps")
    axes.set_xticks(range(3), ["constant step", "step / sqrt(1 + t / 100)", "cosine to 0"])
    axes.legend(fontsize=8)
    return Figure(
        "5.3",
        alt="The last iterate at a constant step is at 0.03; falling steps and averages lie between 0.008 and 0.0006.",
        caption="The loss gap after the same 10,000 examples without a repair (left, last iterate) and with five: a "
        "step that falls, the mean of the iterates, or both. Dotted: the exact answer on all these examples.",
        drawing=drawing,
    )


def falling(runs: Runs) -> Figure:
    drawing, panels = study.panels(2, sharey=True)
    titles = {"constant": "constant step", "inverse": "1 / (5 + t)", "geometric": "0.2 * 0.99^t", "polyak": "Polyak"}
    for axes, noise, title in zip(panels, (1.0, 0.0), ("with label noise", "no label noise")):
        for number, (rule, label) in enumerate(titles.items()):
            apart = [walked(runs, noise, rule, t).mean() for t in AT]
            look = {"color": study.COLORS[number], "marker": "os^D"[number], "markersize": 4, "linewidth": 1}
            axes.loglog(AT, apart, label=label, **look)
        axes.set(xlabel="step", title=title, ylim=(1e-6, 2))
    panels[0].set(ylabel="mean distance to the true weights")
    panels[0].legend(fontsize=8, loc="lower left")
    return Figure(
        "5.3",
        alt="Left: 1 / (5 + t) falls on, the falling factor levels off, the constant step stays above both and "
        "Polyak's step highest. Right: the constant step stays, 1 / (5 + t) falls on a line, the factor ever faster, "
        "and Polyak's step is gone after thirty.",
        caption="Four kinds of steps on the same minibatches, the mean of 500 runs, cut at 1e-6. Without label noise "
        "the minimum is sharp, and steps that fall by a factor converge by it.",
        drawing=drawing,
    )
