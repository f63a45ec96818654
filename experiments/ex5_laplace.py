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
from noiseworks_experiments.parts.ex5_theory import cross_entropy, efficiency, expected, limit, resting
from noiseworks_experiments.parts.ex5_theory import growth as growth_due
from noiseworks_experiments.parts.ex5_walk_claims import arrivals, rules
from noiseworks_experiments.parts.ex5_walks import B, D
from noiseworks_experiments.parts.hopping import Hopping, sharp_floor, squared_floor

__all__ = ["EXPERIMENTS", "claims", "figures", "measure"]

EXPERIMENTS = {
    "ex5_likelihood": ["replicates=8"],
    "ex5_estimators": ["replicates=60"],
    "ex5_floor": ["replicates=8"],
    "ex5_repairs": ["replicates=40"],
    "ex5_walks": ["replicates=40"],
}


def claims(runs: Runs) -> Iterator[Claim]:
    yield from likelihoods(runs)
    yield from prices(runs)
    yield from programs(runs)
    yield from formulas(runs)
    yield from estimators(runs)
    yield from slopes(runs)
    yield from absolute_floors(runs)
    yield from squared_floors(runs)
    yield from repairs(runs)
    yield from rules(runs)
    yield from arrivals(runs)


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
    found = runs["ex5_estimators"].one(law="laplace", num_observations=40)
    where = "is where SciPy finds the likelihood largest, over coefficients and scale"
    for kind, who, title in ((claim, "absolute", "absolute loss"), (control, "squared", "least squares")):
        sentence = f"the fit of {title} {where} (largest difference)"
        yield kind("5.1", sentence, 0.0, study.exactly(found[f"likelihood/{who}"]), 1e-9)
    for kind, who, what in ((claim, "mean", "mean of |r|"), (control, "root", "root of the mean of r^2")):
        sentence = f"the {what} is the scale at which SciPy finds the likelihood largest (relative difference)"
        yield kind("5.1", sentence, 0.0, study.exactly(found[f"likelihood/{who}"]), 1e-6)


def prices(runs: Runs) -> Iterator[Claim]:
    cost = {
        (truth, assumed): cross_entropy(truth, assumed) - cross_entropy(truth, truth)
        for truth, assumed in (("laplace", "gaussian"), ("gaussian", "laplace"))
    }
    for (truth, assumed), margin in zip(cost, (0.01, 0.005)):
        exact, found = cost[truth, assumed], price(runs, truth, assumed)
        sentence = f"assuming {TITLES[assumed]} under {TITLES[truth]} costs {exact:.4f} nat an example"
        wrong = {"the divergence the other way round": cost[assumed, truth], "in bits": exact / np.log(2)}
        yield claim("5.1", sentence, exact, found, margin, wrong)
        yield control("5.1", sentence.replace(f"{exact:.4f}", "no"), 0.0, found, margin)


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


def formulas(runs: Runs) -> Iterator[Claim]:
    """What no expression in +, -, * and / can do, and what finds the answer in a finite number of operations."""
    run = runs["ex5_estimators"].one(law="laplace", num_observations=40)
    stays = "the fit does not change when the first label goes from 100 to"
    for kind, sentence, name in (
        (claim, f"{stays} 1,000: absolute loss", "far/absolute"),
        (control, f"{stays} 1,000: least squares", "far/squared"),
        (control, f"{stays} -100: absolute loss", "across/absolute"),
        (claim, "a constant alone: the fit is the median of y, 29 rows", "location/median"),
        (control, "a constant alone: the fit is the mean of y, 29 rows", "location/mean"),
        (claim, "one feature alone: the fit is the median of y / x with the weights |x|", "slope/weighted"),
        (control, "one feature alone: the fit is the median of y / x without weights", "slope/unweighted"),
        (claim, "the least sum of |r| is that of the best of all 4,060 planes through 3 of 30 rows", "elemental/all"),
        (control, "the least sum of |r| is that of the best of the first 100 such planes", "elemental/hundred"),
    ):
        yield kind("5.2", f"{sentence} (largest difference)", 0.0, study.exactly(run[name]), 1e-9)


def estimators(runs: Runs) -> Iterator[Claim]:
    for truth in NOISES[:2]:
        sentence = f"var(least squares) / var(absolute loss), {TITLES[truth]}"
        for n, margin in zip(SIZES, (0.02, 0.024, 0.05)):
            exact = efficiency(truth, n)
            wrong = {"n for n - 2": exact * (n - 2) / n} if n < 160 else {"of standard deviations": np.sqrt(exact)}
            wrong |= {"the limit": limit(truth)} if truth == "laplace" else {"the other way round": 1 / exact}
            yield claim("5.2", f"{sentence}, n = {n}", exact, relative(runs, truth, n), margin * exact, wrong)
        other = limit("laplace") if truth == "laplace" else 1.0
        said = f"{sentence} is {other:g}, n = 40"
        yield control("5.2", said, other, relative(runs, truth, 40), 0.1 * other)


def growth(runs: Runs, noise: str, scale: float, power: int) -> Interval:
    """The slope on log-log paper over the four smallest steps."""
    values = [level(steady(runs, noise, scale, lr), power) for lr in STEPS[:4]]
    return study.slope(STEPS[:4], np.array(values))


def slopes(runs: Runs) -> Iterator[Claim]:
    """Of where SGD stays, against lr on logarithmic axes."""
    noisy, exact = "absolute loss, with label noise", "absolute loss, no label noise"
    for power, what in ((0, "loss gap"), (1, "distance")):
        due = growth_due(STEPS[:4], power)
        wrong = {"the slope of the distance": due / 2} if power == 0 else {"the slope of the loss gap": 2 * due}
        sentence = f"{noisy}: slope of the {what} against lr, lr = 0.0125 to 0.1, log-log axes"
        yield claim("5.3", sentence, due, growth(runs, "laplace", 1.0, power), 0.1, wrong)
    yield control("5.3", f"{noisy}: the distance is proportional to lr (slope)", 1.0,
                  growth(runs, "laplace", 1.0, 1), 0.1)  # fmt: skip
    sharp = growth(runs, "laplace", 1e-12, 1)
    wrong = {"as the squared distance with label noise": 0.5, "as the squared distance": 2.0}
    yield claim("5.3", f"{exact}: the distance is proportional to lr (slope)", 1.0, sharp, 0.05, wrong)
    yield control("5.3", f"{exact}: the distance is proportional to the root of lr (slope)", 0.5, sharp, 0.05)


def absolute_floors(runs: Runs) -> Iterator[Claim]:
    for lr in (0.0125, 0.1, 0.8):
        exact, found = sharp_floor(D, B) * lr, study.mean(level(steady(runs, "laplace", 1e-12, lr), 1))
        wrong = {
            "examples that have nothing in common": lr * np.sqrt(np.pi / 8) * D / B,
            "sqrt(pi / 2) for sqrt(pi / 8)": 2 * exact,
        }
        sentence = f"absolute loss, no label noise: the mean distance, lr = {lr}"
        yield claim("5.3", sentence, exact, found, 0.02 * exact, wrong)
    for lr in (0.2, 0.8):
        exact = Hopping(D, B).gap(Hopping(D, B).floor(lr))
        found = study.mean(level(steady(runs, "laplace", 1.0, lr)))
        sentence = f"absolute loss, with label noise: the loss gap is that of normal w - w*, lr = {lr}"
        wrong = {"lr d / (4 B), for small steps": lr * D / (4 * B)}
        yield claim("5.3", sentence, exact, found, 0.05 * exact, wrong)
    for lr, kind in ((0.0125, claim), (0.8, control)):
        found = study.mean(level(steady(runs, "laplace", 1.0, lr)) / (lr * D / (4 * B)))
        sentence = f"absolute loss, with label noise: the loss gap over lr d / (4 B), lr = {lr}"
        if kind is claim:
            yield claim("5.3", sentence, 1.0, found, 0.2, {"lr d / (2 B)": 2.0, "lr d / (8 B)": 0.5})
        else:
            yield control("5.3", sentence, 1.0, found, 0.2)


def squared_floors(runs: Runs) -> Iterator[Claim]:
    for lr in (0.2, 0.4, 0.8):
        exact, found = squared_floor(lr, D, B), study.mean(level(steady(runs, "gaussian", 1.0, lr), 2))
        wrong = {"lr d / (2 B), for small steps": lr * D / (2 * B)}
        if lr == 0.8:
            wrong["E (x x')^2 = d I"] = lr * D / (B * (2 - lr * (1 + (D - 1) / B)))
        sentence = "squared loss, with label noise: E|w - w*|^2 = lr d / (B (2 - lr (1 + (d + 1) / B)))"
        yield claim("5.3", f"{sentence}, lr = {lr}", exact, found, 0.04 * exact, wrong)
    simple, sentence = 0.8 * D / (2 * B), "squared loss, with label noise: E|w - w*|^2 = lr d / (2 B), lr = 0.8"
    yield control("5.3", sentence, simple, found, 0.04 * simple)
    for lr in (0.0125, 0.1, 0.8):
        ends = arrived(steady(runs, "gaussian", 1e-12, lr))
        yield claim("5.3", f"squared loss, no label noise: |w - w*|^2 ends at 0, lr = {lr}", 0.0, ends, 1e-18)
    ends = arrived(steady(runs, "laplace", 1e-12, 0.0125))
    yield control("5.3", "absolute loss, no label noise: |w - w*|^2 ends at 0, lr = 0.0125", 0.0, ends, 1e-18)


def arrived(run: Run) -> Interval:
    """The largest |w - w_true|^2 after the last step."""
    return study.exactly((distances(run)[-1] ** 2).max())


def repairs(runs: Runs) -> Iterator[Claim]:
    for schedule, averaging in (("inverse_sqrt", False), ("cosine", False), ("constant", True), ("inverse_sqrt", True)):
        exact, kind = expected(schedule, averaging), "mean of the last half" if averaging else "last iterate"
        step = {"inverse_sqrt": "step / sqrt(1 + t / 100)", "cosine": "cosine step"}.get(schedule, "constant step")
        sentence, margin = f"the loss gap after 1,000 steps: {step}, {kind}", 0.165 * exact
        if averaging:
            wrong = {
                "d / (2 n) of all 10,000 examples": D / (2 * B * 1000),
                "500 independent hops": expected(schedule, False) / 500,
            }
        else:
            wrong = {"where the mean step would stay": resting(schedule)}
        if schedule == "constant":
            wrong["d / (2 n) of the last 5,000"] = D / (2 * B * 500)
        yield claim("5.3", sentence, exact, repaired(runs, schedule, averaging), margin, wrong)
        hopping = repaired(runs, "constant", False)
        sentence = "the loss gap after 1,000 steps is as low as that: constant step, last iterate"
        yield control("5.3", f"{sentence} (against {step}, {kind})", exact, hopping, margin)
