"""Exercise 1: the constant that is closest to n numbers.

1.1 The mean minimises the sum of squares. 1.2 It is the maximum-likelihood estimate under Gaussian noise, and only
there as precise as can be. 1.3 The median minimises the sum of absolute values; how precise it is against the mean.

Source:  D2L 3.1, exercise 1.
Command: make exercises EX=1
Cost:    15 s on 2 cores.
Expect:  contraction 1 - lr to 1e-10; n var(mean) / sigma^2 = 1 within 4 %; var(median) / var(mean) within 5 % of its
         value for that n.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from noiseworks import studies as study
from noiseworks.studies import Claim, Figure, Run, Runs, claim, control
from noiseworks_experiments.parts.ex1_measure import NOISES, measure
from noiseworks_experiments.parts.ex1_theory import (
    VARIANCES,
    bound_ratio,
    limit,
    median_variance,
    wrong_bounds,
    wrong_ratios,
    wrong_variances,
)

__all__ = ["EXPERIMENTS", "claims", "figures", "measure"]

EXPERIMENTS = {
    "ex1_descent": ["replicates=5"],
    "ex1_median": ["replicates=40"],
    "ex1_estimators": ["replicates=20000"],
}
SIZES = [5, 21, 101, 401]
TITLES = {
    "normal": "Gaussian noise",
    "laplace": "Laplace noise",
    "student_t": "Student-t noise (5 degrees)",
    "contaminated": "contaminated Gaussian noise",
}
Array = NDArray[np.float64]


def claims(runs: Runs) -> Iterator[Claim]:
    yield from descent(runs)
    yield from likelihood(runs)
    yield from medians(runs)


def errors(runs: Runs, lr: float) -> Array:
    """b - mean (steps, starts). The numbers are the same at every lr, and lr = 1 is there after one step."""
    sweep = runs["ex1_descent"]
    means = sweep.one({"optimizer.lr": 1.0}).copies["coefficient/intercept"]
    return sweep.one({"optimizer.lr": lr}).trajectory["intercept"].reshape(-1, len(means)) - means


def contraction(runs: Runs, lr: float) -> study.Interval:
    """The largest |e(t+1) - (1 - lr) e(t)| / |e(0)|."""
    e = errors(runs, lr)
    return study.exactly(np.abs((e[1:] - (1 - lr) * e[:-1]) / e[0]).max())


def descent(runs: Runs) -> Iterator[Claim]:
    sweep = runs["ex1_descent"]
    for lr in (0.5, 1.0):
        run = sweep.one({"optimizer.lr": lr})
        yield claim(
            "1.1",
            f"gradient descent at lr = {lr} ends at the mean, from 20 starts (largest distance)",
            0.0,
            largest(run),
            1e-9,
        )
    yield control(
        "1.1",
        "gradient descent at lr = 2.1 ends at the mean, from 20 starts (largest distance)",
        0.0,
        largest(sweep.one({"optimizer.lr": 2.1})),
        1e-9,
    )
    for lr in (0.1, 0.5, 1.9):
        yield claim(
            "1.1",
            f"a step at lr = {lr} leaves 1 - lr of the error (largest deviation)",
            0.0,
            contraction(runs, lr),
            1e-10,
        )
    squares, absolutes = (runs["ex1_median"].where(noise=noise) for noise in ("gaussian", "laplace"))
    yield claim("1.1", "the exact least-squares answer has a zero gradient", 0.0, gradient(squares), 1e-12)
    gap = min(np.abs(constants(a) - constants(b)).max() for a, b in zip(absolutes, squares))
    yield control(
        "1.1", "the best constant for absolute values is the mean (largest distance)", 0.0, study.exactly(gap), 1e-9
    )


def largest(run: Run) -> study.Interval:
    return study.exactly(run.copies["param/error"].max())


def gradient(runs: Iterable[Run]) -> study.Interval:
    return study.exactly(max(run.copies["exact/gradient"].max() for run in runs))


def constants(run: Run) -> Array:
    return run.copies["coefficient/intercept"]


def likelihood(runs: Runs) -> Iterator[Claim]:
    sweep = runs["ex1_estimators"]
    for noise in NOISES:
        scaled = study.variance(sweep.one(law=noise, num_observations=5).copies["mean"], VARIANCES[noise] / 5)
        sentence = f"n var(mean) / sigma^2 = 1 under {TITLES[noise]}, n = 5"
        yield claim("1.2", sentence, 1.0, scaled, 0.04, wrong_variances(noise, 5))
    for noise in NOISES:
        times = bound_ratio(noise)
        said = f"the mean has {times:.4g} times the variance of Cramér and Rao's bound under {TITLES[noise]}, n = 101"
        yield claim("1.2", said, times, over_bound(runs, noise, 101), 0.04 * times, wrong_bounds(noise))
    met = "the mean meets Cramér and Rao's bound under Laplace noise, n = 101"
    yield control("1.2", met, 1.0, over_bound(runs, "laplace", 101), 0.04)
    spread = study.mean(sweep.one(law="normal", num_observations=5).copies["variance_mle"])
    wrong = {"sigma^2, no bias": 1.0, "n - 2 for n - 1": 3 / 5}
    yield claim("1.2", "E[RSS / n] = sigma^2 (n - 1) / n, n = 5", 0.8, spread, 0.02, wrong)
    yield control("1.2", "E[RSS / n] = sigma^2, n = 5", 1.0, spread, 0.02)


def over_bound(runs: Runs, noise: str, n: int) -> study.Interval:
    """n I var(mean)."""
    run = runs["ex1_estimators"].one(law=noise, num_observations=n)
    return study.variance(run.copies["mean"], VARIANCES[noise] / (n * bound_ratio(noise)))


def medians(runs: Runs) -> Iterator[Claim]:
    fits = runs["ex1_median"]
    odd, even = (fits.one({"data.num_examples": n}, noise="laplace") for n in (21, 20))
    yield claim(
        "1.3",
        "n = 21: the sum of absolute values has one minimum only (share of samples)",
        1.0,
        study.exactly(odd["exact/unique"]),
        1e-9,
    )
    yield claim(
        "1.3",
        "n = 20: the sum of absolute values has one minimum only (share of samples: none)",
        0.0,
        study.exactly(even["exact/unique"]),
        1e-9,
    )
    yield claim(
        "1.3",
        "no constant has a smaller sum of absolute values than the median (duality gap)",
        0.0,
        gradient([odd, even]),
        1e-12,
    )
    apart = fits.one({"data.num_examples": 21}, noise="gaussian")
    yield control(
        "1.3",
        "the mean has the smallest sum of absolute values (what it costs more, an observation)",
        0.0,
        excess(odd, apart),
        1e-9,
    )
    for noise in NOISES:
        for n in (5, 101):
            exact = median_variance(noise, n)
            sentence = f"var(median) / var(mean) as theory has it for n = {n}, {TITLES[noise]}"
            yield claim("1.3", sentence, exact, ratio(runs, noise, n), 0.05 * exact, wrong_ratios(noise, n))
    for noise in ("normal", "laplace"):
        sentence = f"var(median) / var(mean) is at its limit for large n already, {TITLES[noise]}, n = 5"
        yield control("1.3", sentence, limit(noise), ratio(runs, noise, 5), 0.05 * limit(noise))


def excess(best: Run, other: Run) -> study.Interval:
    """How much larger the mean absolute residual is, on average over the same samples."""
    return study.exactly(float(np.mean(other.copies["train/mae"] - best.copies["train/mae"])))


def ratio(runs: Runs, noise: str, n: int) -> study.Interval:
    run = runs["ex1_estimators"].one(law=noise, num_observations=n)
    return study.variance_ratio(run.copies["median"], run.copies["mean"])


def figures(runs: Runs) -> Iterator[Figure]:
    drawing, axes = study.panels()
    for lr, color, style in zip((0.1, 0.5, 1.9), study.COLORS, ("-", "--", ":")):
        error = np.maximum(np.abs(errors(runs, lr)[:, 0]), 1e-17)
        axes.semilogy(np.arange(len(error)) + 1, error, style, color=color, linewidth=1.8, label=f"lr = {lr:g}")
    axes.set(xlabel="step", ylabel="distance to the mean")
    axes.legend()
    yield Figure(
        "1.1",
        alt="On a logarithmic scale the distance to the mean falls on straight lines: fastest at lr = 0.5, and equally "
        "fast at lr = 0.1 and 1.9.",
        caption="Gradient descent from one of the starts: each step leaves |1 - lr| of the error. "
        "At lr = 1.9 that is as much as at lr = 0.1, so that the two lines coincide.",
        drawing=drawing,
    )
    yield precision(runs)
    yield efficiency(runs)


def precision(runs: Runs) -> Figure:
    drawing, (left, right) = study.panels(columns=2, width=7.2, height=3.6, sharey=True)
    for number, n in enumerate((5, 101)):
        means = {noise: runs["ex1_estimators"].one(law=noise, num_observations=n).copies["mean"] for noise in NOISES}
        scaled = [study.variance(means[noise], VARIANCES[noise] / n) for noise in NOISES]
        study.forest(left, list(TITLES.values()), scaled, f"n = {n}", number)
        over = [over_bound(runs, noise, n) for noise in NOISES]
        study.forest(right, list(TITLES.values()), over, f"n = {n}", number)
    for axes, expected in ((left, [1.0] * 4), (right, [bound_ratio(noise) for noise in NOISES])):
        axes.vlines(expected, np.arange(4) - 0.3, np.arange(4) + 0.3, colors=study.INK, linewidth=1.2)
    left.set(xlabel="n var(mean) / variance of one", xlim=(0.9, 1.1))
    right.set(xlabel="n var(mean) x information of one", xlim=(0.8, 2.2))
    right.plot([], [], color=study.INK, linewidth=1.2, label="theory")
    right.legend(loc="lower right")
    left.invert_yaxis()
    return Figure(
        "1.2",
        alt="Left: under all four the points lie at 1. Right: at 1 under Gaussian noise, 2 under Laplace noise, 1.25 "
        "under Student-t noise and 1.43 under the contaminated one.",
        caption="The variance of the mean with 99 % intervals; upright strokes: theory. Left: against sigma^2 / n, "
        "which it has under every distribution. Right: against the smallest that an unbiased estimate can have, which "
        "it has under Gaussian noise only.",
        drawing=drawing,
    )


def efficiency(runs: Runs) -> Figure:
    drawing, axes = study.panels(height=3.8)
    for number, noise in enumerate(NOISES):
        study.estimates(axes, SIZES, [ratio(runs, noise, n) for n in SIZES], TITLES[noise], number)
        odd, color = [5, 7, 9, 11, 15, 21, 31, 51, 101, 201, 401], study.COLORS[number]
        study.theory(axes, odd, [median_variance(noise, n) for n in odd], label="_", color=color)
        axes.plot([600], [limit(noise)], marker="_", markersize=10, markeredgewidth=2, color=color)
    study.level(axes, 1)
    axes.set(xscale="log", xlabel="observations n", ylabel="var(median) / var(mean)", ylim=(0.4, 2.15))
    axes.legend(loc="upper left", ncols=2)
    return Figure(
        "1.3",
        alt="Above one for Gaussian noise and rising to 1.57, below one for Laplace noise and falling to 0.5, near one "
        "for the other two; the estimates lie on the dashed curves of theory.",
        caption="Above 1 the mean is the more precise one, below 1 the median. Points: simulation with 99 % "
        "intervals; dashed: theory for that n; dashes at the right: the limit for large n.",
        drawing=drawing,
    )
