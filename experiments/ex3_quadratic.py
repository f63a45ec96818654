"""Exercise 3: quadratic functions of x as a network.

A linear layer on the products x_i x_j finds all of them; so does a layer of squares that is as wide as the form's
rank. Two linear maps do not, however wide.

Source:  D2L 3.1, exercise 3.
Command: make exercises EX=3
Cost:    20 s on 2 cores.
Expect:  (d + 1)(d + 2) / 2 weights, and the error on new examples that theory gives for them, within 0.006 of the
         noise's; the error of the network jumps by 2 / rank, a whole eigenvalue, where it is narrower than the rank.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache

import numpy as np
from numpy.typing import NDArray

from noiseworks import studies as study
from noiseworks.studies import Claim, Figure, Run, Runs, claim, control

EXPERIMENTS = {
    "ex3_networks": ["replicates=40", "data.samples=4"],
    "ex3_features": ["replicates=300"],
}
D, ROWS, CURVATURE = 4, 200, 1.0  # as in the experiments
WEIGHTS, RANKS, WIDTHS = 15, (1, 2), (1, 2, 4)
# Of the noise's variance: 0.01 for terms of order 1 / n^2, a twentieth for the rest; an eigenvalue costs 1.
REACHED = 0.06
PAIRS = [(i, j) for i in range(D) for j in range(i + 1)]
NAMES = [f"x{i}" for i in range(D)] + [f"x{i}^2" if i == j else f"x{j}*x{i}" for i, j in PAIRS] + ["intercept"]
Array = NDArray[np.float64]


def features(x: Array) -> Array:
    """(n, d) -> (n, 15): x_i, then x_i x_j for j <= i, then 1."""
    products = [x[:, i] * x[:, j] for i, j in PAIRS]
    return np.column_stack([x, *products, np.ones(len(x))])


def form(rank: int) -> Array:
    """Q: its eigenvalues have size c / sqrt(rank) and alternate in sign."""
    angles = np.pi * np.outer(np.arange(D) + 0.5, np.arange(rank)) / D
    U = math.sqrt(2 / D) * np.cos(angles)
    U[:, 0] = 1 / math.sqrt(D)
    return (U * (-1.0) ** np.arange(rank)) @ U.T * CURVATURE / math.sqrt(rank)


def truth(rank: int) -> Array:
    """The coefficients of x'Q x + (x_1 + ... + x_d) / 2 + 1, in the order of `features`."""
    Q = form(rank)
    return np.array([0.5] * D + [Q[i, j] * (1 if i == j else 2) for i, j in PAIRS] + [1.0])


@cache
def nodes() -> tuple[Array, Array]:
    """x (m, d) and weights (m,): Gauss and Hermite's quadrature, exact for polynomials of degree 9 in each x_i."""
    points, weights = np.polynomial.hermite_e.hermegauss(5)
    grid = np.stack(np.meshgrid(*[points] * D, indexing="ij"), axis=-1).reshape(-1, D)
    every = np.stack(np.meshgrid(*[weights / weights.sum()] * D, indexing="ij"), axis=-1).reshape(-1, D)
    return grid, every.prod(axis=1)


@cache
def moments() -> Array:
    """E[f f'] of the features f, (15, 15)."""
    x, weights = nodes()
    f = features(x)
    return f.T @ (weights[:, None] * f)


def new_examples(n: int) -> float:
    """E[f'(F'F)^-1 f] = p / n + (E|g|^4 - p) / n^2 + O(1 / n^3) for a new f, with g = f in units with E[g g'] = I.

    F'F / n = I + E in these units, and (I + E)^-1 = I - E + E^2 - ...; E[tr E^2] = (E|g|^4 - p) / n.
    """
    x, weights = nodes()
    g = np.linalg.solve(np.linalg.cholesky(moments()), features(x).T)
    fourth = weights @ (g**2).sum(0) ** 2
    return float(WEIGHTS / n + (fourth - WEIGHTS) / n**2)


def best_affine(rank: int, n: int) -> float:
    """What the best affine function misses, 2 |Q|^2, and what it costs to estimate it from n rows (to order 1 / n):
    E[(1 + |x|^2) (1 + m^2)] / n with m = x'Q x - tr Q, which acts as noise beside the noise of variance 1."""
    x, weights = nodes()
    missed = np.einsum("ni,ij,nj->n", x, form(rank), x) - np.trace(form(rank))
    return float(weights @ missed**2 + weights @ ((1 + (x**2).sum(1)) * (1 + missed**2)) / n)


def free(rank: int) -> int:
    """How many numbers fix sum_k u_k (w_k'x + a_k)^2 + b of width h = rank < d: d h - h (h - 1) / 2 the symmetric
    matrix of rank h, h the linear part, which lies in its range, and one the constant."""
    return D * rank - rank * (rank - 1) // 2 + rank + 1


def claims(runs: Runs) -> Iterator[Claim]:
    yield from counted(runs)
    yield from predicted(runs)
    yield from networks(runs)


def coefficients(run: Run) -> Array:
    """(copies, 15): 0 for those that the model has not."""
    return np.stack([run.copies.get(f"coefficient/{name}", 0 * run.copies["train/rmse"]) for name in NAMES], axis=1)


def excess(run: Run, rank: int) -> Array:
    """E[(prediction - truth)^2] over new x, exactly: e'E[f f']e for the error e of the coefficients; (copies,)."""
    e = coefficients(run) - truth(rank)
    return np.einsum("ki,ij,kj->k", e, moments(), e)


def features_run(runs: Runs, model: str) -> Run:
    return runs["ex3_features"].one(model=model)


def counted(runs: Runs) -> Iterator[Claim]:
    quadratic, linear = (features_run(runs, model) for model in ("quadratic", "linear"))
    sentence = "the features have (d + 1)(d + 2) / 2 = 15 independent columns, d = 4"
    yield claim("3", sentence, 15.0, study.exactly(quadratic["exact/rank"]), 1e-9)
    yield control("3", f"{sentence}, without the products", 15.0, study.exactly(linear["exact/rank"]), 1e-9)
    off = coefficients(quadratic) - truth(2)
    worst = off[:, np.argmax(np.abs(off.mean(0) / off.std(0)))]
    sentence = "on average each coefficient is the true one (difference"
    yield claim("3", f"{sentence} of the one that is farthest off)", 0.0, study.mean(worst), 0.02)
    square = coefficients(linear)[:, NAMES.index("x0*x1")] - truth(2)[NAMES.index("x0*x1")]
    yield control("3", f"{sentence} of that of x1 x2), without the products", 0.0, study.exactly(square.mean()), 0.02)


def predicted(runs: Runs) -> Iterator[Claim]:
    quadratic, linear = (features_run(runs, model) for model in ("quadratic", "linear"))
    rows = [study.mean(run.copies["train/rmse"] ** 2) for run in (quadratic, linear)]
    sentence = "mean squared error on the rows that were fitted = 1 - p / n (n = 200)"
    yield claim("3", sentence, 1 - WEIGHTS / ROWS, rows[0], 0.02)
    yield control("3", f"{sentence}, without the products", 1 - WEIGHTS / ROWS, rows[1], 0.02)
    new = study.mean(excess(quadratic, 2))
    sentence = "excess error on new examples"
    yield claim("3", f"{sentence} = p / n + (E|g|^4 - p) / n^2 (n = 200)", new_examples(ROWS), new, 0.006)
    yield control("3", f"{sentence} = p / n, which holds for the rows' own x", WEIGHTS / ROWS, new, 0.006)
    affine, without = best_affine(2, ROWS), study.mean(excess(linear, 2))
    yield claim("3", f"{sentence} = 2 |Q|^2 and O(1 / n), without the products", affine, without, 0.05)
    yield control("3", f"{sentence} = 2 |Q|^2 and O(1 / n), with the products", affine, new, 0.05)


def best_starts(run: Run, values: Array) -> Array:
    """Of each sample the value of the start with the least training error; (samples,)."""
    samples = int(run.params["data.samples"])
    errors = run.copies["train/rmse"].reshape(-1, samples)
    return values.reshape(-1, samples)[errors.argmin(0), np.arange(samples)]


def network(runs: Runs, rank: int, width: int, activation: str | None = "square") -> Run:
    return runs["ex3_networks"].one({"data.form_rank": rank, "model.width": width, "model.activation": activation})


def network_excess(runs: Runs, rank: int, width: int, activation: str | None = "square") -> study.Interval:
    run = network(runs, rank, width, activation)
    return study.mean(best_starts(run, excess(run, rank)))


def networks(runs: Runs) -> Iterator[Claim]:
    sentences = {rank: f"excess error for a form of rank {rank} = (free numbers) / n" for rank in RANKS}
    for rank, sentence in sentences.items():
        found = network_excess(runs, rank, rank)
        yield claim("3", f"{sentence}, up to 0.06: squares of width {rank}", free(rank) / ROWS, found, REACHED)
    sentence = "excess error for a form of rank 1, squares of width 1, is that of products as features"
    yield control("3", sentence, new_examples(ROWS), network_excess(runs, 1, 1), 0.006)
    found = network_excess(runs, 2, 1)
    yield control("3", f"{sentences[2]}, up to 0.06: squares of width 1", free(2) / ROWS, found, REACHED)
    for width in WIDTHS:
        found = network_excess(runs, 2, width, None)
        yield control(
            "3", f"{sentences[2]}, up to 0.06: two linear maps of width {width}", free(2) / ROWS, found, REACHED
        )
    wide = study.mean(loss_ratio(runs, 4))
    sentence = "a layer of squares ends at the training error of the features (ratio of mean squares), width {}"
    yield claim("3", sentence.format("d = 4"), 1.0, wide, 0.03)
    yield control("3", sentence.format("1"), 1.0, study.mean(loss_ratio(runs, 1)), 0.03)


def loss_ratio(runs: Runs, width: int) -> Array:
    """Of the best start's mean square error to the exact answer's on the same sample, for the form of rank 2."""
    run = network(runs, 2, width)
    found = best_starts(run, run.copies["train/rmse"])
    return (found / features_run(runs, "quadratic").copies["train/rmse"][: len(found)]) ** 2


def figures(runs: Runs) -> Iterator[Figure]:
    yield by_width(runs)
    yield by_start(runs)


def by_width(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    for number, rank in enumerate(RANKS):
        found = [network_excess(runs, rank, width) for width in WIDTHS]
        at = [width + 0.06 * (number - 0.5) for width in WIDTHS]
        study.estimates(axes, at, found, f"squares, form of rank {rank}", number)
    linear = [network_excess(runs, 2, width, None) for width in WIDTHS]
    study.estimates(axes, WIDTHS, linear, "two linear maps, form of rank 2", 2)
    for rank in RANKS:
        study.theory(axes, [rank - 0.3, rank + 0.3], [free(rank) / ROWS] * 2, "_", study.COLORS[rank - 1])
    study.theory(axes, [0.8, 4.2], [new_examples(ROWS)] * 2, "products as features (theory)")
    study.theory(axes, [0.8, 4.2], [best_affine(2, ROWS)] * 2, "_", study.COLORS[2])
    axes.set(yscale="log", xticks=WIDTHS, xlabel="width of the layer", ylabel="excess error / noise variance")
    axes.legend(loc="center", bbox_to_anchor=(0.66, 0.66))
    return Figure(
        "3",
        alt="The error of the layer of squares falls to a few hundredths where its width reaches the rank of the form; "
        "that of two linear maps stays at two, at every width.",
        caption="Error on new examples beyond that of the noise, with 99 % intervals, best of the starts. Dashed: "
        "theory (short: free numbers / n). At width 1 a form of rank 2 has one eigenvalue left over.",
        drawing=drawing,
    )


def by_start(runs: Runs) -> Figure:
    drawing, axes = study.panels(height=2.8)
    for number, width in enumerate(WIDTHS):
        run = network(runs, 2, width)
        samples = int(run.params["data.samples"])
        errors = run.copies["train/rmse"].reshape(-1, samples)
        worse = np.sort((errors / errors.min(0)).ravel() ** 2)
        share = np.arange(1, len(worse) + 1) / len(worse)
        axes.step(
            worse,
            share,
            where="post",
            label=f"width {width}",
            color=study.COLORS[number],
            linestyle=["-", "--", ":"][number],
        )
    axes.set(
        xlim=(0.95, 3),
        ylim=(0, 1.02),
        xlabel="mean squared training error over that of the best start",
        ylabel="share of the starts",
    )
    axes.legend(loc="lower right")
    return Figure(
        "3",
        alt="Steps: of width 2 a part of the starts ends at about twice the best error; of width 4 nearly none.",
        caption="Not every start gets there: squares have stationary points that the features do not have. Form of "
        "rank 2; the share of the starts that end within a factor of the best one on the same sample.",
        drawing=drawing,
    )
