"""Exercise 6: two linear layers, one after the other.

They can do what one can: no gain at any width, a loss of rank if the layer between is narrow. They begin at a saddle,
which they leave the later the smaller their first weights, and from zeros never.

Source:  D2L 3.1, exercise 6; Baldi & Hornik (1989) and Saxe, McClelland & Ganguli (2014) on deep linear networks.
Command: make exercises EX=6
Cost:    13 s on 2 cores.
Expect:  the exact linear answer at every width; log(10) / log(1 + lr |X'y / n|) steps more for each tenth of the first
         weights, within 2 %; the best loss of that rank to 1e-8.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from noiseworks import study
from noiseworks.study import Claim, Figure, Run, Runs, claim, control

EXPERIMENTS = {
    "ex6_widths": ["replicates=3"],
    "ex6_descent": ["replicates=5"],
    "ex6_exact": [],
    "ex6_rank": ["replicates=5", "time=100"],
}
FEATURES, LR = 6, 0.3  # as in ex6_descent.yaml
WIDTHS, SCALES, OUTPUTS = (1, 6, 24), (1e-1, 1e-2, 1e-3, 1e-4), (1, 2, 3, 4)
Array = NDArray[np.float64]


def measure(cfg):
    return {"rank": rank}[cfg.measure](cfg)


def rank(cfg) -> dict[str, Array]:
    """Gradient descent on W2 W1 (k, d) with W1 (h, d) and W2 (k, h), for R samples at once.

    best: the smallest loss of a map of rank h, |Y - F|^2 + sum_{j > h} s_j^2 with F the least-squares fit and s_j its
    singular values (Eckart & Young). drift: |W1 W1' - W2'W2| less what it was, in Frobenius' norm.
    """
    rng = np.random.default_rng([cfg.seed, 6])
    R, n, d, k, h = cfg.replicates, cfg.num_examples, cfg.num_features, cfg.num_outputs, cfg.width
    X = rng.normal(size=(R, n, d))
    truth = np.linalg.qr(rng.normal(size=(R, d, k)))[0] * (1 + np.arange(k)) / 2
    Y = X @ truth + 0.5 * rng.normal(size=(R, n, k))
    W1, W2 = cfg.init_scale * rng.normal(size=(R, h, d)), cfg.init_scale * rng.normal(size=(R, k, h))
    start = balance(W1, W2)
    W1, W2 = descend(W1, W2, X.mT @ X / n, X.mT @ Y / n, cfg.lr, round(cfg.time / cfg.lr))
    F = X @ np.linalg.solve(X.mT @ X, X.mT @ Y)
    one_layer = squares(Y - F)
    values = np.linalg.svd(W2 @ W1, compute_uv=False)
    return {
        "loss": squares(Y - X @ (W2 @ W1).mT),
        "one_layer": one_layer,
        "best": one_layer + (np.linalg.svd(F, compute_uv=False)[:, h:] ** 2).sum(1),
        "rank": (values > 1e-8 * values[:, :1]).sum(1),
        "drift": np.sqrt(squares(balance(W1, W2) - start)),
        "growth": squares(W1) + squares(W2),
    }


def descend(W1: Array, W2: Array, S: Array, C: Array, lr: float, steps: int) -> tuple[Array, Array]:
    """Of half the mean square, with S = X'X / n and C = X'Y / n."""
    for _ in range(steps):
        G = C.mT - W2 @ W1 @ S  # minus the gradient for the product
        W1, W2 = W1 + lr * W2.mT @ G, W2 + lr * G @ W1.mT
    return W1, W2


def balance(W1: Array, W2: Array) -> Array:
    return W1 @ W1.mT - W2.mT @ W2


def squares(A: Array) -> Array:
    return (A**2).sum((1, 2))


def claims(runs: Runs) -> Iterator[Claim]:
    yield from widths(runs)
    yield from saddle(runs)
    yield from start(runs)
    yield from narrow(runs)


def coefficients(run: Run) -> Array:
    """(copies, d + 1), the intercept last where there is one."""
    names = [*(f"coefficient/x{j}" for j in range(FEATURES)), "coefficient/intercept"]
    return np.stack([run.copies[name] for name in names if name in run.copies], axis=1)


def network(runs: Runs, width: int, activation: str | None = None, init_scale: float = 1.0) -> Run:
    wanted = {"model.width": width, "model.activation": activation, "model.init_scale": init_scale}
    return runs["ex6_widths"].one(wanted)


def above(run: Run, runs: Runs, model: str = "linear") -> study.Interval:
    """The farthest of the copies' root mean square errors from that of the exact answer, over the latter."""
    copies = run.copies["train/rmse"]
    reference = runs["ex6_exact"].one(model=model).copies["train/rmse"][: len(copies)]
    return study.exactly(np.abs(copies / reference - 1).max())


def widths(runs: Runs) -> Iterator[Claim]:
    for width in WIDTHS:
        run = network(runs, width)
        found = coefficients(run)
        exact = coefficients(runs["ex6_exact"].one(model="linear"))[: len(found)]
        gap = study.exactly(np.abs(found - exact).max())
        yield claim("6", f"the two layers' product is the best single layer, width {width}", 0.0, gap, 1e-5)
        yield claim("6", f"their loss is that of one layer, width {width}", 0.0, above(run, runs), 1e-8)
    for width in WIDTHS:
        squared = above(network(runs, width, "square"), runs)
        yield control("6", f"their loss is that of one layer, width {width}, squares between", 0.0, squared, 1e-8)


def saddle(runs: Runs) -> Iterator[Claim]:
    sentence = "from zeros no weight ever moves (largest |w| on the way)"
    zeros, small = (runs["ex6_descent"].one({"model.init_scale": s}, model="two_layer") for s in (0.0, 1e-4))
    single = runs["ex6_descent"].one({"model.init_scale": 0.0}, model="linear")
    yield claim("6", sentence, 0.0, study.exactly(sizes(zeros).max()), 1e-15)
    yield control("6", f"{sentence}: started from 1e-4", 0.0, study.exactly(sizes(small).max()), 1e-15)
    yield control("6", f"{sentence}: one layer", 0.0, study.exactly(sizes(single).max()), 1e-15)
    sentence = "with biases, from zeros: the mean of y is learned, and nothing else (loss over that of a constant)"
    yield claim("6", sentence, 0.0, above(network(runs, 24, None, 0.0), runs, "constant"), 1e-8)
    yield control("6", f"{sentence}: started from 1", 0.0, above(network(runs, 24), runs, "constant"), 1e-8)


def path(run: Run) -> Array:
    """(steps, copies, d), from the first step on."""
    columns = np.stack([run.trajectory[f"x{j}"] for j in range(FEATURES)], axis=1)
    return columns.reshape(-1, len(run.copies["replicate"]), FEATURES)


def sizes(run: Run) -> Array:
    """|w| (steps, copies)."""
    return np.linalg.norm(path(run), axis=2)


def halfway(runs: Runs, model: str, init_scale: float) -> Array:
    """The step at which |w| has half its final size, between steps by its logarithm; (copies,)."""
    sweep = runs["ex6_descent"].where(model=model)
    end = sizes(sweep.one({"model.init_scale": 0.1}))[-1]
    logs = np.log(sizes(sweep.one({"model.init_scale": init_scale})) / end) - np.log(0.5)
    k, copies = np.maximum(np.argmax(logs >= 0, axis=0), 1), np.arange(len(end))
    before, after = logs[k - 1, copies], logs[k, copies]
    return k - before / (after - before)  # logs[k] is that after step k + 1


def tenfold(runs: Runs, model: str) -> Array:
    """How many steps a tenth of the initial weights costs, over log(10) / log(1 + lr |X'y / n|); (copies,)."""
    single = runs["ex6_descent"].one({"model.init_scale": 0.0}, model="linear")
    pull = sizes(single)[0] / LR  # its first step is lr X'y / n
    theory = np.log(10) / np.log1p(LR * pull)
    return (halfway(runs, model, 1e-4) - halfway(runs, model, 1e-2)) / 2 / theory


def start(runs: Runs) -> Iterator[Claim]:
    sentence = "a tenth of the initial weights takes log(10) / log(1 + lr |X'y / n|) more steps"
    two, one = (study.mean(tenfold(runs, model)) for model in ("two_layer", "linear"))
    yield claim("6", f"{sentence} (ratio to it)", 1.0, two, 0.02)
    yield control("6", f"{sentence}, one layer", 1.0, one, 0.02)


def narrow(runs: Runs) -> Iterator[Claim]:
    sweep = runs["ex6_rank"].where(lr=0.04)
    for width in OUTPUTS:
        copies = sweep.one(width=width).copies
        sentence = f"4 outputs, width {width}: descent ends at the best loss of rank {width}"
        gap = study.exactly(np.abs(copies["loss"] / copies["best"] - 1).max())
        yield claim("6", f"{sentence} (relative gap)", 0.0, gap, 1e-8)
        if width < 4:
            gap = study.exactly(np.abs(copies["loss"] / copies["one_layer"] - 1).min())
            yield control("6", f"4 outputs, width {width}: descent ends at the loss of one layer", 0.0, gap, 1e-8)
    copies = [runs["ex6_rank"].one(width=4, lr=lr).copies for lr in (0.02, 0.04)]
    drift, growth = (study.slope([0.02, 0.04], [c[name] for c in copies]) for name in ("drift", "growth"))
    sentence = "vanishes in proportion to the step, at equal lr times steps (slope of the logarithms)"
    yield claim("6", f"the change of W1 W1' - W2'W2 {sentence}", 1.0, drift, 0.1)
    yield control("6", f"the sum of all squared weights {sentence}", 1.0, growth, 0.1)


def figures(runs: Runs) -> Iterator[Figure]:
    yield slow_start(runs)
    yield times(runs)
    yield losses(runs)


def slow_start(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    sweep = runs["ex6_descent"]
    end = sizes(sweep.one({"model.init_scale": 0.0}, model="linear"))[-1, 0]
    shown = [("linear", 0.0, "one layer, from zeros"), *(("two_layer", s, f"two layers, from {s:g}") for s in SCALES)]
    for number, (model, scale, label) in enumerate(shown):
        size = sizes(sweep.one({"model.init_scale": scale}, model=model))[:, 0] / end
        style = ["--", "-", "-.", ":", (0, (5, 1, 1, 1, 1, 1))][number]
        axes.plot(np.arange(len(size)) + 1, size, linestyle=style, color=study.COLORS[number], label=label)
    axes.set(xlabel="step", ylabel="|w| over its final size", xlim=(0, 90))
    axes.legend(loc="lower right")
    return Figure(
        "6",
        alt="One layer rises at once; two layers stay near zero, the longer the smaller their first weights, and then "
        "rise along the same curve, moved to the right by equal steps.",
        caption="Gradient descent on one sample. A tenth of the first weights moves the curve of two layers to the "
        "right by the same number of steps; from zeros it would never rise.",
        drawing=drawing,
    )


def times(runs: Runs) -> Figure:
    drawing, axes = study.panels(height=3.0)
    single = runs["ex6_descent"].one({"model.init_scale": 0.0}, model="linear")
    steps_each = 1 / np.log1p(sizes(single)[0])  # lr |X'y / n| is the size of the first step
    for number, (model, label) in enumerate((("two_layer", "two layers"), ("linear", "one layer"))):
        found = [study.mean(halfway(runs, model, scale)) for scale in SCALES]
        study.estimates(axes, SCALES, found, label, number)
    anchor = halfway(runs, "two_layer", 1e-3)
    study.theory(axes, SCALES, [float(np.mean(anchor + np.log(1e-3 / s) * steps_each)) for s in SCALES])
    axes.set(xscale="log", xlabel="size of the first weights", ylabel="steps to half of |w|")
    axes.legend()
    return Figure(
        "6",
        alt="For two layers the steps grow on a straight line as the first weights shrink on a logarithmic scale; for "
        "one layer they stay the same.",
        caption="Mean over samples, with 99 % intervals. Dashed: theory for the slope, through the third point.",
        drawing=drawing,
    )


def losses(runs: Runs) -> Figure:
    drawing, axes = study.panels(height=2.8)
    found, theory = [], []
    for width in OUTPUTS:
        copies = runs["ex6_rank"].one(width=width, lr=0.04).copies
        found.append(study.mean(copies["loss"] / copies["one_layer"]))
        theory.append(float(np.mean(copies["best"] / copies["one_layer"])))
    study.estimates(axes, OUTPUTS, found, "gradient descent on two layers")
    study.theory(axes, OUTPUTS, theory, "best map of this rank")
    study.level(axes, 1)
    axes.set(xticks=OUTPUTS, xlabel="width of the layer between (4 outputs)", ylabel="loss over that of one layer")
    axes.legend()
    return Figure(
        "6",
        alt="The loss falls from several times that of one layer at width 1 to exactly that of one layer at width 4.",
        caption="With several outputs a narrow layer between costs rank. It never gains: one layer is the line at 1.",
        drawing=drawing,
    )
