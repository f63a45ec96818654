"""Exercise 6: what is measured: descent on W2 W1 with several outputs, and the least of loss + decay |w|."""

from __future__ import annotations

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray

SHARES = (0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.98)
Array = NDArray[np.float64]


def measure(cfg):
    return {"rank": rank, "norm": norm, "staircase": staircase}[cfg.measure](cfg)


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


def descend(W1: Array, W2: Array, S: Array, C: Array, lr: float, steps: int, decay: float = 0.0) -> tuple[Array, Array]:
    """Of half the mean square + decay / 2 (|W1|^2 + |W2|^2), with S = X'X / n and C = X'Y / n."""
    for _ in range(steps):
        G = C.mT - W2 @ W1 @ S  # minus the gradient for the product
        W1, W2 = W1 + lr * (W2.mT @ G - decay * W1), W2 + lr * (G @ W1.mT - decay * W2)
    return W1, W2


def balance(W1: Array, W2: Array) -> Array:
    return W1 @ W1.mT - W2.mT @ W2


def squares(A: Array) -> Array:
    return (A**2).sum((1, 2))


def norm(cfg) -> dict[str, Array]:
    """For each sample the w at which half the mean square + decay |w| is least, and ridge: with decay / 2 |w|^2.

    The first by proximal gradient: a step to v = w - t (S w - c), from whose length t decay is taken off (Parikh & Boyd
    2014, 6.5.1).
    """
    data = instantiate(cfg.data)
    samples = [data.examples(replicate) for replicate in range(cfg.replicates)]
    X, y = np.stack([one.X.numpy() for one in samples]), np.stack([one.y.numpy() for one in samples])
    S, c = X.mT @ X / X.shape[1], X.mT @ y[:, :, None] / X.shape[1]
    t, w = 1 / np.linalg.eigvalsh(S)[:, -1, None, None], np.zeros_like(c)
    for _ in range(cfg.steps):
        v = w - t * (S @ w - c)
        w = v * np.maximum(0, 1 - t * cfg.decay / np.linalg.norm(v, axis=1, keepdims=True))
    ridge = np.linalg.solve(S + cfg.decay * np.eye(len(S[0])), c)
    found = {"pull": np.linalg.norm(c, axis=1, keepdims=True), "norm": w, "ridge": ridge}
    return {f"{name}_{j + 1}": values[:, j, 0] for name, values in found.items() for j in range(values.shape[1])}


def staircase(cfg) -> dict[str, Array]:
    """When (lr times steps) the singular values of W2 W1 (k, d), or of a single layer, pass SHARES of those of X'Y / n.

    X is white, X'X = n I. origin_j: what value j grows from. The part (W1 v_j + W2'u_j) / 2 of the weights grows by
    1 + lr s_j a step; greater values, learned before, take what lies in their directions: with these parts as columns,
    Q R, it is R_jj^2. alone_j: if they took nothing.
    """
    rng = np.random.default_rng([cfg.seed, 61])
    R, n, d, k, h = cfg.replicates, cfg.num_examples, cfg.num_features, cfg.num_outputs, cfg.width
    X = np.linalg.qr(rng.normal(size=(R, n, d)))[0] * np.sqrt(n)
    truth = np.linalg.qr(rng.normal(size=(R, d, k)))[0] * cfg.largest / 2.0 ** np.arange(k)
    C = X.mT @ (X @ truth + 0.5 * rng.normal(size=(R, n, k))) / n
    W1, W2 = cfg.init_scale * rng.normal(size=(R, h, d)), cfg.init_scale * rng.normal(size=(R, k, h))
    V, s, U = np.linalg.svd(C, full_matrices=False)
    parts = (W1 @ V + W2.mT @ U.mT) / 2
    values = learned(W1, W2, C, cfg)
    found = {"value": s, "end": values[-1], "alone": (parts**2).sum(1)}
    found["origin"] = np.diagonal(np.linalg.qr(parts)[1], axis1=1, axis2=2) ** 2
    if not cfg.decay:
        found |= {f"passes_{share}": 10 * cfg.lr * passes(values / s, share) for share in SHARES}
    return {f"{name}_{j + 1}": numbers[:, j] for name, numbers in found.items() for j in range(k)}


def learned(W1: Array, W2: Array, C: Array, cfg) -> Array:
    """The singular values (points, R, k), after every tenth step; a single layer begins at W2 W1."""
    W, values, identity = W2 @ W1, [], np.eye(W1.shape[-1])
    for step in range(round(cfg.time / cfg.lr)):
        if step % 10 == 0:
            values.append(np.linalg.svd(W if cfg.layers == 1 else W2 @ W1, compute_uv=False))
        if cfg.layers == 1:
            W = W + cfg.lr * (C.mT - W - cfg.decay * W)
        else:
            W1, W2 = descend(W1, W2, identity, C, cfg.lr, 1, cfg.decay)
    return np.stack(values)


def passes(shares: Array, share: float) -> Array:
    """The point, between points by its log odds, at which each passes `share`; nan if it never does."""
    shares = np.clip(shares, 1e-12, 1 - 1e-12)
    odds = np.log(shares / (1 - shares)) - np.log(share / (1 - share))
    k = np.maximum(np.argmax(shares >= share, axis=0), 1)[None]
    before, after = np.take_along_axis(odds, k - 1, axis=0)[0], np.take_along_axis(odds, k, axis=0)[0]
    return np.where(shares[-1] >= share, k[0] - after / (after - before), np.nan)
