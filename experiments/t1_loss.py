"""The text, 3.1.1.2: squared loss is sensitive to a bad label, absolute loss is not; and the factor 1/2.

Source:  D2L 3.1.1.2, "excessive sensitivity to anomalous data" and "the constant 1/2 makes no real difference".
Command: make exercises EX=T1
Cost:    8 s on 2 cores.
Expect:  squared loss follows a wrong label in proportion, absolute loss stops; one label in ten with ten times the
         spread costs squared loss 10.9 times the variance and absolute loss 1.3 times; r^2 at half the step walks the
         path of r^2 / 2.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from noiseworks import studies as study
from noiseworks.noise import Gaussian, Laplace
from noiseworks.solvers.batched import solve_batch
from noiseworks.studies import Claim, Figure, Interval, Runs, claim, control
from noiseworks_experiments.parts.absolute import slope_variance, weighted_median

EXPERIMENTS = {
    "t1_outlier": ["replicates=20"],
    "t1_half": ["replicates=3"],
    "t1_contaminated": ["replicates=60"],
}
MISTAKES = [10.0, 100.0, 1000.0]
LOSSES = {"squared": Gaussian(), "absolute": Laplace()}
WHOLE, HALF = 0.7071067811865476, 1.0  # noise.scale for which the loss is r^2 and r^2 / 2
SHARE, RATIO, N = 0.1, 10.0, 20  # of bad labels, of their spread to that of the others; rows
Array = NDArray[np.float64]


def measure(cfg) -> dict[str, Array]:
    return {"outlier": outlier, "contaminated": contaminated}[cfg.measure](cfg)


def outlier(cfg) -> dict[str, Array]:
    """How far the slope moves, in units of the standard deviation of the labels' noise over that of the feature, if one
    number of the first row is wrong; and by how much squared loss misses its formula (X'X)^-1 x_1 times the mistake."""
    rng = np.random.default_rng(cfg.seed)  # the same samples for all mistakes
    R, n = cfg.replicates, cfg.num_observations
    x, e = rng.normal(size=(2, R, n))
    y = 1 + x + e
    wrong_x, wrong_y = x.copy(), y.copy()
    (wrong_y if cfg.column == "label" else wrong_x)[:, 0] += cfg.mistake
    found = {}
    for name, noise in LOSSES.items():
        found[name] = np.abs(slopes(noise, wrong_x, wrong_y) - slopes(noise, x, y))
    formula = cfg.mistake * (x[:, 0] - x.mean(axis=1)) / (n * x.var(axis=1))
    return found | {"formula": np.abs(formula)}


def slopes(noise: Gaussian | Laplace, x: Array, y: Array) -> Array:
    X = torch.from_numpy(np.stack([np.ones_like(x), x], axis=2))
    return np.asarray(solve_batch(noise, X, torch.from_numpy(y)).theta[:, 1])


def contaminated(cfg) -> dict[str, Array]:
    """Squared errors of the slope of one feature through the origin, the true slope 0, each the mean over samples:
    <loss>/clean and, of the same samples with some labels made worse, <loss>/bad."""
    rng, found = np.random.default_rng([cfg.seed, 1]), {}
    R, shape = cfg.replicates, (cfg.samples, N)
    for name in ("squared/clean", "squared/bad", "absolute/clean", "absolute/bad"):
        found[name] = np.empty(R)
    for r in range(R):
        x, clean = rng.normal(size=(2, *shape))
        for kind, e in (("clean", clean), ("bad", np.where(rng.random(shape) < SHARE, RATIO, 1.0) * clean)):
            found[f"squared/{kind}"][r] = (((x * e).sum(-1) / (x**2).sum(-1)) ** 2).mean()
            found[f"absolute/{kind}"][r] = (weighted_median(e / x, np.abs(x)) ** 2).mean()
    return found


def variance(loss: str, kind: str) -> float:
    """sigma^2 / (n - 2) of squared loss, with sigma^2 = 1 + share (ratio^2 - 1); both exactly."""
    share = SHARE if kind == "bad" else 0.0
    if loss == "squared":
        return (1 + share * (RATIO**2 - 1)) / (N - 2)
    return slope_variance(lambda e: (1 - share) * stats.norm.cdf(e) + share * stats.norm.cdf(e / RATIO), N)


def claims(runs: Runs) -> Iterator[Claim]:
    yield from outliers(runs)
    yield from bad_labels(runs)
    yield from halves(runs)


def moved(runs: Runs, loss: str, mistake: float, column: str = "label") -> Array:
    return runs["t1_outlier"].one(column=column, mistake=mistake).copies[loss]


def further(runs: Runs, loss: str, column: str = "label") -> Interval:
    """The most that the slope moves when the mistake grows from 100 to 1,000."""
    change = moved(runs, loss, 1000.0, column) - moved(runs, loss, 100.0, column)
    return study.exactly(np.abs(change).max())


def outliers(runs: Runs) -> Iterator[Claim]:
    run = runs["t1_outlier"].one(column="label", mistake=1000.0)
    for loss, kind in (("squared", claim), ("absolute", control)):
        missed = study.exactly(np.abs(run.copies[loss] - run.copies["formula"]).max())
        yield kind("T1", f"the slope under {loss} loss moves by (X'X)^-1 x times the mistake in y", 0.0, missed, 1e-8)
        tenfold = moved(runs, loss, 1000.0).mean() / moved(runs, loss, 100.0).mean()
        yield kind(
            "T1",
            f"the slope under {loss} loss moves ten times as far for ten times the mistake",
            10.0,
            study.exactly(tenfold),
            0.1,
        )
    wrong = "one label wrong by 1,000 instead of 100"
    yield claim("T1", f"absolute loss does not move further: {wrong}", 0.0, further(runs, "absolute"), 1e-9)
    yield control("T1", f"squared loss does not move further: {wrong}", 0.0, further(runs, "squared"), 1e-9)
    wrong = "one feature wrong by 1,000 instead of 100"
    yield control(
        "T1", f"absolute loss does not move further: {wrong}", 0.0, further(runs, "absolute", "feature"), 1e-9
    )


def over(runs: Runs, above: str, below: str) -> Interval:
    """The variance of the slope of above, <loss>/<kind>, over that of below."""
    copies = runs["t1_contaminated"][0].copies
    return study.ratio_of_means(copies[above], copies[below])


def bad_labels(runs: Runs) -> Iterator[Claim]:
    exact = {f"{loss}/{kind}": variance(loss, kind) for loss in LOSSES for kind in ("clean", "bad")}
    limit = {"clean": 2 / np.pi, "bad": 2 / np.pi * (1 + SHARE * (RATIO**2 - 1)) * (1 - SHARE + SHARE / RATIO) ** 2}
    labels = {"bad": "one label in ten bad", "clean": "clean labels"}
    for kind, other in (("bad", "clean"), ("clean", "bad")):
        due = exact[f"squared/{kind}"] / exact[f"absolute/{kind}"]
        wrong = {"n for n - 2": due * (N - 2) / N, "of standard deviations": np.sqrt(due)}
        if kind == "bad":
            wrong |= {"the limit for many rows": limit[kind], "sigma^2 with the ratio for its square": due * 1.9 / 10.9}
        sentence = f"var(squared loss) / var(absolute loss) is {due:.3g}, 20 rows"
        for make, which, more in ((claim, kind, {"wrong": wrong}), (control, other, {})):
            found = over(runs, f"squared/{which}", f"absolute/{which}")
            yield make("T1", f"{sentence}: {labels[which]}", due, found, 0.02 * due, **more)
    for loss, other in (("squared", "absolute"), ("absolute", "squared")):
        due = exact[f"{loss}/bad"] / exact[f"{loss}/clean"]
        wrong = {"of standard deviations": np.sqrt(due), "bad labels count as none": 1 / (1 - SHARE)}
        wrong |= {"their variance alone, share * ratio^2": 10.0} if loss == "squared" else {"nothing": 1.0}
        sentence = f"one label in ten bad costs {due:.3g} times the variance, 20 rows"
        for make, which, more in ((claim, loss, {"wrong": wrong}), (control, other, {})):
            found = over(runs, f"{which}/bad", f"{which}/clean")
            yield make("T1", f"{sentence}: {which} loss", due, found, 0.02 * due, **more)


def walk(runs: Runs, scale: float, lr: float) -> Array:
    """The weights after each step (steps, weights)."""
    path = runs["t1_half"].one({"noise.scale": scale, "optimizer.lr": lr}).trajectory
    return np.stack([path[name] for name in ("intercept", "x0", "x1")], axis=1)


def apart(runs: Runs, whole: float, half: float) -> Interval:
    return study.exactly(np.abs(walk(runs, WHOLE, whole) - walk(runs, HALF, half)).max())


def halves(runs: Runs) -> Iterator[Claim]:
    for lr in (0.1, 0.2):
        sentence = f"r^2 at lr = {lr} takes the path of r^2 / 2 at lr = "
        yield claim("T1", f"{sentence}{2 * lr}", 0.0, apart(runs, lr, 2 * lr), 1e-9)
        yield control("T1", f"{sentence}{lr}", 0.0, apart(runs, lr, lr), 1e-9)
    for name, scale in (("r^2", WHOLE), ("r^2 / 2", HALF)):
        end = runs["t1_half"].one({"noise.scale": scale, "optimizer.lr": 0.2}).copies["param/error"]
        yield claim("T1", f"{name} at lr = 0.2 ends at the least-squares answer", 0.0, study.exactly(end.max()), 1e-9)
    start = walk(runs, HALF, 0.2)[:1] - walk(runs, HALF, 0.2)[-1:]
    yield control(
        "T1",
        "r^2 / 2 at lr = 0.2 is at the least-squares answer after one step",
        0.0,
        study.exactly(np.abs(start).max()),
        1e-9,
    )


def figures(runs: Runs) -> Iterator[Figure]:
    drawing, (left, right) = study.panels(2)
    for number, loss in enumerate(LOSSES):
        for axes, column in ((left, "label"), (right, "feature")):
            far = [study.mean(moved(runs, loss, mistake, column)) for mistake in MISTAKES]
            study.estimates(axes, MISTAKES, far, f"{loss} loss", number)
    copies = [runs["t1_outlier"].one(column="label", mistake=mistake).copies for mistake in MISTAKES]
    study.theory(left, MISTAKES, [run["formula"].mean() for run in copies], "(X'X)⁻¹ x times the mistake")
    left.legend(fontsize=8, loc="upper left")
    left.set(xscale="log", yscale="log", xlabel="added to one label", ylabel="how far the slope moves")
    right.set(xscale="log", yscale="log", xlabel="added to one feature", ylim=left.get_ylim())
    right.minorticks_off()
    yield Figure(
        "T1",
        alt="Left: squared loss rises on a straight line, absolute loss stays flat. Right: both are equally far off.",
        caption="One wrong number in 50 rows, mean over samples with 99 % intervals. A wrong label drags squared loss "
        "along without end and absolute loss only so far; a wrong feature spoils both. The true slope is 1: "
        "moved by 1, "
        "it is lost. On the right both losses lie on each other from 100 on.",
        drawing=drawing,
    )
    drawing, axes = study.panels()
    settings = [("r² / 2, lr = 0.4", HALF, 0.4), ("r², lr = 0.2", WHOLE, 0.2), ("r² / 2, lr = 0.2", HALF, 0.2)]
    for (label, scale, lr), color, style in zip(settings, study.COLORS, ("-", ":", "--")):
        path = walk(runs, scale, lr)
        steps = len(path) // int(runs["t1_half"].one({"noise.scale": scale, "optimizer.lr": lr}).params["replicates"])
        weights = path.reshape(steps, -1, 3)[:, 0, 1]
        axes.plot(np.arange(1, 16), weights[:15], style, color=color, linewidth=3 if style == ":" else 1.5, label=label)
    axes.set(xlabel="step", ylabel="first weight")
    axes.legend()
    yield Figure(
        "T1",
        alt="The first two curves lie on each other, the third approaches the same level more slowly.",
        caption="Gradient descent on one data set: without the 1/2, half the learning rate walks the same path.",
        drawing=drawing,
    )
