"""Exercise 5: Laplace noise, the absolute loss, and why SGD does not settle on it.

5.1 The negative log-likelihood, and what the wrong noise model costs. 5.2 No closed form: a linear program, its
vertices, and how precise its answer is against least squares. 5.3 Minibatch SGD hops around the optimum; how far, and
the repairs.

Source:  D2L 3.1, exercise 5.
Command: make exercises EX=5
Cost:    15 s on 2 cores.
Expect:  0.0724 nat an example for the Gaussian's loss on Laplace noise; an efficiency that tends to 2 (Laplace) and
         2 / pi (Gaussian); loss gap lr d / (4 B) for small steps, distance proportional to lr without label noise.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from noiseworks import studies as study
from noiseworks.studies import Claim, Interval, Run, Runs, claim, control
from noiseworks_experiments.parts.ex5_figures import figures
from noiseworks_experiments.parts.ex5_measure import NOISES, measure
from noiseworks_experiments.parts.ex5_runs import (
    SIZES,
    STEPS,
    TITLES,
    distances,
    level,
    likelihood,
    price,
    relative,
    repaired,
    steady,
)
from noiseworks_experiments.parts.ex5_theory import B, D, cross_entropy, efficiency, expected, limit
from noiseworks_experiments.parts.hopping import Hopping, sharp_floor, squared_floor

__all__ = ["EXPERIMENTS", "claims", "figures", "measure"]

EXPERIMENTS = {
    "ex5_likelihood": ["replicates=8"],
    "ex5_estimators": ["replicates=60"],
    "ex5_floor": ["replicates=8"],
    "ex5_repairs": ["replicates=40"],
    "ex5_smoothing": ["replicates=10"],
}


def claims(runs: Runs) -> Iterator[Claim]:
    yield from likelihoods(runs)
    yield from programs(runs)
    yield from estimators(runs)
    yield from hops(runs)
    yield from repairs(runs)


def written_out(run: Run) -> Interval:
    """The largest difference to log(2 s) + mean |r| / s."""
    scale = run.copies["scale"]
    terms = np.log(2 * scale) + run.copies["train/mae"] / scale
    return study.exactly(np.abs(run.copies["train/nll"] - terms).max())


def likelihoods(runs: Runs) -> Iterator[Claim]:
    sentence = "the negative log-likelihood an example is log(2 s) + mean |r| / s, with the scale s that was fitted"
    own, other = likelihood(runs, "laplace", "laplace"), likelihood(runs, "laplace", "gaussian")
    yield claim("5.1", sentence, 0.0, written_out(own), 1e-9)
    yield control("5.1", f"{sentence}: for the Gaussian fit", 0.0, written_out(other), 1e-9)
    best = [study.exactly(np.abs(run.copies["scale"] / run.copies["train/mae"] - 1).max()) for run in (own, other)]
    yield claim("5.1", "the most likely scale s is the mean |r| (largest relative difference)", 0.0, best[0], 1e-9)
    yield control("5.1", "the most likely sigma of the Gaussian fit is the mean |r|", 0.0, best[1], 1e-9)
    for truth, assumed, margin in (("laplace", "gaussian", 0.01), ("gaussian", "laplace", 0.005)):
        exact = cross_entropy(truth, assumed) - cross_entropy(truth, truth)
        sentence = f"assuming {TITLES[assumed]} under {TITLES[truth]} costs {exact:.4f} nat an example"
        yield claim("5.1", sentence, exact, price(runs, truth, assumed), margin)
        yield control("5.1", sentence.replace(f"{exact:.4f}", "no"), 0.0, price(runs, truth, assumed), margin)


def programs(runs: Runs) -> Iterator[Claim]:
    for number, truth in enumerate(NOISES[:2]):
        run = runs["ex5_estimators"].one(law=truth, num_observations=40)
        found = {name: study.exactly(run[name]) for name in run.metrics}
        under = f"30 rows, 3 parameters, {TITLES[truth]}"
        adds = "the fit of y + y' is the fit of y plus that of y'"
        yield claim("5.2", f"{adds}: least squares, {under}", 0.0, found["sum/squared"], 1e-9)
        yield control("5.2", f"{adds}: absolute loss, {under}", 0.0, found["sum/absolute"], 1e-9)
        program = "the sum of |r| is that of the linear program"
        yield claim("5.2", f"{program}: absolute loss, {under}", 0.0, found["program/absolute"], 1e-9)
        yield control("5.2", f"{program}: least squares, {under}", 0.0, found["program/squared"], 1e-9)
        for side in ("least", "most"):
            sentence = f"the {side} rows that a fit meets exactly are 3 (over 20 fits): absolute loss, {under}"
            yield claim("5.2", sentence, 3.0, found[f"met/absolute/{side}"], 0.5)
        yield control(
            "5.2",
            f"the most rows that a fit meets exactly are 3 (over 20 fits): least squares, {under}",
            3.0,
            found["met/squared"],
            0.5,
        )
        certificate = "no |z| of the certificate is above 1 (largest excess)"
        over = [study.exactly(max(run[f"multiplier/{who}"] - 1, 0)) for who in ("absolute", "vertex")]
        yield claim("5.2", f"{certificate}: absolute loss, {under}", 0.0, over[0], 1e-9)
        yield control("5.2", f"{certificate}: the plane through the first 3 rows, {under}", 0.0, over[1], 1e-9)
        if number == 0:
            yield claim(
                "5.2",
                "two groups of ten rows, absolute loss: share of fits with a single answer",
                0.0,
                found["groups/unique"],
                1e-9,
            )


def estimators(runs: Runs) -> Iterator[Claim]:
    for truth in NOISES[:2]:
        sentence = f"var(least squares) / var(absolute loss), {TITLES[truth]}"
        for n in SIZES:
            exact = efficiency(truth, n)
            yield claim("5.2", f"{sentence}, n = {n}", exact, relative(runs, truth, n), 0.1 * exact)
        wrong = limit("laplace") if truth == "laplace" else 1.0
        said = f"{sentence} is {wrong:g}, n = 40"
        yield control("5.2", said, wrong, relative(runs, truth, 40), 0.1 * wrong)


def arrived(run: Run) -> Interval:
    """The largest |w - w_true|^2 after the last step."""
    return study.exactly((distances(run)[-1] ** 2).max())


def growth(runs: Runs, noise: str, scale: float, power: int) -> Interval:
    """The slope on log-log paper over the four smallest steps."""
    values = [level(steady(runs, noise, scale, lr), power) for lr in STEPS[:4]]
    return study.slope(STEPS[:4], np.array(values))


def hops(runs: Runs) -> Iterator[Claim]:
    noisy = "with label noise"
    gap = growth(runs, "laplace", 1.0, 0)
    yield claim(
        "5.3", f"absolute loss, {noisy}: the loss gap is proportional to lr (slope on log-log axes)", 1.0, gap, 0.12
    )
    near = growth(runs, "laplace", 1.0, 1)
    yield claim(
        "5.3", f"absolute loss, {noisy}: the distance is proportional to the root of lr (slope)", 0.5, near, 0.1
    )
    yield control("5.3", f"absolute loss, {noisy}: the distance is proportional to lr (slope)", 1.0, near, 0.1)
    sharp = growth(runs, "laplace", 1e-12, 1)
    yield claim("5.3", "absolute loss, no label noise: the distance is proportional to lr (slope)", 1.0, sharp, 0.05)
    yield control(
        "5.3", "absolute loss, no label noise: the distance is proportional to the root of lr (slope)", 0.5, sharp, 0.05
    )
    for lr in (0.0125, 0.1, 0.8):
        exact, found = sharp_floor(D, B) * lr, study.mean(level(steady(runs, "laplace", 1e-12, lr), 1))
        yield claim("5.3", f"absolute loss, no label noise: the mean distance, lr = {lr}", exact, found, 0.02 * exact)
    for lr in (0.1, 0.4):
        exact = Hopping(D, B).gap(Hopping(D, B).floor(lr))
        found = study.mean(level(steady(runs, "laplace", 1.0, lr)))
        yield claim(
            "5.3",
            f"absolute loss, {noisy}: the loss gap is that of normal w - w*, lr = {lr}",
            exact,
            found,
            0.07 * exact,
        )
    for lr, kind in ((0.0125, claim), (0.8, control)):
        found = study.mean(level(steady(runs, "laplace", 1.0, lr)) / (lr * D / (4 * B)))
        yield kind("5.3", f"absolute loss, {noisy}: the loss gap over lr d / (4 B), lr = {lr}", 1.0, found, 0.2)
    for lr in (0.2, 0.4, 0.8):
        exact, found = squared_floor(lr, D, B), study.mean(level(steady(runs, "gaussian", 1.0, lr), 2))
        yield claim(
            "5.3",
            f"squared loss, {noisy}: E|w - w*|^2 = lr d / (B (2 - lr (1 + (d + 1) / B))), lr = {lr}",
            exact,
            found,
            0.04 * exact,
        )
    simple = 0.8 * D / (2 * B)
    yield control("5.3", f"squared loss, {noisy}: E|w - w*|^2 = lr d / (2 B), lr = 0.8", simple, found, 0.04 * simple)
    for lr in (0.0125, 0.1, 0.8):
        ends = arrived(steady(runs, "gaussian", 1e-12, lr))
        yield claim("5.3", f"squared loss, no label noise: |w - w*|^2 ends at 0, lr = {lr}", 0.0, ends, 1e-18)
    ends = arrived(steady(runs, "laplace", 1e-12, 0.0125))
    yield control("5.3", "absolute loss, no label noise: |w - w*|^2 ends at 0, lr = 0.0125", 0.0, ends, 1e-18)


def smoothed(runs: Runs, corner: float, scale: float) -> Run:
    sweep = runs["ex5_smoothing"].where({"data.noise.scale": scale})
    return next(run for run in sweep if abs(float(run.params["noise.delta"]) ** 2 - corner) < 1e-6)


def repairs(runs: Runs) -> Iterator[Claim]:
    after = "the loss gap after 1,000 steps"
    for schedule, averaging in (("inverse_sqrt", False), ("cosine", False), ("constant", True), ("inverse_sqrt", True)):
        exact, kind = expected(schedule, averaging), "mean of the last half" if averaging else "last iterate"
        step = {"inverse_sqrt": "step / sqrt(1 + t / 100)", "cosine": "cosine step"}.get(schedule, "constant step")
        found = repaired(runs, schedule, averaging)
        yield claim("5.3", f"{after}: {step}, {kind}", exact, found, 0.3 * exact)
        hopping = repaired(runs, "constant", False)
        yield control(
            "5.3",
            f"{after} is as low as that: constant step, last iterate (against {step}, {kind})",
            exact,
            hopping,
            0.3 * exact,
        )
    for corner in (0.1, 0.5, 2.0):
        hopping = Hopping(D, B, corner)
        exact, found = hopping.gap(hopping.floor(0.05)), study.mean(level(smoothed(runs, corner, 1.0)))
        rounded = f"the corner of |r| rounded within {corner:g}"
        yield claim("5.3", f"{rounded}, label noise: the loss gap, lr = 0.05", exact, found, 0.1 * exact)
        yield control("5.3", f"{rounded}, label noise: the loss gap is gone", 0.0, found, 0.1 * exact)
        ends = arrived(smoothed(runs, corner, 1e-12))
        yield claim("5.3", f"{rounded}, no label noise: |w - w*|^2 ends at 0", 0.0, ends, 1e-18)
    sharp = arrived(steady(runs, "laplace", 1e-12, 0.05))
    yield control("5.3", "the corner left as it is, no label noise: |w - w*|^2 ends at 0", 0.0, sharp, 1e-18)
