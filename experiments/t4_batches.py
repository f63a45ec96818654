"""The text, 3.1.1.4: how many examples should a minibatch have?

Source:  D2L 3.1.1.4; the mean squared distance of SGD on x ~ N(0, I) by E[x x'A x x'] = 2 A + tr(A) I.
Command: make exercises EX=T4
Cost:    10 s on 2 cores; the times of T4.3 are shown and decide nothing.
Expect:  examples to a tolerance within 5 % of theory for batches of 1 to 512; copies of the rows cost a full batch in
         proportion, a minibatch nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from itertools import count

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from noiseworks import studies as study
from noiseworks.studies import Claim, Figure, Run, Runs, claim, control

EXPERIMENTS = {"t4_sizes": ["replicates=30"], "t4_measures": ["replicates=400"]}
SIZES = [1, 8, 32, 256, 512]
D = 31
EXAMPLES = 512  # that each fit looks at
TOLERANCE = 0.01  # of the squared distance at the start
COPIES = [1, 4, 16]
TIMED = [4**k for k in range(7)]
Array = NDArray[np.float64]


def measure(cfg) -> dict[str, Array | float]:
    return {"redundancy": redundancy, "time": times}[cfg.measure](cfg)


# T4.1: examples to a tolerance


def best_step(size: float) -> float:
    return 1 / (1 + (D + 1) / size)


def factor(size: float, lr: float) -> float:
    """Of E|w - w_true|^2 in one step without noise: E(I - lr S)^2 for the mean S of B matrices x x', where E S = I and
    E S^2 = (1 + (d + 1) / B) I. The best step leaves (d + 1) / (B + d + 1)."""
    return 1 - 2 * lr + lr**2 * (1 + (D + 1) / size)


def examples(size: float, lr: float | None = None) -> float:
    """Until E|w - w_true|^2 is TOLERANCE of what it was; for the best step B ln(1 / TOLERANCE) / ln(1 + B / (d + 1)).

    lr: of the step; None: the best.
    """
    return size * math.log(TOLERANCE) / math.log(factor(size, best_step(size) if lr is None else lr))


# T4.2: copies of the rows


def redundancy(cfg) -> dict[str, Array]:
    """Examples looked at until |w - w_true|^2 is TOLERANCE of what it was, if each row is there `copies` times."""
    rng = np.random.default_rng([cfg.seed, 42])
    X = rng.normal(size=(cfg.replicates, cfg.num_rows, cfg.num_features))
    found: dict[str, Array] = {}
    for copies in COPIES:
        many = np.repeat(X, copies, axis=1)
        found[f"full/{copies}"] = many.shape[1] * steps(cfg, lambda rows=many: rows)
        found[f"minibatch/{copies}"] = cfg.batch_size * steps(cfg, lambda rows=many: drawn(rng, rows, cfg.batch_size))
    return found


def drawn(rng: np.random.Generator, X: Array, size: int) -> Array:
    """`size` rows of each data set, with replacement: (R, n, d) -> (R, size, d)."""
    rows = rng.integers(X.shape[1], size=(X.shape[0], size, 1))
    return np.take_along_axis(X, rows, axis=1)


def steps(cfg, batch) -> Array:
    """(R,): of descent without noise, for the error e = w - w_true of each replicate: e <- e - lr X'X e / B."""
    error = np.full((cfg.replicates, cfg.num_features, 1), cfg.num_features**-0.5)  # |e| = 1
    taken = np.zeros(cfg.replicates)
    for step in count(1):
        X = batch()
        error = error - cfg.lr / X.shape[1] * X.mT @ (X @ error)
        arrived = (error**2).sum(axis=(1, 2)) <= TOLERANCE
        taken[arrived & (taken == 0)] = step
        if taken.all():
            return taken
    raise AssertionError


# T4.3: time, shown only


def times(cfg, least: float = 0.02) -> dict[str, float]:
    """Seconds an example takes in a step of the update (3.1.11) in NumPy; the shortest of five rounds for each size."""
    rng = np.random.default_rng(cfg.seed)
    return {f"time/{size}": min(seconds(rng, size, least) for _ in range(5)) / size for size in TIMED}


def seconds(rng: np.random.Generator, size: int, least: float) -> float:
    """Of one step, the mean over `least` seconds of them."""
    X, y, w = rng.normal(size=(size, D)), rng.normal(size=size), np.zeros(D)
    begun, done = time.perf_counter(), 0
    while (gone := time.perf_counter() - begun) < least or not done:
        for _ in range(10):
            w = w - 1e-3 / size * (X.T @ (X @ w - y))
        done += 10
    return gone / done


def claims(runs: Runs) -> Iterator[Claim]:
    yield from of_sizes(runs)
    yield from of_copies(runs)
    few, single = examples(256) / 256, examples(1)
    found = each_over(runs, "B1", "B256")
    sentence = "steps of single examples in place of each step of 256"
    wrong = {"as many as its examples": 256.0, "by the rule (B + d + 1) / B": (1 + D + 1) / (1 + (D + 1) / 256)}
    yield claim("T4.3", sentence, single / few, found, 0.1 * single / few, wrong)
    yield control("T4.3", "a step of 256 examples replaces 256 steps of one", 256.0, found, 0.1 * 256)


def of_sizes(runs: Runs) -> Iterator[Claim]:
    for size in SIZES:
        sentence = f"examples until 1 % of the squared distance is left, batches of {size}, their best step"
        wrong = {"until 1 % of the distance is left": 2 * examples(size)}
        if size > 1:
            wrong |= {"as many as one by one": examples(1), "in proportion to the batch": size * examples(1)}
        if size > 8:
            wrong["by the rule (B + d + 1) ln(1 / tolerance)"] = (size + D + 1) * math.log(1 / TOLERANCE)
        yield claim("T4.1", sentence, examples(size), looked_at(runs, f"B{size}"), 0.05 * examples(size), wrong)
    half = examples(32, 0.25)
    for name, about, inverse in (("half", "half", 2), ("long", "one and a half times", 2 / 3)):
        sentence = f"examples until 1 % of the squared distance is left, batches of 32, {about} the best step"
        wrong = {"as with the best step": examples(32), "in inverse proportion to the step": inverse * examples(32)}
        yield claim("T4.1", sentence, half, looked_at(runs, f"B32_{name}"), 0.08 * half, wrong)
    found = looked_at(runs, "B32_half")
    yield control(
        "T4.1", "half the step needs no more examples, batches of 32", examples(32), found, 0.08 * examples(32)
    )
    single, small_step = examples(1), (512 + D + 1) * math.log(1 / TOLERANCE)
    large = looked_at(runs, "B512")
    yield control("T4.1", "a batch of 512 wastes nothing: as many examples as one by one", single, large, 0.08 * single)
    yield control("T4.1", "examples by the rule (B + d + 1) ln(1 / tolerance), batches of 512", small_step, large,
                  0.08 * small_step)  # fmt: skip


def of_copies(runs: Runs) -> Iterator[Claim]:
    for copies in COPIES[1:]:
        yield claim("T4.2", f"with each row {copies} times, full batches look at {copies} times as many examples",
                    copies, ratio(runs, "full", copies), 1e-12)  # fmt: skip
        yield claim("T4.2", f"with each row {copies} times, minibatches look at as many examples as before", 1.0,
                    ratio(runs, "minibatch", copies), 0.05, {"as full batches": copies})  # fmt: skip
    yield control("T4.2", "with each row 4 times, full batches look at as many examples as before", 1.0,
                  ratio(runs, "full", 4), 0.1)  # fmt: skip


def squared_distance(run: Run) -> Array:
    """|w - w_true|^2 of each replicate, over that at the start: |w_true| = 1 and w = 0 (data.true_weights=null)."""
    j = np.arange(D)
    w_true = (-1.0) ** j / (1 + j)
    w_true /= np.linalg.norm(w_true)
    w = np.stack([run.copies[f"coefficient/x{i}"] for i in j], axis=1)
    return np.asarray(((w - w_true) ** 2).sum(axis=1))


def looked_at(runs: Runs, setting: str) -> study.Interval:
    """Examples to the tolerance: each step multiplies the mean by the same factor, so that the logarithm of what is
    left after EXAMPLES tells of all."""
    run = runs["t4_sizes"].one(setting=setting)
    left = study.mean(squared_distance(run))
    found, lo, hi = (
        EXAMPLES * math.log(TOLERANCE) / math.log(max(x, 1e-300)) for x in (left.estimate, left.lo, left.hi)
    )
    error = found / -math.log(left.estimate) * left.standard_error / left.estimate
    return study.Interval(found, lo, hi, error)


def each_over(runs: Runs, slow: str, fast: str) -> study.Interval:
    """Steps of `slow` over steps of `fast`, with independent errors."""
    above, below = looked_at(runs, slow), looked_at(runs, fast)
    sizes = [float(name.removeprefix("B")) for name in (slow, fast)]
    found = above.estimate / sizes[0] / (below.estimate / sizes[1])
    relative = math.hypot(above.standard_error / above.estimate, below.standard_error / below.estimate)
    reach = float(stats.norm.ppf(0.995)) * relative
    return study.Interval(found, found * (1 - reach), found * (1 + reach), found * relative)


def ratio(runs: Runs, way: str, copies: int) -> study.Interval:
    found = runs["t4_measures"].one(measure="redundancy").copies
    above, below = found[f"{way}/{copies}"], found[f"{way}/1"]
    if way == "full":  # the same steps: no chance is in the ratio
        return study.exactly((above / below).max())
    return study.ratio_of_means(above, below)


def figures(runs: Runs) -> Iterator[Figure]:
    yield of_examples(runs)
    yield of_redundancy(runs)
    yield of_time(runs)


def of_examples(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    fine = np.geomspace(1, 1024, 80)
    study.theory(axes, fine, [examples(size) for size in fine], "theory, the best step of each size")
    study.rule(axes, fine, fine * math.log(1 / TOLERANCE), "in proportion to the batch (slope 1)")
    study.estimates(axes, SIZES, [looked_at(runs, f"B{size}") for size in SIZES], "measured, 99 % intervals")
    axes.set(xscale="log", yscale="log", xlabel="examples in a batch", ylabel="examples until 1 % is left")
    axes.axvline(D + 1, color=study.INK, linewidth=0.6)
    axes.text(D + 1, 3000, "d + 1  ", ha="right")
    axes.legend(loc="lower right")
    return Figure(
        "T4.1",
        alt="The examples needed stay level up to batches of about 32 and then rise, less steeply than the batch.",
        caption="Examples that SGD looks at until a hundredth of the squared distance is left, 31 features, no noise.",
        drawing=drawing,
    )


def of_redundancy(runs: Runs) -> Figure:
    drawing, axes = study.panels(height=3.0)
    found = runs["t4_measures"].one(measure="redundancy").copies
    ways = {"full batch": "full", "minibatches of 8": "minibatch"}
    study.series(
        axes, COPIES, {name: [study.mean(found[f"{way}/{copies}"]) for copies in COPIES] for name, way in ways.items()}
    )
    fine = np.array([0.8, 20])
    study.theory(axes, fine, found["full/1"].mean() * fine, "in proportion to the copies")
    axes.set(xscale="log", yscale="log", xlabel="copies of each of 64 rows", ylabel="examples until 1 % is left")
    study.ticks(axes, COPIES)
    axes.legend(loc="center right")
    return Figure(
        "T4.2",
        alt="With more copies the full batch needs proportionally more examples; minibatches need the same number.",
        caption="Mean number of examples over the replicates, with 99 % intervals.",
        drawing=drawing,
    )


def of_time(runs: Runs) -> Figure:
    drawing, (left, right) = study.panels(2, width=7.6)
    run = runs["t4_measures"].one(measure="time")
    each = np.array([run[f"time/{size}"] for size in TIMED])
    whole = each * [examples(size) for size in TIMED]
    left.loglog(TIMED, each * 1e6, "o-", color=study.COLORS[0], linewidth=1)
    left.set(xlabel="examples in a batch", ylabel="microseconds for each example")
    right.loglog(TIMED, whole * 1e3, "s-", color=study.COLORS[1], linewidth=1)
    right.set(xlabel="examples in a batch", ylabel="milliseconds until 1 % is left")
    for axes in (left, right):
        axes.axvspan(32, 256, color=study.COLORS[2], alpha=0.15, linewidth=0)
    return Figure(
        "T4.3",
        alt="The time for each example falls with the batch; the time to the tolerance falls first and then rises.",
        caption="Left: time of a gradient step on 31 features in NumPy, over its examples. Right: the same times the "
        "examples that T4.1 needs. The band is 32 to 256. Times are of the computer that ran this and decide nothing.",
        drawing=drawing,
    )
