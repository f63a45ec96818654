"""Exercise 4: X'X without full rank.

4.1 What least squares says then. 4.2 Adding noise to X: once, and fresh in every step. 4.3 The expected X'X of noisy
features. 4.4 Where minibatch SGD ends. 4.5 The ridge, from next to nothing up (a later edition of the chapter).

Source:  D2L 3.1, exercise 4.
Command: make exercises EX=4
Cost:    15 s on 2 cores.
Expect:  the answer of minimum norm by the pseudo-inverse and by SGD from zero; a null coefficient of standard deviation
         s / (sigma sqrt(n - d - 1)) after noise that is added once, and the ridge answer after noise that is fresh in
         every step; E[X'X] + n sigma^2 I.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from noiseworks import studies as study
from noiseworks.studies import Claim, Run, Runs, claim, control
from noiseworks_experiments.parts.ex4_figures import figures
from noiseworks_experiments.parts.ex4_measure import ENTRIES, d, measure
from noiseworks_experiments.parts.ex4_runs import (
    CONDITIONS,
    DECAY,
    LR,
    OPTIMIZERS,
    RIDGES,
    SIGMAS,
    STEPS,
    clean_error,
    noisy,
    null,
    null_path,
    penalized,
    way,
    weights,
)
from noiseworks_experiments.parts.ex4_theory import one_copy

__all__ = ["EXPERIMENTS", "claims", "figures", "measure"]

EXPERIMENTS = {
    "ex4_solvers": ["replicates=20"],
    "ex4_noise": ["replicates=150"],
    "ex4_gram": ["replicates=1000"],
    "ex4_steps": ["replicates=10"],
    "ex4_descent": ["replicates=10"],
    "ex4_ridge": ["replicates=10"],
}
SINGULAR = ["twin", "sum", "wide"]
Array = NDArray[np.float64]


def claims(runs: Runs) -> Iterator[Claim]:
    yield from singular(runs)
    yield from nearly_singular(runs)
    yield from noise_once(runs)
    yield from noise_in_every_step(runs)
    yield from expectation(runs)
    yield from descent(runs)
    yield from ridge(runs)


def worst(runs: Runs, solver: str, name: str, *designs: str) -> study.Interval:
    """The largest over some designs, where the solver returned anything."""
    found = [runs["ex4_solvers"].one(solver=solver, design=design).copies[name] for design in designs]
    return study.exactly(np.nanmax(np.concatenate(found)))


def singular(runs: Runs) -> Iterator[Claim]:
    sweep = runs["ex4_solvers"]
    sentence = "on a singular design {} gives the answer of minimum norm (largest relative distance)"
    yield claim("4.1", sentence.format("the pseudo-inverse"), 0.0, worst(runs, "svd", "distance", *SINGULAR), 1e-9)
    for solver, how in {"inverse": "inversion of X'X", "cholesky": "Cholesky", "qr": "plain QR"}.items():
        designs = SINGULAR if solver != "qr" else SINGULAR[:2]
        said = f"{sentence.format(how)}, where it raises no error"
        yield control("4.1", said, 0.0, worst(runs, solver, "distance", *designs), 1e-9)
    raised = [study.proportion(sweep.one(solver="qr", design=design).copies["raised"]) for design in ("wide", "sum")]
    yield claim("4.1", "plain QR raises an error if there are fewer rows than columns (share)", 1.0, raised[0], 0.15)
    yield control("4.1", "plain QR raises an error if a column is the sum of two others (share)", 1.0, raised[1], 0.15)
    said = "where {} returns, its fit is as good as the best one (largest difference)"
    yield claim("4.1", said.format("Cholesky"), 0.0, worst(runs, "cholesky", "misfit", *SINGULAR), 1e-9)
    yield control("4.1", said.format("inversion of X'X"), 0.0, worst(runs, "inverse", "misfit", *SINGULAR), 1e-9)
    digits = -math.log10(np.finfo(float).eps)
    for judge, solver, how in ((claim, "qr", "plain QR"), (control, "svd", "the pseudo-inverse")):
        size = study.mean(np.log10(sweep.one(solver=solver, design="sum").copies["size"]))
        yield judge("4.1", f"log10 |w| of {how} is that of 1 / eps", digits, size, 1.0)


def digits_lost(runs: Runs, solver: str, name: str) -> study.Interval:
    """The slope of log error by log condition, fitted to each copy."""
    errors = [runs["ex4_solvers"].one(solver=solver, design=kappa).copies[name] for kappa in CONDITIONS]
    return study.mean(np.polyfit(np.log(CONDITIONS), np.log(np.maximum(errors, 1e-18)), 1)[0])


def nearly_singular(runs: Runs) -> Iterator[Claim]:
    sentence = "the error of {} grows as the condition to the power {}"
    normal, qr = (digits_lost(runs, solver, "exact_distance") for solver in ("cholesky", "qr"))
    yield claim("4.1", sentence.format("the normal equations", 2) + ", no residuals", 2.0, normal, 0.2)
    yield claim("4.1", sentence.format("QR", 1) + ", no residuals", 1.0, qr, 0.2)
    yield claim("4.1", sentence.format("QR", 2) + ", residuals", 2.0, digits_lost(runs, "qr", "distance"), 0.2)
    yield control("4.1", sentence.format("the normal equations", 1) + ", no residuals", 1.0, normal, 0.2)


def noise_once(runs: Runs) -> Iterator[Claim]:
    for sigma in SIGMAS:
        run, (variance, error) = runs["ex4_noise"].one({"data.input_noise": sigma}), one_copy(sigma, 50)
        said = f"variance of the null coefficient over s^2 / (sigma^2 (n - d - 1)), noise added once, sigma = {sigma}"
        yield claim("4.2", said, 1.0, study.variance(null(run), variance), 0.4)
        said = f"mean squared error of predictions at clean features, noise added once, sigma = {sigma}"
        yield claim("4.2", said, error, study.mean(clean_error(run)), 0.2 * error)
    run, (variance, error) = runs["ex4_noise"].one({"data.input_noise": 0.2}), one_copy(0.2, 50)
    ridge_answer = runs["ex4_ridge"].one({"optimizer.ridge": 0.25}, **{"optimizer.method": "auto"})
    said = "the null coefficient of the ridge answer varies as much as that of one noisy copy, sigma = 0.5"
    yield control("4.2", said, 1.0, study.exactly(null(ridge_answer).var() / one_copy(0.5, 200)[0]), 0.4)
    said = "predictions for a row along v are as good as at clean features, noise added once, sigma = 0.2"
    yield control("4.2", said, error, study.mean(null(run) ** 2), 0.2 * error)
    share = study.proportion(runs["ex4_solvers"].one(solver="qr", design="wide_noisy").copies["raised"])
    yield claim(
        "4.2", "fewer rows than columns: plain QR raises an error on noisy features as well (share)", 1.0, share, 0.15
    )


def towards_ridge(runs: Runs, name: str) -> study.Interval:
    """How far the answers went from the one of minimum norm (0) towards the ridge answer (1), on the same data."""
    least, most = (
        weights(runs["ex4_ridge"].one({"optimizer.ridge": r, "optimizer.method": "auto"})) for r in (1e-6, DECAY)
    )
    full = most - least
    return study.mean(((weights(way(runs, name)) - least) * full).sum(axis=1) / (full**2).sum(axis=1))


def noise_in_every_step(runs: Runs) -> Iterator[Claim]:
    sentence = "share of the way from minimum norm to ridge(n sigma^2) that steps go with {}"
    yield claim("4.2", sentence.format("fresh noise of variance sigma^2"), 1.0, towards_ridge(runs, "fresh"), 0.2)
    yield claim("4.2", sentence.format("a weight decay of sigma^2"), 1.0, towards_ridge(runs, "decay"), 0.2)
    yield control("4.2", sentence.format("neither"), 1.0, towards_ridge(runs, "plain"), 0.2)


def farthest(run: Run, added: Array) -> study.Interval:
    """Of the 15 entries of E[G - X'X] / (n sigma^2), less `added`, the one that is farthest from zero."""
    off = [study.mean(run.copies[f"g{j}{k}"] - added[j, k]) for j, k in ENTRIES]
    return max(off, key=lambda interval: abs(interval.estimate))


def expectation(runs: Runs) -> Iterator[Claim]:
    said, one = "mean X'X of noisy features less ({}), over n sigma^2, worst entry: {} noise, n = {}", np.eye(d)
    for noise in ("normal", "uniform", "laplace"):
        for n in (20, 100):
            sentence = said.format("X'X + n sigma^2 I", noise.replace("laplace", "Laplace"), n)
            yield claim("4.3", sentence, 0.0, farthest(noisy(runs, noise, n, 0.5), one), 0.1)
    shown = noisy(runs, "normal", 100, 0.5)
    sentence = said.format("X'X + n sigma^2 I", "correlated", 100)
    yield control("4.3", sentence, 0.0, farthest(noisy(runs, "correlated", 100, 0.5), one), 0.1)
    yield control("4.3", said.format("X'X + sigma^2 I", "normal", 100), 0.0, farthest(shown, one / 100), 0.1)
    for power, what, pair in ((1, "n", [(20, 2.0), (100, 2.0)]), (2, "sigma", [(100, 0.5), (100, 2.0)])):
        shift = [noisy(runs, "normal", *at).copies["g22"] * at[0] * at[1] ** 2 for at in pair]
        x = [at[power - 1] for at in pair]
        yield claim(
            "4.3",
            f"what noise adds to a diagonal entry of X'X grows as {what} to the power {power}",
            power,
            study.slope(x, shift),
            0.1,
        )
    small = study.mean(noisy(runs, "normal", 20, 2.0).copies["inverse"])
    said = "mean of v'(X'X)^-1 v, times n sigma^2, of noisy features is {}, n = 20"
    yield claim("4.3", said.format("n / (n - d - 1)"), 20 / (20 - d - 1), small, 0.1)
    yield control("4.3", said.format("1, as of the inverse of the mean"), 1.0, small, 0.1)


def distance(runs: Runs, optimizer: str, start: float) -> Array:
    """To the answer of minimum norm (R,)."""
    return runs["ex4_descent"].one({"model.init_scale": start}, optimizer=optimizer).copies["param/error"]


def descent(runs: Runs) -> Iterator[Claim]:
    sentence = "distance of {} to the answer of minimum norm, 5 rows and 40 columns ({})"
    starts = [(claim, "minibatch_sgd", 0.0), *((control, o, 0.0) for o in ("adam", "adagrad"))]
    for judge, optimizer, start in (*starts, (control, "minibatch_sgd", 1.0)):
        far = distance(runs, optimizer, start)
        where, which = "zero" if start == 0 else "random starts", "largest" if judge is claim else "smallest"
        said = sentence.format(f"{OPTIMIZERS[optimizer]} from {where}", which)
        yield judge("4.4", said, 0.0, study.exactly(far.max() if judge is claim else far.min()), 1e-4)
    square = study.mean(distance(runs, "minibatch_sgd", 1.0) ** 2)
    yield claim(
        "4.4",
        "mean squared distance of SGD from random starts of E|w_0|^2 = 1: the share that no row sees, (d - n) / d",
        35 / 40,
        square,
        0.2,
    )
    fits = [runs["ex4_descent"].one({"model.init_scale": s}, optimizer="minibatch_sgd") for s in (0.0, 1.0)]
    fit = np.abs(fits[0].copies["train/rmse"] - fits[1].copies["train/rmse"]).max()
    yield claim(
        "4.1",
        "SGD from two starts, 5 rows and 40 columns: the weights fit equally well (largest difference of rmse)",
        0.0,
        study.exactly(fit),
        1e-4,
    )
    apart = np.linalg.norm(
        [fits[0].copies[f"coefficient/x{j}"] - fits[1].copies[f"coefficient/x{j}"] for j in range(40)], axis=0
    )
    yield control(
        "4.1",
        "SGD from two starts, 5 rows and 40 columns: the weights are the same (smallest distance)",
        0.0,
        study.exactly(apart.min()),
        1e-4,
    )
    yield from null_parts(runs)


def null_parts(runs: Runs) -> Iterator[Claim]:
    plain, decay, fresh = (null(way(runs, name)) for name in ("plain", "decay", "fresh"))
    said = "the null part {} in 400 steps of minibatch SGD with {} (largest deviation)"
    for name, judge, what in (
        ("plain", claim, "nothing else"),
        ("momentum", claim, "momentum"),
        ("fresh", control, "fresh noise"),
    ):
        path = null_path(way(runs, name))
        yield judge("4.4", said.format("does not move", what), 0.0, study.exactly(np.abs(path - path[0]).max()), 1e-10)
    for name, judge, part in (("weight decay", claim, decay), ("fresh noise", control, fresh)):
        left = np.abs(part / plain / (1 - LR * DECAY) ** STEPS - 1).max()
        yield judge("4.4", said.format("shrinks by 1 - lr decay a step", name), 0.0, study.exactly(left), 1e-6)


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
    once = np.abs(null(runs["ex4_noise"].one({"data.input_noise": 1.0}))).max()
    yield control("4.5", "the answer from one noisy copy has no null part (largest)", 0.0, study.exactly(once), 1e-8)
    for judge, pair, where in ((claim, RIDGES[:2], "1e-6 to 1e-4"), (control, RIDGES[2:], "0.25 to 4")):
        far = [penalized(runs, "inverse", r).copies["param/error"] for r in pair]
        said = f"the distance to the answer of minimum norm is proportional to the penalty, from {where} (slope)"
        yield judge("4.5", said, 1.0, study.slope(pair, far), 0.1)
    run = noisy(runs, "normal", 100, 0.5)
    formula, degrees = float(run.copies["formula"][0]), study.mean(run.copies["degrees"])
    yield claim("4.5", "effective degrees of freedom of a ridge are sum s^2 / (s^2 + penalty)", formula, degrees, 0.2)
    yield control("4.5", "effective degrees of freedom of a ridge are the rank, 4", 4.0, degrees, 0.2)
