"""Exercise 5: what is measured: how far from the truth an answer is, and what it is made of."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from noiseworks.noise import Gaussian, Laplace
from noiseworks.solvers.batched import solve_batch
from noiseworks_experiments.parts.absolute import linear_program, multiplier, weighted_median

NOISES = ["gaussian", "laplace", "student_t"]
Array = NDArray[np.float64]


def measure(cfg) -> dict[str, Array | float]:
    """Squared errors of the slope of one feature through the origin, the true slope 0, each the mean over a few
    samples; for 40 observations also what an answer is made of."""
    rng = np.random.default_rng([cfg.seed, NOISES.index(cfg.law), cfg.num_observations])
    R, n = cfg.replicates, cfg.num_observations
    found = {"absolute": np.empty(R), "squared": np.empty(R)}
    for rows in np.array_split(np.arange(R), max(1, R * cfg.samples * n // 2**20)):
        x, e = rng.normal(size=(len(rows), cfg.samples, n)), draw(cfg.law, (len(rows), cfg.samples, n), rng)
        found["absolute"][rows] = (weighted_median(e / x, np.abs(x)) ** 2).mean(axis=1)
        found["squared"][rows] = (((x * e).sum(-1) / (x**2).sum(-1)) ** 2).mean(axis=1)
    return found | (answer(cfg.law, rng) if n == 40 else {})


def draw(noise: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    return rng.laplace(size=shape) if noise == "laplace" else rng.normal(size=shape)


def answer(noise: str, rng: np.random.Generator, K: int = 20, n: int = 30) -> dict[str, float]:
    """Of K fits of n rows on (1, x1, x2): the rows that are met, certificates, objectives, and whether fits add up."""
    X = np.concatenate([np.ones((K, n, 1)), rng.normal(size=(K, n, 2))], axis=2)
    y, other = draw(noise, (2, K, n), rng)
    absolute, squared = fitted(Laplace(), X, y), fitted(Gaussian(), X, y)
    vertex = np.linalg.solve(X[:, :3], y[:, :3, None])[..., 0]  # the plane through the first three rows
    met = [(np.abs(residuals(X, y, theta)) < 1e-9).sum(axis=1) for theta in (absolute, squared)]
    value = np.abs(residuals(X, y, absolute)).sum(axis=1)
    programs = np.array([linear_program(X[k], y[k]) for k in range(K)])
    even = np.repeat(np.eye(2), 10, axis=0)  # two groups of ten
    groups = solve_batch(Laplace(), torch.from_numpy(even), torch.from_numpy(y[:, :20].copy()))
    return {
        "met/absolute/least": float(met[0].min()),
        "met/absolute/most": float(met[0].max()),
        "met/squared": float(met[1].max()),
        "multiplier/absolute": max(multiplier(X[k], y[k], absolute[k]) for k in range(K)),
        "multiplier/vertex": max(multiplier(X[k], y[k], vertex[k]) for k in range(K)),
        "program/absolute": float(np.abs(value / programs - 1).max()),
        "program/squared": float(np.abs(np.abs(residuals(X, y, squared)).sum(axis=1) / programs - 1).max()),
        "sum/absolute": float(np.abs(fitted(Laplace(), X, y + other) - absolute - fitted(Laplace(), X, other)).max()),
        "sum/squared": float(np.abs(fitted(Gaussian(), X, y + other) - squared - fitted(Gaussian(), X, other)).max()),
        "groups/unique": float(groups.unique.mean()),
    }


def fitted(noise: Gaussian | Laplace, X: Array, y: Array) -> Array:
    return solve_batch(noise, torch.from_numpy(X), torch.from_numpy(y)).theta


def residuals(X: Array, y: Array, theta: Array) -> Array:
    return y - (X @ theta[..., None])[..., 0]
