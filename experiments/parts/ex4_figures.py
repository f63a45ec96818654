"""Figures of exercise 4."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from noiseworks import studies as study
from noiseworks.studies import Figure, Runs
from noiseworks_experiments.parts.ex4_measure import ENTRIES, d
from noiseworks_experiments.parts.ex4_runs import (
    CONDITIONS,
    OPTIMIZERS,
    RIDGES,
    SIGMAS,
    WAYS,
    clean_error,
    noisy,
    null,
    null_path,
    penalized,
    way,
)
from noiseworks_experiments.parts.ex4_theory import covariance, one_copy, truth

LABELS = {
    "plain": "SGD alone",
    "momentum": "with momentum",
    "decay": "with weight decay",
    "fresh": "with fresh noise on X",
}


def figures(runs: Runs) -> Iterator[Figure]:
    yield from (
        condition_figure(runs),
        copy_figure(runs),
        entries_figure(runs),
        null_figure(runs),
        descent_figure(runs),
        ridge_figure(runs),
    )


def condition_figure(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    lines = [
        ("cholesky", "exact_distance", "normal equations, no residuals"),
        ("qr", "exact_distance", "QR, no residuals"),
    ]
    for number, (solver, name, label) in enumerate([*lines, ("qr", "distance", "QR, residuals")]):
        errors = [runs["ex4_solvers"].one(solver=solver, design=kappa).copies[name] for kappa in CONDITIONS]
        study.estimates(axes, CONDITIONS, [study.quantile(error, 0.5) for error in errors], label, number)
    for power, start in ((1, 1e-17), (2, 1e-17)):
        study.theory(
            axes, CONDITIONS, [start * kappa**power for kappa in CONDITIONS], "slopes 1 and 2" if power == 1 else "_"
        )
    axes.set(xscale="log", yscale="log", xlabel="condition of X", ylabel="relative error of w")
    axes.legend()
    return Figure(
        "4.1",
        alt="On logarithmic scales straight lines: steep for X'X, and for QR where there are residuals.",
        caption="Median relative error of the weights in float64, with 99 % intervals; dashed: slopes 1 and 2.",
        drawing=drawing,
    )


def copy_figure(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    noise = [runs["ex4_noise"].one({"data.input_noise": sigma}) for sigma in SIGMAS]
    study.estimates(axes, SIGMAS, [study.mean(null(run) ** 2) for run in noise], "null coefficient, against 0")
    study.estimates(axes, SIGMAS, [study.mean(clean_error(run)) for run in noise], "predictions at clean features", 1)
    grid = np.geomspace(0.02, 1.5, 60)
    known = np.array([one_copy(float(sigma), 50) for sigma in grid])
    study.theory(axes, grid, known[:, 0], color=study.COLORS[0])
    study.theory(axes, grid, known[:, 1], label="_", color=study.COLORS[1])
    axes.set(xscale="log", yscale="log", xlabel="noise added once, σ", ylabel="mean squared error")
    axes.legend()
    return Figure(
        "4.2",
        alt="The error of the null coefficient falls from 27 to 0.03 as sigma grows; that of predictions only rises.",
        caption="Least squares on one noisy copy of 50 rows of rank 4 of 5. Less noise makes the null coefficient "
        "wilder, and leaves predictions at clean features alone. Points: simulation with 99 % intervals.",
        drawing=drawing,
    )


def entries_figure(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    copies = {noise: noisy(runs, noise, 20, 0.5).copies for noise in ("normal", "laplace", "correlated")}
    found = {noise: [study.mean(each[f"g{j}{k}"]) for j, k in ENTRIES] for noise, each in copies.items()}
    study.series(axes, range(len(ENTRIES)), found, shift=0.2)
    expected = [float(j == k) for j, k in ENTRIES]
    study.dashes(axes, range(len(ENTRIES)), expected, "identity", size=260, linewidths=1)
    axes.set_xticks(range(len(ENTRIES)), [f"{j + 1}{k + 1}" for j, k in ENTRIES])
    axes.set(xlabel="entry (row, column)", ylabel="what is added, over n σ²")
    axes.set_ylim(-0.1, 1.35)
    axes.legend(ncols=4, loc="upper center")
    return Figure(
        "4.3",
        alt="One on the diagonal and zero beside it; for correlated noise a half beside it.",
        caption="Mean of X'X after noise less X'X before, entry by entry, with 99 % intervals, n = 20; dashes: the "
        "identity. Correlated: the noise of two columns has a correlation of one half.",
        drawing=drawing,
    )


def null_figure(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    for name, style, color in zip(WAYS, ("-", ":", "--", "-"), study.COLORS):
        axes.plot(null_path(way(runs, name))[:, 0], color=color, linestyle=style, linewidth=1.6, label=LABELS[name])
    axes.set(xlabel="step", ylabel="null part of the weights")
    axes.legend()
    return Figure(
        "4.4",
        alt="Two flat lines, plain and momentum; weight decay falls smoothly to zero, fresh noise does so with jumps.",
        caption="The part of the weights along the direction that no row sees, in one run from a random start: plain "
        "steps and momentum leave it alone, weight decay and fresh noise on the features take it away.",
        drawing=drawing,
    )


def descent_figure(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    for optimizer, style, color in zip(OPTIMIZERS, ("-", "--", ":"), study.COLORS):
        for start, width in ((0.0, 2.0), (1.0, 0.9)):
            found = runs["ex4_descent"].one({"model.init_scale": start}, optimizer=optimizer)
            steps, values = found.curve("param/error")
            label = f"{OPTIMIZERS[optimizer]} from {'zero' if start == 0 else 'random starts'}"
            axes.semilogy(steps, values, color=color, linestyle=style, linewidth=width, label=label)
    axes.set(xlabel="step", ylabel="distance to minimum norm")
    axes.legend(loc="center right")
    return Figure(
        "4.4",
        alt="Only the curve of SGD from zero falls to rounding errors; all others stay above a tenth.",
        caption="Mean distance to the answer of minimum norm, 5 rows and 40 columns. The three lines of random starts "
        "lie on each other at the top, those of Adam and AdaGrad from zero below them.",
        drawing=drawing,
    )


def ridge_figure(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    far = [study.mean(penalized(runs, "inverse", r).copies["param/error"]) for r in RIDGES]
    study.estimates(axes, RIDGES, far, "ridge answer, 200 rows")
    grid, C, w = np.geomspace(1e-6, 10, 60), covariance(), truth()
    least = np.linalg.pinv(C) @ C @ w
    path = [np.linalg.norm(np.linalg.solve(C + r * np.eye(d), C @ w) - least) for r in grid]
    study.theory(axes, grid, path, "theory, infinitely many rows")
    axes.set(xscale="log", yscale="log", xlabel="penalty / n", ylabel="distance to minimum norm")
    axes.legend()
    return Figure(
        "4.5",
        alt="A straight line of slope one that bends to the right from a penalty of about one.",
        caption="The ridge answer leaves that of minimum norm in proportion to the penalty, until all is shrunk.",
        drawing=drawing,
    )
