"""Claims of 4.1: what least squares says when X'X is singular, or nearly so, in float64 and in float32."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from noiseworks import studies as study
from noiseworks.studies import Claim, Runs, claim, control
from noiseworks_experiments.parts.ex4_runs import CONDITIONS, HIGHER

SINGULAR = ["twin", "sum", "wide"]
GONE = 0.1  # a relative error: not even the first digit is right
EPS = {name: float(np.finfo(name).eps) for name in ("float64", "float32")}
Array = NDArray[np.float64]


def solver_claims(runs: Runs) -> Iterator[Claim]:
    yield from floor(runs)
    yield from singular(runs)
    yield from size(runs)
    yield from nearly_singular(runs)
    yield from single_precision(runs)


def floor(runs: Runs) -> Iterator[Claim]:
    """The loss beside an optimum, along v and across; see `valley`."""
    said = "the loss is the same along the null direction through an optimum (largest rise)"
    for judge, design, which in ((claim, "sum", ""), (control, "full", ", five independent columns")):
        grid = runs["ex4_valley"].one(design=design).copies
        rise = grid["rise"][np.isclose(grid["across"], 0)]
        yield judge("4.1", f"{said}{which}", 0.0, study.exactly(np.abs(rise).max()), 1e-12)


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
    said, never = "plain QR raises an error if {} (share)", {"never: it takes the shortest answer": 0.0}
    yield claim("4.1", said.format("there are fewer rows than columns"), 1.0, raised[0], 0.15, never)
    yield control("4.1", said.format("a column is the sum of two others"), 1.0, raised[1], 0.15)
    said = "where {} returns, its fit is as good as the best one (largest difference)"
    yield claim("4.1", said.format("Cholesky"), 0.0, worst(runs, "cholesky", "misfit", *SINGULAR), 1e-9)
    yield control("4.1", said.format("inversion of X'X"), 0.0, worst(runs, "inverse", "misfit", *SINGULAR), 1e-9)


def size(runs: Runs) -> Iterator[Claim]:
    sentence = "a column is the sum of two others: |w| of {} is 1 / eps within a factor of 100, {} (share)"
    for precision, name in (("float64", "ex4_solvers"), ("float32", "ex4_precision")):
        copies = runs[name].one(solver="qr", design="sum").copies
        share = study.proportion(near_eps(copies["size"], precision))
        none = {"never: |w| is of the size of the answer": 0.0}
        yield claim("4.1", sentence.format("plain QR", precision), 1.0, share, 0.15, none)
    svd = study.proportion(near_eps(runs["ex4_solvers"].one(solver="svd", design="sum").copies["size"], "float64"))
    yield control("4.1", sentence.format("the pseudo-inverse", "float64"), 1.0, svd, 0.15)


def near_eps(size: Array, precision: str) -> Array:
    return np.abs(np.log10(size * EPS[precision])) < 2


def digits_lost(runs: Runs, solver: str, name: str, conditions: list[float]) -> study.Interval:
    """The slope of log error by log condition, fitted to each copy."""
    errors = [runs["ex4_solvers"].one(solver=solver, design=kappa).copies[name] for kappa in conditions]
    return study.mean(np.polyfit(np.log(conditions), np.log(np.maximum(errors, 1e-18)), 1)[0])


def nearly_singular(runs: Runs) -> Iterator[Claim]:
    sentence = "the error of {} grows as the condition to the power {}"
    normal = digits_lost(runs, "cholesky", "exact_distance", CONDITIONS)
    qr, noisy = digits_lost(runs, "qr", "exact_distance", HIGHER), digits_lost(runs, "qr", "distance", CONDITIONS)
    for how, power, residuals, found, wrong in (
        ("the normal equations", 2, "no residuals", normal, {"1, as of QR": 1.0}),
        ("QR", 1, "no residuals", qr, {"2, as of X'X": 2.0, "1/2": 0.5}),
        ("QR", 2, "residuals", noisy, {"1, as without residuals": 1.0}),
    ):
        yield claim("4.1", f"{sentence.format(how, power)}, {residuals}", power, found, 0.2, wrong)
    yield control("4.1", sentence.format("the normal equations", 1) + ", no residuals", 1.0, normal, 0.2)


def single_precision(runs: Runs) -> Iterator[Claim]:
    sentence = "{}, condition 1e3, float32: the error is {} eps or up to 1000 times less, eps of float32 (share)"
    wrong = {"none: eps is that of float64": 0.0}
    for solver, how, power in (("inverse", "inversion of X'X", 2), ("cholesky", "Cholesky", 2), ("qr", "QR", 1)):
        said = sentence.format(how, "condition^2" if power == 2 else "condition")
        for judge, name in ((claim, "ex4_precision"), (control, "ex4_solvers")):
            share = study.proportion(of_eps(error(runs, name, solver, 1e3), 1e3**power))
            more = {"wrong": wrong} if judge is claim else {}
            yield judge("4.1", said if more else f"{said}, computed in float64", 1.0, share, 0.15, **more)
    yield from digits_gone(runs)


def of_eps(error: Array, factor: float) -> Array:
    """Whether an error is between a thousandth and the whole of factor * eps, eps of float32."""
    return np.abs(np.log10(error / (factor * EPS["float32"])) + 1.5) < 1.5


def digits_gone(runs: Runs) -> Iterator[Claim]:
    """Beyond a condition of 1 / sqrt(eps): 2.9e3 in float32, 6.7e7 in float64."""
    sentence = "beyond a condition of 1 / sqrt(eps) {} no digit left: {} at {:g} (share, or an error is raised)"
    for name, precision, kappa in (("ex4_precision", "float32", 1e5), ("ex4_solvers", "float64", 1e9)):
        normal, qr = (study.proportion(gone(error(runs, name, solver, kappa))) for solver in ("cholesky", "qr"))
        wrong = {"none: the limit is 1 / eps, as of QR": 0.0}
        yield claim("4.1", sentence.format("the normal equations have", precision, kappa), 1.0, normal, 0.15, wrong)
        yield control("4.1", sentence.format("QR has", precision, kappa) + ", no residuals", 1.0, qr, 0.15)
    other = study.proportion(gone(error(runs, "ex4_solvers", "cholesky", 1e5)))
    yield control("4.1", sentence.format("the normal equations have", "float64", 1e5), 1.0, other, 0.15)


def gone(error: Array) -> Array:
    return ~(error < GONE)


def error(runs: Runs, experiment: str, solver: str, kappa: float) -> Array:
    """Without residuals, of each design; no number where the solver raised."""
    return runs[experiment].one(solver=solver, design=kappa).copies["exact_distance"]
