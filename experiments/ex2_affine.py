"""Exercise 2: affine functions of x are the linear functions of (x, 1).

The same functions, the same exact answer, the same way under SGD. It ends where something treats b apart: weight decay
of the weights alone, or centring before the shortest of many answers is taken.

Source:  D2L 3.1, exercise 2.
Command: make exercises EX=2
Cost:    12 s on 2 cores.
Expect:  differences at rounding (1e-12) where the two are the same, and of 0.01 and more where they are not.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray

from noiseworks import studies as study
from noiseworks.studies import Claim, Figure, Run, Runs, Sweep, claim, control

EXPERIMENTS = {
    "ex2_exact": ["replicates=25"],
    "ex2_paths": ["replicates=2", "trainer.max_epochs=5"],
    "ex2_layers": ["replicates=2", "num_steps=50"],
    "ex2_centring": ["replicates=20"],
}
AFFINE = {"data": "synthetic", "model.intercept": True}
AUGMENTED = {"data": "ones", "model.intercept": False}
NEITHER = {"data": "synthetic", "model.intercept": False}
BOTH = {"data": "ones", "model.intercept": True}
RIDGE, ROWS, FEATURES = 0.1, 200, 3  # as in ex2_exact.yaml
ROUNDING = 1e-12
SOLVED = 1e-9  # of a system that is far from full rank
Array = NDArray[np.float64]


def measure(cfg):
    return {"layers": layers, "centring": centring}[cfg.measure](cfg)


def layers(cfg) -> dict[str, Array]:
    """The largest difference, over all steps, between the two layers' parameters; each copy has a sample of its own."""
    return {"difference": np.array([walk(cfg, np.random.default_rng([cfg.seed, k])) for k in range(cfg.replicates)])}


def walk(cfg, rng: np.random.Generator) -> float:
    X = torch.from_numpy(rng.normal(size=(cfg.num_examples, cfg.num_features)))
    y = X.sum(1, keepdim=True) + 3 + torch.from_numpy(rng.normal(size=(cfg.num_examples, 1)))
    ones = torch.cat([X, torch.ones_like(y)], dim=1)
    affine = torch.nn.Linear(cfg.num_features, 1, dtype=torch.float64)
    linear = torch.nn.Linear(cfg.num_features + 1, 1, bias=False, dtype=torch.float64)
    with torch.no_grad():
        linear.weight.copy_(torch.from_numpy(rng.normal(size=(1, cfg.num_features + 1))))
        affine.weight.copy_(linear.weight[:, :-1])
        affine.bias.copy_(linear.weight[0, -1:])
    of_w, of_b = (cfg.weight_decay * (cfg.decayed in kinds) for kinds in (("everything", "weights"), ("everything",)))
    groups = [{"params": [affine.weight], "weight_decay": of_w}, {"params": [affine.bias], "weight_decay": of_b}]
    steppers = [torch.optim.SGD(groups, lr=cfg.lr), torch.optim.SGD(linear.parameters(), cfg.lr, weight_decay=of_w)]
    largest = 0.0
    for _ in range(cfg.num_steps):
        rows = torch.from_numpy(rng.integers(cfg.num_examples, size=cfg.batch_size))
        for layer, stepper, inputs in zip((affine, linear), steppers, (X, ones)):
            stepper.zero_grad()
            (0.5 * (layer(inputs[rows]) - y[rows]).square()).mean().backward()
            stepper.step()
        apart = torch.cat([affine.weight[0], affine.bias]) - linear.weight[0]
        largest = max(largest, apart.detach().abs().max().item())
    return largest


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
    yield from decay(runs)
    yield from centres(runs)


def parameters(run: Run, path: bool = False) -> Array:
    """(rows, d + 1): the weights, and all that multiplies one."""
    table, prefix = (run.trajectory, "") if path else (run.copies, "coefficient/")
    weights = [table[f"{prefix}x{j}"] for j in range(FEATURES)]
    one = sum(table[name] for name in (f"{prefix}one", f"{prefix}intercept") if name in table)
    return np.stack(np.broadcast_arrays(*weights, one), axis=1)


def apart(sweep: Sweep, one: dict, other: dict, path: bool = False) -> study.Interval:
    """The largest difference of a parameter, over all copies and steps."""
    gap = parameters(sweep.one(one), path) - parameters(sweep.one(other), path)
    return study.exactly(np.abs(gap).max())


def answers(runs: Runs) -> Iterator[Claim]:
    sweep = runs["ex2_exact"].where({"optimizer.ridge": 0.0, "data.true_intercept": 10.0})
    same = apart(sweep, AFFINE, AUGMENTED)
    yield claim("2", "w'x + b and (x, 1) have the same exact answer (largest difference)", 0.0, same, ROUNDING)
    less = apart(sweep, AFFINE, NEITHER)
    yield control(
        "2", "w'x without b, and (x, 1), have the same exact answer (largest difference)", 0.0, less, ROUNDING
    )
    both = sweep.one(BOTH).copies
    uneven = study.exactly(np.abs(both["coefficient/one"] - both["coefficient/intercept"]).max())
    yield claim(
        "2", "with b and the ones at once, the shortest answer gives each half of the constant", 0.0, uneven, ROUNDING
    )
    yield claim(
        "2",
        "with b and the ones at once, the shortest answer is the same function as with b alone (largest difference)",
        0.0,
        apart(sweep, AFFINE, BOTH),
        ROUNDING,
    )


def paths(runs: Runs) -> Iterator[Claim]:
    for optimizer, name in (("sgd", "SGD"), ("adam", "Adam")):
        for rate in (0.0, 0.1):
            sweep = runs["ex2_paths"].where({"optimizer.weight_decay": rate}, optimizer=optimizer)
            decayed = "decay of all parameters" if rate else "no decay"
            sentence = f"{name} takes the same way with b and on (x, 1), {decayed}"
            yield claim("2", f"{sentence} (largest difference)", 0.0, apart(sweep, AFFINE, AUGMENTED, True), ROUNDING)
        sentence = f"{name} takes the same way with b and with both b and the ones (largest difference)"
        yield control("2", sentence, 0.0, apart(sweep, AFFINE, BOTH, True), ROUNDING)


def decay(runs: Runs) -> Iterator[Claim]:
    sentence = "SGD takes the same way with torch.nn.Linear on x with a bias and on (x, 1) without"
    for decayed in ("nothing", "everything"):
        yield claim("2", f"{sentence}, decay of {decayed}", 0.0, largest(runs, decayed), ROUNDING)
    yield control("2", f"{sentence}, decay of the weights alone", 0.0, largest(runs, "weights"), ROUNDING)
    sentence = "adding 1 to y adds 1 to b and leaves w alone, under a ridge"
    yield claim("2", f"{sentence} that spares b", 0.0, moved(runs, AFFINE), ROUNDING)
    yield control("2", f"{sentence} of the column of ones, too", 0.0, moved(runs, AUGMENTED), ROUNDING)
    sentence = "adding 1 to y adds 1 - 0.1 / (1.1 - d / (1.1 n)) to b, under a ridge of 0.1"
    ones, bias = (study.mean(shift(runs, form)[:, -1]) for form in (AUGMENTED, AFFINE))
    yield claim("2", f"{sentence} of the column of ones, too", follows(), ones, 0.001)
    yield control("2", f"{sentence} that spares b", follows(), bias, 0.001)


def largest(runs: Runs, decayed: str) -> study.Interval:
    return study.exactly(runs["ex2_layers"].one(decayed=decayed).copies["difference"].max())


def shift(runs: Runs, form: dict) -> Array:
    """What adding 1 to every y adds to (w, b), by copies."""
    pair = [runs["ex2_exact"].one({**form, "optimizer.ridge": RIDGE, "data.true_intercept": b}) for b in (0.0, 10.0)]
    return (parameters(pair[1]) - parameters(pair[0])) / 10


def moved(runs: Runs, form: dict) -> study.Interval:
    return study.exactly(np.abs(shift(runs, form) - [0, 0, 0, 1]).max())


def follows() -> float:
    """E[db / dy] = 1 - ridge / (1 + ridge - E[xbar'(X'X / n + ridge I)^-1 xbar]), by the Schur complement of b in the
    normal equations; the mean is d / (n (1 + ridge)) but for terms of order (d / n)^2."""
    return 1 - RIDGE / (1 + RIDGE - FEATURES / (ROWS * (1 + RIDGE)))


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
    exact = runs["ex2_exact"].where({"optimizer.ridge": 0.0, "data.true_intercept": 10.0})
    adam = runs["ex2_paths"].where({"optimizer.weight_decay": 0.1}, optimizer="adam")
    rows = [
        ("exact answer", apart(exact, AFFINE, AUGMENTED)),
        ("nn.Linear, SGD", largest(runs, "nothing")),
        ("nn.Linear, SGD, decay of all", largest(runs, "everything")),
        ("Adam, decay of all", apart(adam, AFFINE, AUGMENTED, True)),
        ("nn.Linear, SGD, decay of the weights alone", largest(runs, "weights")),
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
