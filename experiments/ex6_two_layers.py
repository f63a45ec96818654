"""Exercise 6: two linear layers, one after the other.

They can do what one can: no gain at any width, a loss of rank if the layer between is narrow. They begin at a saddle,
which they leave the later the smaller their first weights, and from zeros never; of several outputs the strongest
direction leaves it first. And the same weight decay is another penalty.

Source:  D2L 3.1, exercise 6; Baldi & Hornik (1989) and Saxe, McClelland & Ganguli (2014) on deep linear networks;
         Srebro, Rennie & Jaakkola (2004) on the penalty of a product.
Command: make exercises EX=6
Cost:    20 s on 2 cores.
Expect:  the exact linear answer at every width; log(10) / log(1 + lr |X'y / n|) steps more for each tenth of the first
         weights, within 2 %; the best loss of that rank to 1e-8; each singular value at its time, within 1 %; with
         decay the least of loss + decay |w|, to 1e-6.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from noiseworks import studies as study
from noiseworks.studies import Claim, Run, Runs, claim, control
from noiseworks_experiments.parts.ex6_figures import figures
from noiseworks_experiments.parts.ex6_measure import measure
from noiseworks_experiments.parts.ex6_runs import FEATURES, OUTPUTS, coefficients, column, decayed, due, halfway, sizes

__all__ = ["EXPERIMENTS", "claims", "figures", "measure"]

EXPERIMENTS = {
    "ex6_widths": ["replicates=3"],
    "ex6_descent": ["replicates=5"],
    "ex6_exact": [],
    "ex6_rank": ["replicates=5", "time=100"],
    "ex6_decay": ["replicates=3"],
    "ex6_norm": ["replicates=3"],
    "ex6_staircase": ["replicates=8"],
}
LR, WIDTHS = 0.3, (1, 6, 24)  # as in the YAMLs
DECAYS, BEYOND = (0.4, 1.2), 3.5  # below |X'y / n| of the samples, and above
Array = NDArray[np.float64]


def claims(runs: Runs) -> Iterator[Claim]:
    yield from widths(runs)
    yield from saddle(runs)
    yield from start(runs)
    yield from narrow(runs)
    yield from one_by_one(runs)
    yield from penalty(runs)


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
        yield claim(
            "6",
            f"two linear layers, width {width}: their product is the least-squares answer (largest difference)",
            0.0,
            gap,
            1e-5,
        )
        yield claim(
            "6",
            f"two linear layers, width {width}: their error is that of one layer (relative difference)",
            0.0,
            above(run, runs),
            1e-8,
        )
    for width in WIDTHS:
        squared = above(network(runs, width, "square"), runs)
        yield control(
            "6",
            f"two layers with squares between, width {width}: their error is that of one linear layer (relative "
            f"difference)",
            0.0,
            squared,
            1e-8,
        )


def saddle(runs: Runs) -> Iterator[Claim]:
    moves = "never move (largest |W2 W1| on the way)"
    zeros, small = (runs["ex6_descent"].one({"model.init_scale": s}, model="two_layer") for s in (0.0, 1e-4))
    single = runs["ex6_descent"].one({"model.init_scale": 0.0}, model="linear")
    yield claim("6", f"two layers from zeros {moves}", 0.0, study.exactly(sizes(zeros).max()), 1e-15)
    yield control("6", f"two layers from weights of size 1e-4 {moves}", 0.0, study.exactly(sizes(small).max()), 1e-15)
    sentence = "one layer from zeros never moves (largest |w| on the way)"
    yield control("6", sentence, 0.0, study.exactly(sizes(single).max()), 1e-15)
    sentence = (
        "two layers with biases, from zeros, learn the mean of y and nothing else (error against that of a constant)"
    )
    yield claim("6", sentence, 0.0, above(network(runs, 24, None, 0.0), runs, "constant"), 1e-8)
    yield control("6", f"{sentence}, from weights of size 1", 0.0, above(network(runs, 24), runs, "constant"), 1e-8)


def tenfold(runs: Runs, model: str) -> Array:
    """How many steps a tenth of the initial weights costs, over log(10) / log(1 + lr |X'y / n|); (copies,)."""
    single = runs["ex6_descent"].one({"model.init_scale": 0.0}, model="linear")
    pull = sizes(single)[0] / LR  # its first step is lr X'y / n
    theory = np.log(10) / np.log1p(LR * pull)
    return (halfway(runs, model, 1e-4) - halfway(runs, model, 1e-2)) / 2 / theory


def start(runs: Runs) -> Iterator[Claim]:
    sentence = "initial weights ten times smaller cost log(10) / log(1 + lr |X'y / n|) more steps"
    two, one = (study.mean(tenfold(runs, model)) for model in ("two_layer", "linear"))
    first = sizes(runs["ex6_descent"].one({"model.init_scale": 0.0}, model="linear"))[0]  # lr |X'y / n|
    wrong = {"log(10) / (lr |X'y / n|), of gradient flow": float(np.mean(np.log1p(first) / first))}
    wrong["twice as many, as the product shrinks a hundredfold"] = 2.0
    yield claim("6", f"{sentence} (ratio to it)", 1.0, two, 0.02, wrong)
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
            yield control(
                "6", f"4 outputs, width {width}: descent ends at the loss of one layer (relative gap)", 0.0, gap, 1e-8
            )
    sentence = "vanishes in proportion to the step, at equal lr times steps (largest distance of a slope from 1)"
    wrong = {"in proportion to its square, as the change in a step": 1.0}
    yield claim("6", f"the change of W1 W1' - W2'W2 {sentence}", 0.0, slope_off(runs, "drift"), 0.15, wrong)
    yield control("6", f"the sum of all squared weights {sentence}", 0.0, slope_off(runs, "growth"), 0.15)


def slope_off(runs: Runs, name: str) -> study.Interval:
    """The farthest of the samples' log2(what lr = 0.04 leaves over what 0.02 leaves) from 1."""
    long, short = (runs["ex6_rank"].one(width=4, lr=lr).copies[name] for lr in (0.04, 0.02))
    return study.exactly(np.abs(np.log2(long / short) - 1).max())


def one_by_one(runs: Runs) -> Iterator[Claim]:
    two, one = (runs["ex6_staircase"].one(layers=layers, decay=0.0) for layers in (2, 1))
    found, single, theory = column(two, "passes_0.5"), column(one, "passes_0.5"), due(two)
    for j in range(4):
        sentence = f"two layers: singular value {j + 1} of 4 is half learned when theory says (relative difference)"
        yield claim("6", sentence, 0.0, off(found[:, j], theory[:, j]), 0.01)
        yield control("6", f"{sentence}: one layer", 0.0, off(single[:, j], theory[:, j]), 0.01)
    early = off(found[:, 3], due(two, "alone")[:, 3])
    yield control("6", f"{sentence}: theory in which greater ones take nothing", 0.0, early, 0.01)
    lr = float(one.params["lr"])
    at = -np.log(2) * lr / np.log1p(-lr)
    for j in (0, 3):
        sentence = f"one layer: singular value {j + 1} of 4 is half learned at lr times steps = log 2 (relative)"
        yield claim("6", sentence, 0.0, off(single[:, j], at), 0.01)
        yield control("6", f"{sentence}: two layers", 0.0, off(found[:, j], at), 0.01)


def off(times: Array, theory: Array | float) -> study.Interval:
    """The largest relative difference of the samples: it is of the order of lr, and not of chance."""
    return study.exactly(np.abs(times / theory - 1).max())


def farthest(runs: Runs, model: str, decay: float, answer: str) -> study.Interval:
    """Of the coefficients from those of the answer, norm or ridge."""
    reference = column(runs["ex6_norm"].one(decay=decay), answer, FEATURES)
    return study.exactly(np.abs(decayed(runs, model, decay) - reference).max())


def penalty(runs: Runs) -> Iterator[Claim]:
    for decay in DECAYS:
        sentence = f"weight decay {decay} on two layers: the end is least for loss + {decay} |w| (largest gap)"
        yield claim("6", sentence, 0.0, farthest(runs, "two_layer", decay, "norm"), 1e-6)
        yield control("6", f"{sentence}: one layer", 0.0, farthest(runs, "linear", decay, "norm"), 1e-6)
        sentence = f"weight decay {decay} on one layer: the end is the ridge answer (largest gap)"
        yield claim("6", sentence, 0.0, farthest(runs, "linear", decay, "ridge"), 1e-6)
        yield control("6", f"{sentence}: two layers", 0.0, farthest(runs, "two_layer", decay, "ridge"), 1e-6)
    beyond = column(runs["ex6_norm"].one(decay=BEYOND), "pull", 1)[:, 0] < BEYOND
    sentence = f"weight decay {BEYOND}, more than |X'y / n|, on two layers: the end is zero (largest |w|)"
    for kind, model, decay, where in (
        (claim, "two_layer", BEYOND, ""),
        (control, "linear", BEYOND, ": one layer"),
        (control, "two_layer", DECAYS[1], f": {DECAYS[1]}, less than it"),
    ):
        size = np.linalg.norm(decayed(runs, model, decay), axis=1)[beyond].max()
        yield kind("6", sentence + where, 0.0, study.exactly(size), 1e-10)
    sentence = "weight decay 1.5 on two layers, 4 outputs: each singular value s ends at max(s - 1.5, 0) (largest gap)"
    for kind, layers, where in ((claim, 2, ""), (control, 1, ": one layer")):
        run = runs["ex6_staircase"].one(layers=layers, decay=1.5)
        apart = np.abs(column(run, "end") - np.maximum(column(run, "value") - 1.5, 0)).max()
        yield kind("6", sentence + where, 0.0, study.exactly(apart), 1e-6)
