"""Figures of exercise 6."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from noiseworks import studies as study
from noiseworks.studies import Figure, Runs
from noiseworks_experiments.parts.ex6_measure import SHARES
from noiseworks_experiments.parts.ex6_runs import FEATURES, OUTPUTS, SCALES, column, decayed, halfway, sizes


def figures(runs: Runs) -> Iterator[Figure]:
    yield slow_start(runs)
    yield times(runs)
    yield losses(runs)
    yield stairs(runs)
    yield sizes_left(runs)


def slow_start(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    sweep = runs["ex6_descent"]
    end = sizes(sweep.one({"model.init_scale": 0.0}, model="linear"))[-1, 0]
    shown = [("linear", 0.0, "one layer, from zeros"), *(("two_layer", s, f"two layers, from {s:g}") for s in SCALES)]
    for number, (model, scale, label) in enumerate(shown):
        size = sizes(sweep.one({"model.init_scale": scale}, model=model))[:, 0] / end
        style = ["--", "-", "-.", ":", (0, (5, 1, 1, 1, 1, 1))][number]
        axes.plot(np.arange(len(size)) + 1, size, linestyle=style, color=study.COLORS[number], label=label)
    axes.set(xlabel="step", ylabel="|w| over its final size", xlim=(0, 90))
    axes.legend(loc="lower right")
    return Figure(
        "6",
        alt="One layer rises at once; two layers stay near zero, the longer the smaller their first weights, and then "
        "rise along the same curve, moved to the right by equal steps.",
        caption="Gradient descent on one sample. First weights ten times smaller always move the curve of two "
        "layers to "
        "the right by the same number of steps; from zeros it would never rise. |w| is the size of the product.",
        drawing=drawing,
    )


def times(runs: Runs) -> Figure:
    drawing, axes = study.panels(height=3.0)
    single = runs["ex6_descent"].one({"model.init_scale": 0.0}, model="linear")
    steps_each = 1 / np.log1p(sizes(single)[0])  # lr |X'y / n| is the size of the first step
    for number, (model, label) in enumerate((("two_layer", "two layers"), ("linear", "one layer"))):
        found = [study.mean(halfway(runs, model, scale)) for scale in SCALES]
        study.estimates(axes, SCALES, found, label, number)
    anchor = halfway(runs, "two_layer", 1e-3)
    study.theory(axes, SCALES, [float(np.mean(anchor + np.log(1e-3 / s) * steps_each)) for s in SCALES])
    axes.set(xscale="log", xlabel="size of the first weights", ylabel="steps to half of |w|")
    axes.legend()
    return Figure(
        "6",
        alt="For two layers the steps grow on a straight line as the first weights shrink on a logarithmic scale; for "
        "one layer they stay the same.",
        caption="Mean over samples, with 99 % intervals. Dashed: theory for the slope, through the point at 0.001.",
        drawing=drawing,
    )


def losses(runs: Runs) -> Figure:
    drawing, axes = study.panels(height=2.8)
    found, theory = [], []
    for width in OUTPUTS:
        copies = runs["ex6_rank"].one(width=width, lr=0.04).copies
        found.append(study.mean(copies["loss"] / copies["one_layer"]))
        theory.append(float(np.mean(copies["best"] / copies["one_layer"])))
    study.estimates(axes, OUTPUTS, found, "gradient descent on two layers")
    study.theory(axes, OUTPUTS, theory, "best map of this rank")
    study.level(axes, 1)
    axes.set(xticks=OUTPUTS, xlabel="width of the layer between (4 outputs)", ylabel="loss over that of one layer")
    axes.legend()
    return Figure(
        "6",
        alt="The loss falls from several times that of one layer at width 1 to exactly that of one layer at width 4.",
        caption="With several outputs a narrow layer between costs rank. It never gains: one layer is the line at 1.",
        drawing=drawing,
    )


def stairs(runs: Runs) -> Figure:
    drawing, panels = study.panels(columns=2, sharey=True)
    for axes, layers, title in zip(panels, (2, 1), ("two layers", "one layer"), strict=True):
        run = runs["ex6_staircase"].one(layers=layers, decay=0.0)
        lr, t, s = float(run.params["lr"]), np.linspace(0, 24, 400), column(run, "value")[0]
        for j, origin in enumerate(column(run, "origin")[0]):
            logistic = 1 / (1 + (s[j] / origin - 1) * (1 + lr * s[j]) ** (-2 * t / lr))
            curve = s[j] * (logistic if layers == 2 else 1 - (1 - lr) ** (t / lr))
            study.theory(axes, t, curve, "_", study.COLORS[j])
            axes.annotate(f"value {j + 1}", (24, s[j]), (0, 3), textcoords="offset points", ha="right")
            at = [run.copies[f"passes_{share}_{j + 1}"][0] for share in SHARES]
            look = {"color": study.COLORS[j], "marker": "osD^"[j], "markersize": 4, "linestyle": ""}
            axes.plot(at, s[j] * np.array(SHARES), **look)
        axes.set(xlabel="lr times steps", title=title, xlim=(0, 24))
    panels[0].set_ylabel("singular values of the map")
    return Figure(
        "6",
        alt="With two layers four singular values rise one after the other, the greatest first, each along its dashed "
        "logistic curve; with one layer all four rise at once.",
        caption="One sample with white X and weights that begin near 0.001; marked is when each value passes 2, 10, "
        "30, 50, 70, 90 and 98 % of its end. Dashed: theory, which knows the first weights and nothing that follows.",
        drawing=drawing,
    )


def sizes_left(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    decays = sorted(float(run.params["decay"]) for run in runs["ex6_norm"])
    known = [runs["ex6_norm"].one(decay=decay) for decay in decays]
    for number, (model, answer) in enumerate((("two_layer", "norm"), ("linear", "ridge"))):
        found = [np.linalg.norm(decayed(runs, model, decay)[0]) for decay in decays]
        look = {"color": study.COLORS[number], "marker": "os"[number], "markersize": 5, "linestyle": ""}
        axes.plot(decays, found, label=("two layers", "one layer")[number], **look)
        least = [np.linalg.norm(column(run, answer, FEATURES)[0]) for run in known]
        label = ("least of loss + decay |w|", "least of loss + decay / 2 |w|²")[number]
        study.theory(axes, decays, least, label, study.COLORS[number])
    pull = known[0].copies["pull_1"][0]
    axes.axvline(pull, color=study.INK, linewidth=0.8)
    axes.annotate("|X'y / n|", (pull, 1.05), (4, 0), textcoords="offset points")
    axes.set(xlabel="weight decay", ylabel="|w| at the end")
    axes.legend()
    return Figure(
        "6",
        alt="With two layers |w| falls on a nearly straight line to zero, which it reaches at |X'y / n|; with one "
        "layer it falls ever more slowly and never gets there.",
        caption="One sample. The same weight decay is another penalty on two layers than on one: a norm and not its "
        "square. Dashed, from point to point: the two least values, computed without descent.",
        drawing=drawing,
    )
