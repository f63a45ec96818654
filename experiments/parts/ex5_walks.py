"""Exercise 5.3: SGD on |r| with steps of many kinds, all of them on the same minibatches of fresh examples."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from noiseworks_experiments.parts.hopping import absolute_gap

D, B = 5, 10  # features and minibatch of all runs of 5.3
TRUE = np.array([1, -1 / 2, 1 / 3, -1 / 4, 1 / 5])
TRUE = TRUE / np.linalg.norm(TRUE)
FIXED: dict[str, Callable[[int], float]] = {  # steps that depend on the time t alone
    "constant": lambda t: 0.2,
    "inverse": lambda t: 0.2 / (1 + 0.2 * t),
    "early": lambda t: 0.2 / (1 + t),
    "geometric": lambda t: 0.2 * 0.99**t,
    "hasty": lambda t: 0.2 * 0.8**t,
}
CORNERS = [0.0, 0.1, 0.5, 2.0]  # of |r|, rounded off within this (Huber's loss), with the constant step CORNER_LR
CORNER_LR = 0.05
RULES = [*FIXED, "polyak", *(f"corner_{h:g}" for h in CORNERS)]
AT = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000]  # after so many steps distances are kept
SETTLED = 240  # steps; at CORNER_LR e^-12 of the start is left
Array = NDArray[np.float64]


def walks(cfg) -> dict[str, Array]:
    """distance/<rule>/<t>: |w - w*| after t steps. hop/<rule>: over the last step, the mean of the second half.
    gap/corner_<h>: the loss gap, the mean from step SETTLED on. The labels' Laplace noise has scale cfg.label_noise."""
    rng, R = np.random.default_rng([cfg.seed, 53]), cfg.replicates
    delta = np.tile(-TRUE[:, None], (R, 1, len(RULES)))  # w - w* (R, D, rules), from w = 0
    width = np.array([float(rule.removeprefix("corner_")) if "corner" in rule else 0.0 for rule in RULES])
    found = {f"hop/{rule}": np.zeros(R) for rule in ("inverse", "geometric")}
    found |= {f"gap/corner_{h:g}": np.zeros(R) for h in CORNERS}
    for t in range(AT[-1]):
        x, e = rng.normal(size=(R, B, D)), cfg.label_noise * rng.laplace(size=(R, B, 1))
        r = e - x @ delta
        sign = np.where(width > 0, np.clip(r / np.where(width > 0, width, 1), -1, 1), np.sign(r))
        g = x.mT @ sign / B  # minus the gradient
        lr = steps(t, np.abs(r).mean(axis=1) - cfg.label_noise, (g**2).sum(axis=1))
        delta += lr[:, None, :] * g
        apart = dict(zip(RULES, np.sqrt((delta**2).sum(axis=1)).T))
        if t + 1 in AT:
            found |= {f"distance/{rule}/{t + 1}": each for rule, each in apart.items()}
        for name, total in found.items():
            what, _, rule = name.partition("/")
            if what == "hop" and t >= AT[-1] // 2:
                total += apart[rule] / FIXED[rule](t) / (AT[-1] - AT[-1] // 2)
            elif what == "gap" and t >= SETTLED:
                total += absolute_gap(apart[rule]) / (AT[-1] - SETTLED)
    return found


def steps(t: int, excess: Array, square: Array) -> Array:
    """(R, rules). Polyak's is (f - f*) / |g|^2 (Introduction to optimization, 1987), here of the minibatch. excess: its
    loss f less f*, what is expected at w*; square: |g|^2."""
    found = np.full_like(excess, CORNER_LR)
    found[:, : len(FIXED)] = [rule(t) for rule in FIXED.values()]
    k = RULES.index("polyak")
    found[:, k] = np.maximum(excess[:, k], 0) / np.maximum(square[:, k], 1e-300)
    return found
