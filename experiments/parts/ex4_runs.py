"""Exercise 4: runs read back, for claims and figures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from noiseworks.studies import Run, Runs
from noiseworks_experiments.parts.ex4_measure import NULL, d

CONDITIONS = [1e3, 1e5, 1e7]
HIGHER = [1e5, 1e7, 1e9]  # of QR without residuals, whose error is small for long
ONCE = 12  # rows of ex4_noise and of the smaller designs of ex4_gram: n, n - d and n - d - 1 lie far apart
OPTIMIZERS = {"minibatch_sgd": "SGD", "adam": "Adam", "adagrad": "AdaGrad"}
SIGMAS = [0.03, 0.2, 1.0]
RIDGES = [1e-6, 1e-4, 0.25, 4.0]
LR, DECAY, STEPS = 0.05, 0.25, 400  # of ex4_steps; its fresh noise has the variance DECAY
BASES = {"sgd": "SGD", "lbfgs": "LBFGS", "adam": "Adam", "adagrad": "AdaGrad", "rmsprop": "RMSprop"}
WAYS = {"plain": {}, "momentum": {"momentum": 0.9}, "decay": {"weight_decay": DECAY}, "fresh": {"input_noise": 0.5}}
Array = NDArray[np.float64]


def weights(run: Run) -> Array:
    """The weights of each answer (R, 5)."""
    return np.stack([run.copies[f"coefficient/x{j}"] for j in range(d)], axis=1)


def null(run: Run) -> Array:
    """The part of each answer along the direction that the data say nothing about (R,)."""
    return weights(run) @ NULL


def once(runs: Runs, sigma: float) -> Run:
    """Least squares on one noisy copy of ONCE rows."""
    return runs["ex4_noise"].one(sigma=sigma)


def way(runs: Runs, name: str) -> Run:
    """One of WAYS in ex4_steps."""
    own = {"momentum": 0.0, "weight_decay": 0.0, "input_noise": 0.0} | WAYS[name]
    keys = {"input_noise": "data.input_noise"}
    return runs["ex4_steps"].one({keys.get(key, f"optimizer.{key}"): value for key, value in own.items()})


def null_path(run: Run) -> Array:
    """`null` after each step (steps, R)."""
    path = run.trajectory
    parts = sum(NULL[j] * path[f"x{j}"] for j in range(d))
    return np.asarray(parts).reshape(-1, len(set(path["replicate"].tolist())))


def noisy(runs: Runs, noise: str, n: int, sigma: float) -> Run:
    return runs["ex4_gram"].one(law=noise, num_observations=n, sigma=sigma)


def penalized(runs: Runs, method: str, penalty: float) -> Run:
    return runs["ex4_ridge"].one({"optimizer.ridge": penalty, "optimizer.method": method})
