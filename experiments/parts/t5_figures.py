"""Figures of T5."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from noiseworks import studies as study
from noiseworks.studies import Figure, Runs
from noiseworks_experiments.parts.t5_measure import CANDIDATES, RANDOM
from noiseworks_experiments.parts.t5_runs import RIDGES, errors, gain, known, miss
from noiseworks_experiments.parts.t5_theory import expected, random_miss


def figures(runs: Runs) -> Iterator[Figure]:
    yield of_valley(runs)
    yield of_misses(runs)
    yield of_ridges(runs)
    yield of_winners(runs)


def of_valley(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    valley, least = known(runs)
    fine = np.geomspace(0.01, 1.3, 400)
    study.theory(axes, fine, np.exp(valley.log_excess(fine)), "theory")
    trials = runs["t5_search"]
    found = np.array([(float(run.params["optimizer.lr"]), run["train/rmse"] ** 2 - least) for run in trials])
    axes.plot(*found.T, "o", fillstyle="none", markersize=4, color=study.COLORS[0], label="trials of the search")
    axes.axvline(valley.best, color=study.COLORS[1], linewidth=1, label="best step")
    axes.set(xscale="log", yscale="log", xlim=(0.01, 1.4), ylim=(1e-8, 10))
    axes.set(xlabel="learning rate", ylabel="excess squared error after 30 steps")
    axes.legend(loc="lower left")
    return Figure(
        "T5.1",
        alt="The trials lie on the curve of theory, a narrow valley, and crowd at its bottom.",
        caption="What each trial of the Bayesian search found, on the curve that the eigenvalues give. Steps that are "
        "much too long or too short are outside of the figure.",
        drawing=drawing,
    )


def of_misses(runs: Runs) -> Figure:
    drawing, axes = study.panels(height=3.0)
    valley, _ = known(runs)
    fine = np.arange(3, 101)
    study.theory(axes, fine, [random_miss(valley, trials) for trials in fine], "random search, theory")
    study.estimates(axes, RANDOM, [miss(runs, f"random/{trials}") for trials in RANDOM], "random search")
    study.estimates(axes, [60], [miss(runs, "tpe")], "Bayesian search (TPE)", 1)
    axes.set(xscale="log", yscale="log", ylim=(1e-3, 3), xlabel="trials", ylabel="mean |log(found / best)|")
    axes.legend(loc="lower left")
    return Figure(
        "T5.1",
        alt="The miss of random search falls as one over the trials; Bayesian search with 60 trials is far below it.",
        caption="How far the step that a search finds is from the best one; 99 % intervals.",
        drawing=drawing,
    )


def of_ridges(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    at = np.arange(len(RIDGES))
    parts = {"60 fitted rows": "train", "20 validation rows": "val", "400 test rows": "test"}
    found = {label: [study.mean(values) for values in errors(runs, part)] for label, part in parts.items()}
    study.series(axes, at, found, shift=0.08)
    axes.set_xticks(at, [f"{ridge:g}" for ridge in RIDGES])
    axes.set(xlabel="ridge", ylabel="mean squared error", yscale="log")
    axes.legend()
    return Figure(
        "T5.2",
        alt="The error on fitted rows rises with the ridge; on validation and test rows it is least in between.",
        caption="Mean squared error against the ridge; means over the data sets with 99 % intervals, noise of "
        "variance 1.",
        drawing=drawing,
    )


def of_winners(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    fine = np.unique(np.geomspace(1, 100, 30).astype(int))
    for number, (part, label) in enumerate({"val": "on the validation rows", "test": "on new rows"}.items()):
        study.theory(axes, fine, [expected(int(k))[number] for k in fine], "_" if number else "theory")
        study.estimates(axes, CANDIDATES, [gain(runs, part, k) for k in CANDIDATES], label, number)
    study.level(axes, 0, 0.6)
    axes.set(xscale="log", xlabel="useless models to choose from", ylabel="squared error less that of no model")
    axes.legend()
    return Figure(
        "T5.3",
        alt="With more models to choose from the winner looks ever better on the validation rows; on new rows "
        "it is always "
        "worse than no model, and of many the worst.",
        caption="Mean squared error of the model with the least validation loss, less that of predicting zero, over "
        "the variance of the noise.",
        drawing=drawing,
    )
