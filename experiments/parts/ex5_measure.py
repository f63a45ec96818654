"""Exercise 5: what is measured: how far from the truth an answer is, and what it is made of."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from noiseworks.noise import Gaussian, Laplace
from noiseworks.solvers.batched import solve_batch
from noiseworks_experiments.parts.absolute import (
    elemental_fits,
    linear_program,
    most_likely,
    multiplier,
    weighted_median,
)
from noiseworks_experiments.parts.ex5_walks import walks

NOISES = ["gaussian", "laplace", "student_t"]
Array = NDArray[np.float64]


def measure(cfg) -> dict[str, Array] | dict[str, Array | float]:
    return {"estimators": estimators, "walks": walks}[cfg.measure](cfg)


def estimators(cfg) -> dict[str, Array | float]:
    """Squared errors of the slope of one feature through the origin, the true slope 0, each the mean over samples of
    cfg.rows rows in all; for 40 observations also what an answer is made of."""
    rng = np.random.default_rng([cfg.seed, NOISES.index(cfg.law), cfg.num_observations])
    R, n = cfg.replicates, cfg.num_observations
    found = {"absolute": np.empty(R), "squared": np.empty(R)}
    for rows in np.array_split(np.arange(R), max(1, R * cfg.rows // 2**20)):
        shape = (len(rows), cfg.rows // n, n)
        x, e = rng.normal(size=shape), draw(cfg.law, shape, rng)
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
        "sum/absolute": apart(fitted(Laplace(), X, y + other), absolute + fitted(Laplace(), X, other)),
        "sum/squared": apart(fitted(Gaussian(), X, y + other), squared + fitted(Gaussian(), X, other)),
        "groups/unique": float(groups.unique.mean()),
        **algorithms(X, y, value),
        **far_labels(X, y),
        **likelihoods(X, y),
    }


def algorithms(X: Array, y: Array, value: Array) -> dict[str, float]:
    """What takes the place of a formula: how far the fits are from medians, and their sum |r|, `value`, from the least
    of all elemental fits and of the first hundred. The median needs an odd number of rows to be one number."""
    one, x = X[:, 1:, :1], X[:, :, 1]
    constant, slope = fitted(Laplace(), one, y[:, 1:])[:, 0], fitted(Laplace(), X[:, :, 1:2], y)[:, 0]
    sums = np.array([np.abs(y_k - elemental_fits(X_k, y_k) @ X_k.T).sum(axis=1) for X_k, y_k in zip(X, y)])
    return {
        "location/median": apart(constant, np.median(y[:, 1:], axis=1)),
        "location/mean": apart(constant, y[:, 1:].mean(axis=1)),
        "slope/weighted": apart(slope, weighted_median(y / x, np.abs(x))),
        "slope/unweighted": apart(slope, np.median(y / x, axis=1)),
        "elemental/all": float(np.abs(sums.min(axis=1) / value - 1).max()),
        "elemental/hundred": float(np.abs(sums[:, :100].min(axis=1) / value - 1).max()),
    }


def far_labels(X: Array, y: Array) -> dict[str, float]:
    """By how much the fits change when the first label goes from 100 to 1,000, and to -100."""
    fits = {}
    for label in (100.0, 1000.0, -100.0):
        moved = y.copy()
        moved[:, 0] = label
        fits[label] = fitted(Laplace(), X, moved), fitted(Gaussian(), X, moved)
    return {
        "far/absolute": apart(fits[100.0][0], fits[1000.0][0]),
        "far/squared": apart(fits[100.0][1], fits[1000.0][1]),
        "across/absolute": apart(fits[100.0][0], fits[-100.0][0]),
    }


def likelihoods(X: Array, y: Array, K: int = 4) -> dict[str, float]:
    """Of K fits of both losses: how far their coefficients, and their mean |r| and root mean r^2 as a scale, are from
    where SciPy's Laplace likelihood is largest."""
    X, y = X[:K], y[:K]
    absolute, squared = fitted(Laplace(), X, y), fitted(Gaussian(), X, y)
    theta, scale = (np.array(found) for found in zip(*(most_likely(X[k], y[k]) for k in range(K))))
    size = np.abs(residuals(X, y, absolute))
    return {
        "likelihood/absolute": apart(absolute, theta),
        "likelihood/squared": apart(squared, theta),
        "likelihood/mean": float(np.abs(size.mean(axis=1) / scale - 1).max()),
        "likelihood/root": float(np.abs(np.sqrt((size**2).mean(axis=1)) / scale - 1).min()),
    }


def apart(one: Array, other: Array) -> float:
    return float(np.abs(one - other).max())


def fitted(noise: Gaussian | Laplace, X: Array, y: Array) -> Array:
    return solve_batch(noise, torch.from_numpy(X), torch.from_numpy(y)).theta


def residuals(X: Array, y: Array, theta: Array) -> Array:
    return y - (X @ theta[..., None])[..., 0]
