"""Exercise 4: X'X without full rank.

4.1 What least squares says then, in float64 and float32. 4.2 Adding noise to X: once, and fresh in every step. 4.3 The
expected X'X of noisy features. 4.4 Where minibatch SGD and other optimizers end. 4.5 The ridge, from next to nothing up
(a later edition of the chapter).

Source:  D2L 3.1, exercise 4.
Command: make exercises EX=4
Cost:    20 s on 2 cores.
Expect:  the answer of minimum norm by the pseudo-inverse, and by SGD and LBFGS from zero; a null coefficient of
         standard deviation s / (sigma sqrt(n - d - 1)) after noise that is added once, and the ridge answer after
         noise that is fresh in every step; E[X'X] + n sigma^2 I.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from noiseworks import studies as study
from noiseworks.studies import Claim, Run, Runs, claim, control
from noiseworks_experiments.parts.ex4_descent_claims import descent_claims
from noiseworks_experiments.parts.ex4_figures import figures
from noiseworks_experiments.parts.ex4_measure import ENTRIES, d, measure
from noiseworks_experiments.parts.ex4_runs import (
    DECAY,
    ONCE,
    RIDGES,
    SIGMAS,
    noisy,
    null,
    once,
    penalized,
    way,
    weights,
)
from noiseworks_experiments.parts.ex4_solver_claims import solver_claims, worst
from noiseworks_experiments.parts.ex4_theory import (
    degrees_of_freedom,
    one_copy,
    way_to_ridge,
    wrong_errors,
    wrong_variances,
)

__all__ = ["EXPERIMENTS", "claims", "figures", "measure"]

EXPERIMENTS = {
    "ex4_valley": ["replicates=121"],
    "ex4_solvers": ["replicates=20"],
    "ex4_precision": ["replicates=20"],
    "ex4_noise": ["replicates=8000"],
    "ex4_gram": ["replicates=2500"],
    "ex4_steps": ["replicates=10"],
    "ex4_descent": ["replicates=10"],
    "ex4_bases": ["replicates=10"],
    "ex4_ridge": ["replicates=10"],
}
DIAGONAL, BESIDE = ([entry for entry in ENTRIES if (entry[0] == entry[1]) is on] for on in (True, False))
PENALTIES = {"sigma^2": DECAY / 200, "n sigma^2 / 2": DECAY / 2, "2 n sigma^2": 2 * DECAY}  # over n = 200
Array = NDArray[np.float64]


def claims(runs: Runs) -> Iterator[Claim]:
    yield from solver_claims(runs)
    yield from noise_once(runs)
    yield from noise_in_every_step(runs)
    yield from expectation(runs)
    yield from descent_claims(runs)
    yield from ridge(runs)


def noise_once(runs: Runs) -> Iterator[Claim]:
    for sigma in SIGMAS:
        copies, (variance, error) = once(runs, sigma).copies, one_copy(sigma, ONCE)
        said = f"variance of the null coefficient over s^2 / (sigma^2 (n - d - 1)), noise added once, sigma = {sigma}"
        yield claim("4.2", said, 1.0, study.variance(copies["null"], variance), 0.06, wrong_variances(sigma, ONCE))
        said = f"mean squared error of predictions at clean features, noise added once, sigma = {sigma}"
        yield claim("4.2", said, error, study.mean(copies["clean"]), 0.04 * error, wrong_errors(sigma, ONCE))
    copies, (variance, error) = once(runs, 0.2).copies, one_copy(0.2, ONCE)
    ridge_answer = penalized(runs, "auto", 0.25)
    said = "the null coefficient of the ridge answer varies as much as that of one noisy copy, sigma = 0.5"
    yield control("4.2", said, 1.0, study.exactly(null(ridge_answer).var() / one_copy(0.5, 200)[0]), 0.4)
    said = "predictions for a row along v are as good as at clean features, noise added once, sigma = 0.2"
    yield control("4.2", said, error, study.mean(copies["null"] ** 2), 0.04 * error)
    share = study.proportion(runs["ex4_solvers"].one(solver="qr", design="wide_noisy").copies["raised"])
    said = "fewer rows than columns: plain QR raises an error on noisy features as well (share)"
    yield claim("4.2", said, 1.0, share, 0.15, {"never: noise makes X'X invertible": 0.0})


def towards_ridge(runs: Runs, name: str) -> study.Interval:
    """How far the answers went from the one of minimum norm (0) towards the ridge answer (1), on the same data."""
    least, most = (
        weights(runs["ex4_ridge"].one({"optimizer.ridge": r, "optimizer.method": "auto"})) for r in (1e-6, DECAY)
    )
    full = most - least
    return study.mean(((weights(way(runs, name)) - least) * full).sum(axis=1) / (full**2).sum(axis=1))


def noise_in_every_step(runs: Runs) -> Iterator[Claim]:
    sentence = "share of the way from minimum norm to ridge(n sigma^2) that steps go with {}"
    wrong = {f"ridge({name})": way_to_ridge(p, DECAY) for name, p in PENALTIES.items()}
    for name, said in {"fresh": "fresh noise of variance sigma^2", "decay": "a weight decay of sigma^2"}.items():
        yield claim("4.2", sentence.format(said), 1.0, towards_ridge(runs, name), 0.15, wrong)
    yield control("4.2", sentence.format("neither"), 1.0, towards_ridge(runs, "plain"), 0.15)


def farthest(run: Run, entries: list[tuple[int, int]], expected: float) -> study.Interval:
    """Of these entries of E[G - X'X] / (n sigma^2) the one that is farthest from what is expected of them all."""
    found = [study.mean(run.copies[f"g{j}{k}"]) for j, k in entries]
    return max(found, key=lambda interval: abs(interval.estimate - expected))


def expectation(runs: Runs) -> Iterator[Claim]:
    said = "mean X'X of noisy features less X'X, over n sigma^2, is {} {} the diagonal, worst entry: {} noise, n = {}"
    n, sigma = ONCE, 2.0
    on = {"sigma^2, without n": 1 / n, "n - 1 for n": (n - 1) / n, "n sigma for n sigma^2": 1 / sigma}
    every = {"n sigma^2 in every entry": 1.0, "half of it, as for correlated noise": 0.5}
    for law in ("normal", "uniform", "laplace"):
        run, name = noisy(runs, law, n, sigma), law.replace("laplace", "Laplace")
        yield claim("4.3", said.format(1, "on", name, n), 1.0, farthest(run, DIAGONAL, 1.0), 0.045, on)
        yield claim("4.3", said.format(0, "beside", name, n), 0.0, farthest(run, BESIDE, 0.0), 0.045, every)
    correlated = farthest(noisy(runs, "correlated", n, sigma), BESIDE, 0.0)
    yield control("4.3", said.format(0, "beside", "correlated", n), 0.0, correlated, 0.045)
    many = farthest(noisy(runs, "normal", 100, sigma), DIAGONAL, 1 / 100)
    yield control("4.3", said.format("1 / n", "on", "normal", 100), 1 / 100, many, 0.045)
    yield from powers(runs)
    small = study.mean(noisy(runs, "normal", n, sigma).copies["inverse"])
    said = f"mean of v'(X'X)^-1 v, times n sigma^2, of noisy features is {{}}, n = {n}"
    wrong = {"1, of the inverse of the mean": 1.0, "n - d for n - d - 1": n / (n - d)}
    yield claim("4.3", said.format("n / (n - d - 1)"), n / (n - d - 1), small, 0.1, wrong)
    yield control("4.3", said.format("1, as of the inverse of the mean"), 1.0, small, 0.1)


def powers(runs: Runs) -> Iterator[Claim]:
    for power, what, pair in ((1, "n", [(ONCE, 2.0), (100, 2.0)]), (2, "sigma", [(100, 0.5), (100, 2.0)])):
        shift = [noisy(runs, "normal", *at).copies["g22"] * at[0] * at[1] ** 2 for at in pair]
        x = [at[power - 1] for at in pair]
        said = f"what noise adds to a diagonal entry of X'X grows as {what} to the power {power}"
        wrong = {1: {"not at all": 0.0, "sqrt(n), as random signs": 0.5}, 2: {"1, as a standard deviation": 1.0}}[power]
        yield claim("4.3", said, power, study.slope(x, shift), 0.1, wrong)


def ridge(runs: Runs) -> Iterator[Claim]:
    gap = max(
        np.abs(weights(penalized(runs, "inverse", r)) - weights(penalized(runs, "auto", r))).max() for r in RIDGES[1:]
    )
    yield claim(
        "4.5", "with a ridge of 1e-4 and more plain inversion works (largest error)", 0.0, study.exactly(gap), 1e-8
    )
    without = worst(runs, "inverse", "distance", "sum")
    yield control("4.5", "without a ridge plain inversion works (largest relative error)", 0.0, without, 1e-8)
    parts = max(np.abs(null(penalized(runs, "auto", r))).max() for r in RIDGES)
    yield claim("4.5", "the ridge answer has no null part at any penalty (largest)", 0.0, study.exactly(parts), 1e-8)
    wild = np.abs(once(runs, 1.0).copies["null"]).max()
    yield control("4.5", "the answer from one noisy copy has no null part (largest)", 0.0, study.exactly(wild), 1e-8)
    for judge, pair, where in ((claim, RIDGES[:2], "1e-6 to 1e-4"), (control, RIDGES[2:], "0.25 to 4")):
        far = [penalized(runs, "inverse", r).copies["param/error"] for r in pair]
        slopes = np.log(far[1] / far[0]) / np.log(pair[1] / pair[0])
        said = f"the distance to the answer of minimum norm is proportional to the penalty, from {where} (slope"
        found = study.exactly(slopes[np.argmax(np.abs(slopes - 1))])
        yield judge("4.5", f"{said} of the data set where it is farthest from 1)", 1.0, found, 0.001)
    yield from degrees(runs)


def degrees(runs: Runs) -> Iterator[Claim]:
    run, n, sigma = noisy(runs, "normal", 100, 0.5), 100, 0.5
    seed, found = int(run.params["seed"]), study.mean(run.copies["degrees"])
    known = degrees_of_freedom(seed, n, n * sigma**2)
    wrong = {"the rank": 4.0, "s for s^2": degrees_of_freedom(seed, n, n * sigma**2, power=1)}
    wrong |= {"a penalty without n": degrees_of_freedom(seed, n, sigma**2)}
    said = "effective degrees of freedom of a ridge are {}"
    yield claim("4.5", said.format("sum s^2 / (s^2 + penalty)"), known, found, 0.15, wrong)
    yield control("4.5", said.format("the rank, 4"), 4.0, found, 0.15)
