"""The text, 3.1.4: linear regression is a fully connected network of one layer, with one output.

Source:  D2L 3.1.4, figure 3.1.2.
Command: make exercises EX=T9
Cost:    4 s on 2 cores.
Expect:  outputs and gradients of torch.nn.Linear, of the model that noiseworks trains, and of the formula, equal to
         1e-12.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from noiseworks import studies as study
from noiseworks.model import Linear
from noiseworks.noise import Gaussian
from noiseworks.studies import Claim, Figure, Runs, claim, control

EXPERIMENTS = {"t9_network": ["replicates=10"]}
LR = 0.1
Array = NDArray[np.float64]


def measure(cfg):
    return {"network": network}[cfg.measure](cfg)


def network(cfg) -> dict[str, Array]:
    rng = np.random.default_rng(cfg.seed)
    found = [compare(rng) for _ in range(cfg.replicates)]
    return {name: np.array([one[name] for one in found]) for name in found[0]}


def compare(rng: np.random.Generator) -> dict[str, float]:
    """Largest relative differences, for random sizes, data and parameters."""
    n, d = rng.integers(1, 100), rng.integers(1, 12)
    X, y, w, b = (torch.from_numpy(np.asarray(rng.normal(size=shape))) for shape in ((n, d), (n,), (d,), (1,)))
    residual = X @ w + b - y
    formula = X @ w + b, torch.cat((X.T @ residual, residual.sum().reshape(1))) / n
    layer, relu = of_layer(X, y, w, b, None), of_layer(X, y, w, b, torch.nn.ReLU())
    ours = of_model(X, y, w, b)
    names = ("output", "gradient")
    return {
        **{f"layer/{name}": difference(a, e) for name, a, e in zip(names, layer, formula)},
        **{f"relu/{name}": difference(a, e) for name, a, e in zip(names, relu, formula)},
        **{f"model/{name}": difference(a, e) for name, a, e in zip(names, ours, formula)},
    }


def difference(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


def of_layer(X: Tensor, y: Tensor, w: Tensor, b: Tensor, activation: torch.nn.Module | None) -> tuple[Tensor, Tensor]:
    """torch.nn.Linear(d, 1): its outputs, and by autograd the gradient of half the mean square by (w, b)."""
    layer = torch.nn.Linear(len(w), 1, dtype=torch.float64)
    layer.weight.data, layer.bias.data = w.reshape(1, -1).clone(), b.clone()
    out = layer(X).squeeze(1) if activation is None else activation(layer(X)).squeeze(1)
    ((out - y) ** 2 / 2).mean().backward()
    return out.detach(), torch.cat((layer.weight.grad.reshape(-1), layer.bias.grad))


def of_model(X: Tensor, y: Tensor, w: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """What noiseworks trains: eta of its model, whose design has the ones last, and the design times the score."""
    model, noise = Linear(intercept=True, init_scale=0.0), Gaussian(scale=1.0)
    D, theta = model.design(X), torch.cat((w, b))
    eta = model.eta(theta.unsqueeze(0), D.unsqueeze(0)).squeeze(0)
    return eta, D.T @ noise.score(eta, y) / len(y)


def claims(runs: Runs) -> Iterator[Claim]:
    copies = runs["t9_network"][0].copies
    for who, title in {"layer": "torch.nn.Linear", "model": "what noiseworks trains"}.items():
        for what in ("output", "gradient"):
            found = study.exactly(copies[f"{who}/{what}"].max())
            yield claim("T9", f"{title} and the formula X w + b have the same {what}", 0.0, found, 1e-12)
    for what in ("output", "gradient"):
        found = study.exactly(copies[f"relu/{what}"].max())
        yield control(
            "T9",
            f"torch.nn.Linear with ReLU after the sum and the formula X w + b have the same {what}",
            0.0,
            found,
            1e-12,
        )


def figures(runs: Runs) -> Iterator[Figure]:
    drawing, axes = study.panels(height=2.8)
    inputs, output = [(x, 0.0) for x in (-3.0, -1.5, 1.5, 3.0)], (0.0, 1.6)
    for x, y in inputs:
        axes.annotate(
            "", output, (x, y), arrowprops={"arrowstyle": "->", "color": study.INK, "shrinkA": 13, "shrinkB": 13}
        )
    for (x, y), name in zip([*inputs, output], ["$x_1$", "$x_2$", "$x_{d-1}$", "$x_d$", "$o_1$"]):
        axes.plot(x, y, "o", markersize=26, fillstyle="none", color=study.COLORS[0] if y == 0 else study.COLORS[1])
        axes.text(x, y, name, ha="center", va="center")
    axes.text(0, 0, "...", ha="center", va="center")
    axes.text(-4.2, 0, "input layer", ha="right", va="center")
    axes.text(-4.2, 1.6, "output layer", ha="right", va="center")
    axes.set(xlim=(-7, 4), ylim=(-0.6, 2.2))
    axes.axis("off")
    yield Figure(
        "T9",
        alt="Inputs x1 to xd in a row below, each joined by an arrow to the one output o1 above.",
        caption="Linear regression as a network of one layer: every input is joined to the only output.",
        drawing=drawing,
    )
