"""Exercise 2: affine functions of x are the linear functions of (x, 1).

The same functions, the same exact answer, the same way under SGD. It ends where something treats b apart: weight decay
of the weights alone, or centring before the shortest of many answers is taken.

Source:  D2L 3.1, exercise 2.
Command: make exercises EX=2
Cost:    10 s on 2 cores.
Expect:  differences at rounding (1e-12) where the two are the same, and of 0.01 and more where they are not.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from noiseworks import LinearRegressor
from noiseworks import studies as study
from noiseworks.studies import Claim, Figure, Run, Runs, claim, control

EXPERIMENTS = {
    "ex2_exact": ["replicates=25"],
    "ex2_solutions": ["replicates=5"],
    "ex2_layers": ["replicates=2", "num_steps=50"],
    "ex2_centring": ["replicates=20"],
}
AFFINE = {"data": "synthetic", "model.intercept": True}
AUGMENTED = {"data": "ones", "model.intercept": False}
STEPPERS = {"sgd": "SGD", "adam": "Adam"}
RIDGE, ROWS, FEATURES = 0.1, 40, 3  # as in ex2_exact.yaml
FOLLOWED = 0.002  # of b; leaving out the mean of x costs 0.006
ROUNDING = 1e-12
SOLVED = 1e-9  # of a system that is far from full rank
Array = NDArray[np.float64]


def measure(cfg):
    return {"layers": layers, "centring": centring, "solutions": solutions}[cfg.measure](cfg)


def solutions(cfg) -> dict[str, Array]:
    """The largest difference of a parameter between noiseworks' fits and numpy's; see `solved`."""
    found = [solved(cfg, np.random.default_rng([cfg.seed, k])) for k in range(cfg.replicates)]
    return {name: np.array([each[name] for each in found]) for name in found[0]}


def solved(cfg, rng: np.random.Generator) -> dict[str, float]:
    """w'x + b against (x, 1) and against x alone; with both b and the ones against (x, 1, 1), its shortest answer, and
    against w'x + b; and how unevenly the two share the constant."""
    n, d = cfg.num_examples, cfg.num_features
    X, one = rng.normal(size=(n, d)), np.ones((n, 1))
    y = X.sum(axis=1) + 10 + rng.normal(size=n)
    affine, both = (LinearRegressor(standard_errors=None).fit(A, y) for A in (X, np.hstack([X, one])))
    alone, augmented, twice = (np.linalg.lstsq(np.hstack([X, *[one] * k]), y, rcond=1e-10)[0] for k in range(3))
    ours = np.append(affine.coef_, affine.intercept_)
    shared = np.append(both.coef_, both.intercept_)
    gaps = {"augmented": ours - augmented, "alone": ours - np.append(alone, 0), "twice": shared - twice}
    gaps |= {"same": np.append(shared[:d], shared[d:].sum()) - ours, "uneven": shared[d] - shared[d + 1]}
    return {name: float(np.abs(gap).max()) for name, gap in gaps.items()}


def layers(cfg) -> dict[str, Array]:
    """The largest difference, over all steps, between the two layers' parameters; each copy has a sample of its own."""
    return {"difference": np.array([walk(cfg, np.random.default_rng([cfg.seed, k])) for k in range(cfg.replicates)])}


def walk(cfg, rng: np.random.Generator) -> float:
    """Linear(d, 1) on x, and Linear(d + 1, 1) on (x, 1) without a bias, or with one where `form` says both."""
    X = torch.from_numpy(rng.normal(size=(cfg.num_examples, cfg.num_features)))
    y = X.sum(1, keepdim=True) + 3 + torch.from_numpy(rng.normal(size=(cfg.num_examples, 1)))
    ones = torch.cat([X, torch.ones_like(y)], dim=1)
    affine = torch.nn.Linear(cfg.num_features, 1, dtype=torch.float64)
    linear = torch.nn.Linear(cfg.num_features + 1, 1, bias=cfg.form == "both", dtype=torch.float64)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(rng.normal(size=(1, cfg.num_features + 1))))
        affine.weight.copy_(linear.weight[:, :-1])
        affine.bias.copy_(linear.weight[0, -1:])
        if linear.bias is not None:
            linear.bias.zero_()
    of_w, of_b = (cfg.weight_decay * (cfg.decayed in kinds) for kinds in (("everything", "weights"), ("everything",)))
    groups = [{"params": [affine.weight], "weight_decay": of_w}, {"params": [affine.bias], "weight_decay": of_b}]
    make = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[cfg.stepper]
    steppers = [make(groups, lr=cfg.lr), make(linear.parameters(), lr=cfg.lr, weight_decay=of_w)]
    largest = 0.0
    for _ in range(cfg.num_steps):
        rows = torch.from_numpy(rng.integers(cfg.num_examples, size=cfg.batch_size))
        for layer, stepper, inputs in zip((affine, linear), steppers, (X, ones)):
            stepper.zero_grad()
            (0.5 * (layer(inputs[rows]) - y[rows]).square()).mean().backward()
            stepper.step()
        largest = max(largest, distance(affine, linear))
    return largest


def distance(affine: torch.nn.Linear, linear: torch.nn.Linear) -> float:
    """The largest difference of a weight, or of what multiplies one: a bias, the weight of the ones, or both."""
    other = linear.weight[0].detach().clone()
    if linear.bias is not None:
        other[-1] += linear.bias.item()
    return (torch.cat([affine.weight[0], affine.bias]).detach() - other).abs().max().item()


def centring(cfg) -> dict[str, Array]:
    """Intercepts over the mean of y, and how far apart the two shortest answers are on the rows and at a new one."""
    copies = [shortest(cfg.design, np.random.default_rng([cfg.seed, k])) for k in range(cfg.replicates)]
    return {name: np.array([copy[name] for copy in copies]) for name in copies[0]}


def shortest(design: str, rng: np.random.Generator) -> dict[str, float]:
    X, new = draw(design, rng)
    y = 5 + X @ rng.normal(size=X.shape[1]) + rng.normal(size=len(X))
    *w, b = np.linalg.lstsq(np.column_stack([X, np.ones(len(X))]), y, rcond=1e-10)[0]
    center = X.mean(axis=0)
    v = np.linalg.lstsq(X - center, y - y.mean(), rcond=1e-10)[0]
    a = y.mean() - center @ v
    fitted, predicted = X @ (w - v) + b - a, new @ (w - v) + b - a
    return {
        "together": b / y.mean(),
        "centred": a / y.mean(),
        "fitted": np.abs(fitted).max(),
        "predicted": abs(predicted),
    }


def draw(design: str, rng: np.random.Generator) -> tuple[Array, Array]:
    """X (n, d), and a new x (d,)."""
    if design == "wide":
        return rng.normal(size=(10, 30)), rng.normal(size=30)
    k = int(design.removeprefix("groups_"))
    return np.repeat(np.eye(k), 5, axis=0), np.eye(k)[0]


def claims(runs: Runs) -> Iterator[Claim]:
    yield from answers(runs)
    yield from paths(runs)
    yield from shifts(runs)
    yield from centres(runs)


def answers(runs: Runs) -> Iterator[Claim]:
    sentence = "noiseworks' fit of w'x + b is numpy's least squares on {} (largest difference)"
    yield claim("2", sentence.format("(x, 1)"), 0.0, solution(runs, "augmented"), ROUNDING)
    yield control("2", sentence.format("x alone"), 0.0, solution(runs, "alone"), ROUNDING)
    sentence = "with b and the ones at once, the shortest answer {}"
    for name, said in {
        "twice": "is numpy's on (x, 1, 1) (largest difference)",
        "uneven": "gives each half of the constant",
        "same": "is the same function as with b alone (largest difference)",
    }.items():
        yield claim("2", sentence.format(said), 0.0, solution(runs, name), ROUNDING)


def solution(runs: Runs, name: str) -> study.Interval:
    return study.exactly(runs["ex2_solutions"][0].copies[name].max())


def paths(runs: Runs) -> Iterator[Claim]:
    for stepper, name in STEPPERS.items():
        sentence = f"{name} takes the same way with torch.nn.Linear on x with a bias and on (x, 1) without"
        for decayed in ("nothing", "everything"):
            yield claim("2", f"{sentence}, decay of {decayed}", 0.0, largest(runs, stepper, decayed), ROUNDING)
        yield control("2", f"{sentence}, decay of the weights alone", 0.0, largest(runs, stepper, "weights"), ROUNDING)
        sentence = f"{name} takes the same way with torch.nn.Linear on x with a bias and on (x, 1) with one"
        yield control("2", f"{sentence}, decay of nothing", 0.0, largest(runs, stepper, "nothing", "both"), ROUNDING)


def largest(runs: Runs, stepper: str, decayed: str, form: str = "augmented") -> study.Interval:
    return study.exactly(runs["ex2_layers"].one(stepper=stepper, decayed=decayed, form=form).copies["difference"].max())


def shifts(runs: Runs) -> Iterator[Claim]:
    sentence = "adding 1 to y adds 1 to b and leaves w alone, under a ridge"
    yield claim("2", f"{sentence} that spares b", 0.0, moved(runs, AFFINE), ROUNDING)
    yield control("2", f"{sentence} of the column of ones, too", 0.0, moved(runs, AUGMENTED), ROUNDING)
    sentence = "adding 1 to y adds 1 - 0.1 E[1 / (1.1 - Q)] to b, under a ridge of 0.1"
    ones, bias = (study.mean(shift(runs, form)[:, -1]) for form in (AUGMENTED, AFFINE))
    yield claim("2", f"{sentence} of the column of ones, too", follows(RIDGE), ones, FOLLOWED, wrong_shifts())
    yield control("2", f"{sentence} that spares b", follows(RIDGE), bias, FOLLOWED)


def parameters(run: Run) -> Array:
    """(rows, d + 1): the weights, and all that multiplies one."""
    weights = [run.copies[f"coefficient/x{j}"] for j in range(FEATURES)]
    ones = [f"coefficient/{name}" for name in ("one", "intercept")]
    one = sum(run.copies[name] for name in ones if name in run.copies)
    return np.stack(np.broadcast_arrays(*weights, one), axis=1)


def shift(runs: Runs, form: dict) -> Array:
    """What adding 1 to every y adds to (w, b), by copies."""
    pair = [runs["ex2_exact"].one({**form, "data.true_intercept": b}) for b in (0.0, 10.0)]
    return (parameters(pair[1]) - parameters(pair[0])) / 10


def moved(runs: Runs, form: dict) -> study.Interval:
    return study.exactly(np.abs(shift(runs, form) - [0, 0, 0, 1]).max())


def follows(ridge: float) -> float:
    """E[db / dy] = 1 - ridge E[1 / (a - Q)], a = 1 + ridge and Q = xbar'(X'X / n + ridge I)^-1 xbar, by the Schur
    complement of b in the normal equations. To order 1 / n^2 E[Q] is q = d / (n a) and var Q = 2 d / (n a)^2."""
    a = 1 + ridge
    q, spread = FEATURES / (ROWS * a), 2 * FEATURES / (ROWS * a) ** 2
    return 1 - ridge * (1 / (a - q) + spread / (a - q) ** 3)


def wrong_shifts() -> dict[str, float]:
    theories = {"the mean of x left out": 1 / (1 + RIDGE), "ridge / n, of the sum": follows(RIDGE / ROWS)}
    return theories | {"2 ridge, without the half": follows(2 * RIDGE)}


def centres(runs: Runs) -> Iterator[Claim]:
    for k in (2, 4):
        sentence = f"{k} groups with an indicator each: the shortest answer has b = {k} / {k + 1} of the mean"
        together, centred = (farthest(runs, f"groups_{k}", name, k / (k + 1)) for name in ("together", "centred"))
        yield claim("2", f"{sentence}, on (x, 1)", 0.0, together, SOLVED)
        yield control("2", f"{sentence}, after centring", 0.0, centred, SOLVED)
    sentence = "10 rows of 30 columns: centred or on (x, 1), the shortest answers predict the same"
    yield claim("2", f"{sentence} on these rows", 0.0, farthest(runs, "wide", "fitted"), SOLVED)
    yield control("2", f"{sentence} at a new x", 0.0, farthest(runs, "wide", "predicted"), SOLVED)


def farthest(runs: Runs, design: str, name: str, theory: float = 0.0) -> study.Interval:
    return study.exactly(np.abs(runs["ex2_centring"].one(design=design).copies[name] - theory).max())


def figures(runs: Runs) -> Iterator[Figure]:
    rows = [
        ("exact answer", solution(runs, "augmented")),
        ("nn.Linear, SGD", largest(runs, "sgd", "nothing")),
        ("nn.Linear, SGD, decay of all", largest(runs, "sgd", "everything")),
        ("nn.Linear, Adam, decay of all", largest(runs, "adam", "everything")),
        ("nn.Linear, SGD, decay of the weights alone", largest(runs, "sgd", "weights")),
        ("exact answer to y + 1, ridge with or without b", moved(runs, AUGMENTED)),
        ("shortest answer, centred or not, at a new x", farthest(runs, "wide", "predicted")),
    ]
    drawing, axes = study.panels(height=2.9)
    for number, (_, gap) in enumerate(rows):
        same = gap.estimate < SOLVED
        where = max(gap.estimate, 1e-17)
        axes.plot([where], [-number], marker="o" if same else "s", color=study.COLORS[0 if same else 1])
    axes.set(xscale="log", xlim=(3e-18, 300), xlabel="largest difference")
    axes.set_yticks([-number for number in range(len(rows))], [name for name, _ in rows])
    axes.axvline(ROUNDING, color=study.INK, linewidth=0.8, linestyle=":")
    yield Figure(
        "2",
        alt="Four differences lie below 1e-14, three above 0.01; nothing lies between.",
        caption="How far w'x + b and (x, 1) are apart. "
        "Circles: the two forms are the same but for rounding (0 is drawn at 1e-17). Squares: something treats "
        "b apart from the weights, and they are not. The dotted line is the margin of the claims.",
        drawing=drawing,
    )
