"""Figures of exercise 4."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from noiseworks import studies as study
from noiseworks.studies import Figure, Runs
from noiseworks_experiments.parts.ex4_measure import ENTRIES, covariance, d, truth
from noiseworks_experiments.parts.ex4_runs import (
    BASES,
    CONDITIONS,
    HIGHER,
    ONCE,
    OPTIMIZERS,
    RIDGES,
    SIGMAS,
    WAYS,
    noisy,
    null_path,
    once,
    penalized,
    way,
)
from noiseworks_experiments.parts.ex4_theory import one_copy

LABELS = {
    "plain": "SGD alone",
    "momentum": "with momentum",
    "decay": "with weight decay",
    "fresh": "with fresh noise on X",
}


def figures(runs: Runs) -> Iterator[Figure]:
    yield from (
        valley_figure(runs),
        condition_figure(runs),
        copy_figure(runs),
        entries_figure(runs),
        null_figure(runs),
        descent_figure(runs),
        bases_figure(runs),
        ridge_figure(runs),
    )


def valley_figure(runs: Runs) -> Figure:
    drawing, both = study.panels(columns=2, width=7.2, height=3.4, sharey=True)
    for axes, design, title in zip(both, ("sum", "full"), ("rank 4: a line of optima", "rank 5: one optimum")):
        grid = runs["ex4_valley"].one(design=design).copies
        side = math.isqrt(len(grid["rise"]))
        across, along, rise = (grid[name].reshape(side, side) for name in ("across", "along", "rise"))
        axes.contour(across, along, rise, levels=[0.05, 0.2, 0.5, 1.0, 1.6], colors=study.COLORS[0], linewidths=1.4)
        if design == "sum":
            axes.axvline(0, color=study.COLORS[1], linewidth=1.8)
        else:
            axes.plot([0], [0], "o", color=study.COLORS[1], markersize=5)
        axes.set(xlabel="step along x3", title=title, xticks=[-2, -1, 0, 1, 2])
    both[0].set(ylabel="step along v")
    return Figure(
        "4.1",
        alt="Left: contours are straight lines along v, with a line of optima in the middle. Right: they are ellipses "
        "around one point.",
        caption="Contours of the loss beside an optimum, in the plane of v and of the weight of x3. Left X v = 0: a "
        "valley with a flat floor. Right a fifth column of its own: a bowl.",
        drawing=drawing,
    )


def condition_figure(runs: Runs) -> Figure:
    drawing, axes = study.panels(height=3.8)
    lines = [
        ("ex4_solvers", "cholesky", "exact_distance", CONDITIONS, "normal equations, no residuals"),
        ("ex4_solvers", "qr", "exact_distance", [*CONDITIONS, HIGHER[-1]], "QR, no residuals"),
        ("ex4_solvers", "qr", "distance", CONDITIONS, "QR, residuals"),
        ("ex4_precision", "cholesky", "exact_distance", CONDITIONS[:1], "normal equations, float32"),
        ("ex4_precision", "qr", "exact_distance", CONDITIONS[:2], "QR, float32, no residuals"),
    ]
    for number, (experiment, solver, name, conditions, label) in enumerate(lines):
        errors = [runs[experiment].one(solver=solver, design=kappa).copies[name] for kappa in conditions]
        study.estimates(axes, conditions, [study.quantile(error, 0.5) for error in errors], label, number)
    for power, start, label in ((1, 1e-17, "slopes 1 and 2"), (2, 1e-17, "_")):
        study.theory(axes, CONDITIONS, [start * kappa**power for kappa in CONDITIONS], label)
    axes.set(xscale="log", yscale="log", xlabel="condition of X", ylabel="relative error of w", ylim=(1e-17, 1e5))
    axes.legend(ncols=2, loc="upper center")
    return Figure(
        "4.1",
        alt="On logarithmic scales straight lines: steep for X'X, and for QR where there are residuals; those of "
        "float32 lie nearly nine powers of ten higher.",
        caption="Median relative error of the weights, in float64 if nothing else is said, with 99 % intervals; "
        "dashed: slopes 1 and 2. In float32 the normal equations have no digit left at 1e5, and are not drawn.",
        drawing=drawing,
    )


def copy_figure(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    noise = [once(runs, sigma).copies for sigma in SIGMAS]
    study.estimates(axes, SIGMAS, [study.mean(each["null"] ** 2) for each in noise], "null coefficient, against 0")
    study.estimates(axes, SIGMAS, [study.mean(each["clean"]) for each in noise], "predictions at clean features", 1)
    grid = np.geomspace(0.02, 1.5, 60)
    known = np.array([one_copy(float(sigma), ONCE) for sigma in grid])
    study.theory(axes, grid, known[:, 0], color=study.COLORS[0])
    study.theory(axes, grid, known[:, 1], label="_", color=study.COLORS[1])
    axes.set(xscale="log", yscale="log", xlabel="noise added once, σ", ylabel="mean squared error")
    axes.legend()
    return Figure(
        "4.2",
        alt="The error of the null coefficient falls from 185 to 0.25 as sigma grows; that of predictions only rises.",
        caption="Least squares on one noisy copy of 12 rows of rank 4 of 5. Less noise makes the null coefficient "
        "wilder, and leaves predictions at clean features alone. Points: simulation with 99 % intervals.",
        drawing=drawing,
    )


def entries_figure(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    copies = {noise: noisy(runs, noise, ONCE, 2.0).copies for noise in ("normal", "laplace", "correlated")}
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
        caption="Mean of X'X after noise less X'X before, entry by entry, with 99 % intervals, n = 12; dashes: the "
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


def bases_figure(runs: Runs) -> Figure:
    drawing, axes = study.panels(height=2.8)
    for number, (name, label) in enumerate(
        {"distance": "from minimum norm", "turned": "between the ends in two bases"}.items()
    ):
        values = [runs["ex4_bases"].one(stepper=stepper, start=0.0).copies[name] for stepper in BASES]
        middle = [max(float(np.median(each)), 1e-16) for each in values]
        places = np.arange(len(BASES)) + 0.24 * (number - 0.5)
        axes.plot(middle, places, "os"[number], color=study.COLORS[number], label=label)
    axes.set(xscale="log", xlim=(1e-17, 30), xlabel="distance of the weights (median)")
    axes.set_yticks(range(len(BASES)), list(BASES.values()))
    axes.invert_yaxis()
    axes.legend(loc="lower left")
    return Figure(
        "4.4",
        alt="For SGD and LBFGS both distances are rounding errors; for Adam, AdaGrad and RMSprop both are tenths.",
        caption="From zero, 5 rows and 40 columns: how far each optimizer ends from the answer of minimum norm, and "
        "how far from where it ends when the features are rotated (and its answer turned back).",
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
