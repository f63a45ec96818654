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

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from noiseworks import studies as study
from noiseworks.studies import Claim, Figure, Run, Runs, claim, control
from noiseworks_experiments.parts.ex3_theory import (
    NAMES,
    ROWS,
    WEIGHTS,
    D,
    best_affine,
    form,
    moments,
    new_examples,
    of_width,
    truth,
)

EXPERIMENTS = {
    "ex3_networks": ["replicates=40", "data.samples=4"],
    "ex3_rank": ["replicates=40", "data.samples=4"],
    "ex3_maps": ["replicates=8", "data.samples=4"],
    "ex3_features": ["replicates=300"],
}
RANKS, WIDTHS = (1, 2), (1, 2, 4)
REACHED = {1: 0.027, 2: 0.0145}  # of the noise's variance: less than half of the way to the error of the features
Array = NDArray[np.float64]


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
    of_product, Q = NAMES.index("x0*x1"), form(2)
    found = study.mean(coefficients(quadratic)[:, of_product])
    said = "on average the coefficient of x1 x2 is 2 Q_12"
    yield claim("3", said, truth(2)[of_product], found, 0.02, {"Q_12, counted once": Q[0, 1], "none": 0.0})
    square = study.mean(coefficients(quadratic)[:, NAMES.index("x0^2")])
    yield claim("3", "on average the coefficient of x1^2 is Q_11", Q[0, 0], square, 0.02, {"2 Q_11": 2 * Q[0, 0]})
    without = study.exactly(coefficients(linear)[:, of_product].mean())
    yield control("3", f"{said}, without the products", truth(2)[of_product], without, 0.02)


def predicted(runs: Runs) -> Iterator[Claim]:
    quadratic, linear = (features_run(runs, model) for model in ("quadratic", "linear"))
    rows = [study.mean(run.copies["train/rmse"] ** 2) for run in (quadratic, linear)]
    sentence = "mean squared error on the rows that were fitted = 1 - p / n (n = 200)"
    yield claim("3", sentence, 1 - WEIGHTS / ROWS, rows[0], 0.012, wrong_on_rows())
    yield control("3", f"{sentence}, without the products", 1 - WEIGHTS / ROWS, rows[1], 0.012)
    new, known = study.mean(excess(quadratic, 2)), new_examples(ROWS)
    sentence = "excess error on new examples"
    yield claim("3", f"{sentence} = p / n + 546 / n^2 + 7320 / n^3 (n = 200)", known, new, 0.0045, wrong_on_new())
    yield control("3", f"{sentence} = p / n, which holds for the rows' own x", WEIGHTS / ROWS, new, 0.0045)
    affine, without = best_affine(2, ROWS), study.mean(excess(linear, 2))
    wrong = {"|Q|^2 for 2 |Q|^2": affine - 1, "a form that is no noise, 2 |Q|^2 + (d + 1) / n": 2 + (D + 1) / ROWS}
    yield claim("3", f"{sentence} = 2 |Q|^2 and O(1 / n), without the products", affine, without, 0.03, wrong)
    yield control("3", f"{sentence} = 2 |Q|^2 and O(1 / n), with the products", affine, new, 0.03)


def wrong_on_rows() -> dict[str, float]:
    counted = {"the inputs alone": D, "the products alone": D * (D + 1) // 2, "every product twice": 1 + D + D * D}
    return {f"p counts {what}": 1 - p / ROWS for what, p in counted.items()}


def wrong_on_new() -> dict[str, float]:
    theories = {"p / n": WEIGHTS / ROWS, "p / (n - p - 1), as of normal features": WEIGHTS / (ROWS - WEIGHTS - 1)}
    return theories | {"d / n": D / ROWS}


def best_starts(run: Run, values: Array) -> Array:
    """Of each sample the value of the start with the least training error; (samples,)."""
    samples = int(run.params["data.samples"])
    errors = run.copies["train/rmse"].reshape(-1, samples)
    return values.reshape(-1, samples)[errors.argmin(0), np.arange(samples)]


def network(runs: Runs, rank: int, width: int) -> Run:
    """Width 2 for a form of rank 2 has samples enough to be told from the features, whose error is near."""
    if rank == width == 2:
        return runs["ex3_rank"][0]
    return runs["ex3_networks"].one({"data.form_rank": rank, "model.width": width})


def network_excess(runs: Runs, rank: int, width: int) -> study.Interval:
    run = network(runs, rank, width)
    return study.mean(best_starts(run, excess(run, rank)))


def map_excess(runs: Runs, width: int) -> study.Interval:
    """Of two linear maps, for the form of rank 2."""
    run = runs["ex3_maps"].one({"model.width": width})
    return study.mean(best_starts(run, excess(run, 2)))


def networks(runs: Runs) -> Iterator[Claim]:
    sentence = "excess error for a form of rank {0} = q / n + (E|g|^4 - q) / n^2: {1} of width {2}"
    for rank in RANKS:
        found, known = network_excess(runs, rank, rank), of_width(rank, ROWS)
        wrong = {"that of the products as features": new_examples(ROWS)}
        yield claim("3", sentence.format(rank, "squares", rank), known, found, REACHED[rank], wrong)
    same = "excess error for a form of rank 1, squares of width 1, is that of products as features"
    yield control("3", same, new_examples(ROWS), network_excess(runs, 1, 1), 0.006)
    missed, margin = of_width(2, ROWS), REACHED[2]
    yield control("3", sentence.format(2, "squares", 1), missed, network_excess(runs, 2, 1), margin)
    for width in WIDTHS:
        yield control("3", sentence.format(2, "two linear maps", width), missed, map_excess(runs, width), margin)
    sentence = "a layer of squares ends at the training error of the features ({} ratio of mean squares), width {}"
    largest, least = loss_ratio(runs, 4).max(), loss_ratio(runs, 1).min()
    yield claim("3", sentence.format("largest", "d = 4"), 1.0, study.exactly(largest), 0.03)
    yield control("3", sentence.format("smallest", "1"), 1.0, study.exactly(least), 0.03)


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
    linear = [map_excess(runs, width) for width in WIDTHS]
    study.estimates(axes, WIDTHS, linear, "two linear maps, form of rank 2", 2)
    for rank in RANKS:
        study.theory(axes, [rank - 0.3, rank + 0.3], [of_width(rank, ROWS)] * 2, "_", study.COLORS[rank - 1])
    study.theory(axes, [0.8, 4.2], [new_examples(ROWS)] * 2, "products as features (theory)")
    study.theory(axes, [0.8, 4.2], [best_affine(2, ROWS)] * 2, "_", study.COLORS[2])
    axes.set(yscale="log", xticks=WIDTHS, xlabel="width of the layer", ylabel="excess error / noise variance")
    axes.legend(loc="center", bbox_to_anchor=(0.66, 0.66))
    return Figure(
        "3",
        alt="The error of the layer of squares falls to a few hundredths where its width reaches the rank of the form; "
        "that of two linear maps stays at two, at every width.",
        caption="Error on new examples beyond that of the noise, with 99 % intervals, best of the starts. Dashed: "
        "theory. At width 1 a form of rank 2 has one eigenvalue left over.",
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
