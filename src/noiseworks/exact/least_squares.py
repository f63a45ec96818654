"""Gaussian and log-normal noise: least squares of transform(y) - offset."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.linalg import solve_triangular

from noiseworks.exact.answer import Answer
from noiseworks.exact.design import Design, reduce
from noiseworks.exact.gradient import gradient
from noiseworks.exact.problem import Array, Problem

EXTENDED = 1_000_000  # up to so many numbers in the design, residuals are taken in extended precision
STEPS = 10


def least_squares(problem: Problem) -> Answer:
    """theta by QR with iterative refinement; the scale sqrt(sum w r^2 / sum w) is the noise's own answer."""
    design = reduce(problem.D, problem.weights, problem.target)
    theta = design.minimum_norm(refined(design, problem.target, problem.weights))
    scale = fitted_scale(problem, theta)
    slope = gradient(problem, design, theta, scale, joint=False)
    return Answer(torch.from_numpy(theta), scale, slope, design.rank, "optimum", design)


def refined(design: Design, target: Array, weights: Array) -> Array:
    """argmin_b sum_i w_i (target_i - Z_i b)^2.

    From QR, then corrected seminormal equations R'R db = Z'w(target - Z b) (Bjorck, "Stability analysis of the method
    of seminormal equations", 1987), which shrink the error by about eps cond(Z) a step. With residuals in extended
    precision (80 bits on x86; where long double is double, one step of plain refinement) b itself is exact to about
    1e-16 as long as that is below 1.
    """
    Z = design.Z
    extended = Z.size <= EXTENDED and np.finfo(np.longdouble).eps < np.finfo(float).eps
    real: Any = np.longdouble if extended else np.float64
    Z, target, weights = Z.astype(real, copy=False), target.astype(real), weights.astype(real)
    b = (solve_triangular(design.R, design.target) if design.rank else design.target).astype(real)
    last = np.inf
    for _ in range(STEPS if extended else 1):
        step = _seminormal(design, (Z.T @ (weights * (target - Z @ b))).astype(np.float64))
        size = float(np.abs(step).max(initial=0.0))
        if not size < last / 2:  # no longer converging
            break
        b, last = b + step, size
    return np.asarray(b, dtype=np.float64)


def _seminormal(design: Design, right: Array) -> Array:
    """(Z'wZ)^-1 right; R is that of Z sqrt(w / n), hence the n."""
    if not design.rank:
        return right
    return np.asarray(solve_triangular(design.R, solve_triangular(design.R, right, trans="T"))) / len(design.D)


def fitted_scale(problem: Problem, theta: Array) -> float | None:
    """The scale that was given, else the maximum-likelihood scale at this theta."""
    noise = problem.noise
    if noise.scale_value is not None:
        return float(noise.scale_value)
    eta = torch.from_numpy(problem.D @ theta + problem.offset)
    scale = noise.fit_scale(eta, torch.from_numpy(problem.y), torch.from_numpy(problem.weights))
    return None if scale is None else float(scale)
