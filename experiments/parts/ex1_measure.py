"""Exercise 1: what is measured: the mean and the median of many samples, under four kinds of noise."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

NOISES = ["normal", "laplace", "student_t", "contaminated"]
Array = NDArray[np.float64]


def measure(cfg):
    return {"estimators": estimators}[cfg.measure](cfg)


def estimators(cfg) -> dict[str, Array]:
    """mean, median and squared spread of each sample: the paired estimators see the same numbers."""
    rng = np.random.default_rng([cfg.seed, NOISES.index(cfg.law), cfg.num_observations])
    x = draw(cfg.law, (cfg.replicates, cfg.num_observations), rng)
    return {"mean": x.mean(axis=1), "median": np.median(x, axis=1), "variance_mle": x.var(axis=1)}


def draw(noise: str, shape: tuple[int, int], rng: np.random.Generator) -> Array:
    if noise == "contaminated":
        return rng.normal(size=shape) * np.where(rng.random(shape) < 0.1, 3.0, 1.0)
    if noise == "student_t":
        return rng.standard_t(5, size=shape)
    return rng.laplace(size=shape) if noise == "laplace" else rng.normal(size=shape)
