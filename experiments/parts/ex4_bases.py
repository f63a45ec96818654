"""Exercise 4.4: optimizers on five rows and forty columns, in the features' own basis and in a rotated one."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

ELEMENTWISE = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adagrad": torch.optim.Adagrad,
    "rmsprop": torch.optim.RMSprop,
}
Array = NDArray[np.float64]


def bases(cfg) -> dict[str, Array]:
    """Of each data set, the end w of an optimizer that starts at w_0:

    distance: |w - X^+ y|. null: |(I - X^+ X)(w - w_0)|, how far it moved along directions that no row sees. turned: how
    far it lies from the end that it finds for the features X Q, Q orthogonal, turned back. misfit: max |X w - y|.
    kept, from a random start: |w - X^+ y|^2 / |w_0|^2.
    """
    R, n, d = cfg.replicates, cfg.num_examples, cfg.num_features
    rng = np.random.default_rng([cfg.seed, n, d])
    X, Q = rng.normal(size=(R, n, d)), np.linalg.qr(rng.normal(size=(R, d, d)))[0]
    y = X @ np.ones(d) / np.sqrt(d) + rng.normal(size=(R, n))
    start = cfg.start * rng.normal(size=(R, d)) / np.sqrt(d)
    order = rng.integers(n, size=(cfg.num_steps, R))
    own = end(cfg, X, y, start, order)
    back = np.einsum("rjk,rk->rj", Q, end(cfg, X @ Q, y, np.einsum("rjk,rj->rk", Q, start), order))
    inverse, move = np.linalg.pinv(X), own - start
    seen = np.einsum("rjn,rnk,rk->rj", inverse, X, move)
    ends = {"distance": own - np.einsum("rjn,rn->rj", inverse, y), "null": move - seen, "turned": own - back}
    misfit = np.abs(np.einsum("rnj,rj->rn", X, own) - y).max(axis=1)
    found = {name: np.linalg.norm(gap, axis=1) for name, gap in ends.items()} | {"misfit": misfit}
    return found | ({"kept": (found["distance"] / np.linalg.norm(start, axis=1)) ** 2} if cfg.start > 0 else {})


def end(cfg, X: Array, y: Array, start: Array, order: Array) -> Array:
    """Where the optimizer ends, (R, d)."""
    rows, targets, w = (torch.from_numpy(np.ascontiguousarray(each)) for each in (X, y, start))
    if cfg.stepper == "lbfgs":
        return torch.stack([by_lbfgs(*each) for each in zip(rows, targets, w)]).numpy()
    return by_steps(cfg, rows, targets, w.clone().requires_grad_(), torch.from_numpy(order)).detach().numpy()


def by_steps(cfg, X: Tensor, y: Tensor, w: Tensor, order: Tensor) -> Tensor:
    """One row a step, step sizes falling to zero. These optimizers treat each coordinate alone, so that all data sets
    can be trained as one parameter."""
    stepper = ELEMENTWISE[cfg.stepper]([w], lr=cfg.lr)
    each = torch.arange(len(X))
    for step, rows in enumerate(order):
        stepper.param_groups[0]["lr"] = cfg.lr * (1 - step / len(order))
        x = X[each, rows]
        w.grad = ((x * w.detach()).sum(1) - y[each, rows]).unsqueeze(1) * x
        stepper.step()
    return w


def by_lbfgs(X: Tensor, y: Tensor, start: Tensor) -> Tensor:
    """All rows in every step."""
    w = start.clone().requires_grad_()
    how = {"max_iter": 100, "tolerance_grad": 1e-12, "tolerance_change": 1e-16, "line_search_fn": "strong_wolfe"}
    stepper = torch.optim.LBFGS([w], **how)

    def loss() -> Tensor:
        stepper.zero_grad()
        value = 0.5 * (X @ w - y).square().sum()
        value.backward()
        return value

    stepper.step(loss)
    return w.detach()
