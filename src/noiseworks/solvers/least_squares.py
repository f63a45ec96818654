"""Gaussian and log-normal noise: least squares of transform(y) - offset."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.linalg import solve_triangular

from noiseworks.errors import UserError
from noiseworks.solvers.design import Design, Parts, blocks, gram_design, reduce, summed
from noiseworks.solvers.linear_problem import Array, LinearProblem
from noiseworks.solvers.solution import Solution
from noiseworks.solvers.stationarity import gradient, is_perfect

EXTENDED = 1_000_000  # up to so many numbers in the design, residuals are taken in extended precision
STEPS = 10
SMALL_STEP = 4 * float(np.finfo(float).eps)  # of the largest entry: nothing is left to correct


def least_squares(problem: LinearProblem) -> Solution:
    """theta by QR, for many rows by the Gram matrix where it is safe, with iterative refinement; the scale
    sqrt(sum w r^2 / sum w) is the noise's own answer."""
    design = factored(problem, EXTENDED)
    theta = design.minimum_norm(refined(design, problem.target, problem.weights, problem.penalty))
    scale = fitted_scale(problem, theta)
    check_varies(problem, theta)
    slope = gradient(problem, design, theta, scale, joint=False)
    return Solution(torch.from_numpy(theta), scale, slope, design.rank, "optimum", design)


def factored(problem: LinearProblem, large: int) -> Design:
    """The design, by the Gram matrix if it has more than `large` numbers and that is safe, else by QR."""
    D, w, penalty = problem.D, problem.weights, problem.penalty
    y = problem.target if problem.noise.location_scale else np.zeros(len(D))
    return (gram_design(D, w, y, penalty) if D.size > large else None) or reduce(D, w, y, penalty)


def check_varies(problem: LinearProblem, theta: Array) -> None:
    """Refuse the same y in all rows where it is fitted, since the scale that is asked for would be zero."""
    target = problem.target
    constant = len(target) > 1 and bool((target == target[0]).all())
    if constant and is_perfect(problem, theta, None):
        raise UserError(
            f"{problem.noise.name} noise needs a y that varies, or its scale would be 0; y (less its offset, if there "
            f"is one) is the same in all {len(target)} rows."
        )


def refined(design: Design, target: Array, weights: Array, penalty: Array | None = None) -> Array:
    """argmin_b sum_i w_i (target_i - Z_i b)^2 + n sum_j (penalty_j theta_j)^2, theta = b / scale.

    From QR, then corrected seminormal equations R'R db = Z'w(target - Z b) (Bjorck, "Stability analysis of the method
    of seminormal equations", 1987), which shrink the error by about eps cond(Z) a step, after the Gram matrix by eps
    cond(Z)^2. With residuals in extended precision (80 bits on x86; where long double is a double, plain refinement) b
    itself is exact to about 1e-16 as long as that is below 1.
    """
    extended = len(design.D) * design.rank <= EXTENDED and np.finfo(np.longdouble).eps < np.finfo(float).eps
    real: Any = np.longdouble if extended else np.float64
    normal = _Normal(design, target, weights, penalty, real)
    b = (solve_triangular(design.R, design.target) if design.rank else design.target).astype(real)
    last, rate = np.inf, float(np.finfo(float).eps) * float(np.linalg.cond(design.R) if design.rank else 1.0) ** 2
    for _ in range(STEPS):
        step = _seminormal(design, normal.left(b))
        size = float(np.abs(step).max(initial=0.0))
        if not size < last / 2:  # no longer converging
            break
        b, last, rate = b + step, size, max(rate, size / last)
        left = rate * size if extended else size  # what the next step would be
        if left <= (np.finfo(real).eps if extended else SMALL_STEP) * np.abs(b).max(initial=0.0):
            break
    return np.asarray(b, dtype=np.float64)


class _Normal:
    """Z'w(target - Z b) - n (penalty / scale)^2 b: what is left of the normal equations."""

    def __init__(self, design: Design, target: Array, weights: Array, penalty: Array | None, real: Any) -> None:
        self.design, self.target, self.weights = (
            design,
            target.astype(real, copy=False),
            weights.astype(real, copy=False),
        )
        self.Z = design.Z.astype(real) if real is np.longdouble else None
        root = None if penalty is None else penalty[design.pivots] / design.scale[design.pivots]
        self.penalty = None if root is None else len(target) * root.astype(real) ** 2

    def left(self, b: Any) -> Array:
        Z = self.Z
        right = self._by_blocks(b) if Z is None else Z.T @ (self.weights * (self.target - Z @ b))
        right = right if self.penalty is None else right - self.penalty * b
        return np.asarray(right, dtype=np.float64)

    def _by_blocks(self, b: Array) -> Array:
        """From D itself, which is not copied, with rows in the cache."""
        design, D, target, weights = self.design, self.design.D, self.target, self.weights
        theta = np.zeros(D.shape[1])
        theta[design.pivots] = b / design.scale[design.pivots]

        def part(span: slice) -> Parts:
            total = np.zeros(D.shape[1])
            for rows in blocks(span, D.shape[1]):
                total += (weights[rows] * (target[rows] - D[rows] @ theta)) @ D[rows]
            return (total,)

        return np.asarray((summed(len(D), part)[0] / design.scale)[design.pivots])


def _seminormal(design: Design, right: Array) -> Array:
    """(Z'wZ)^-1 right; R is that of Z sqrt(w / n), hence the n."""
    if not design.rank:
        return right
    return np.asarray(solve_triangular(design.R, solve_triangular(design.R, right, trans="T"))) / len(design.D)


def fitted_scale(problem: LinearProblem, theta: Array) -> float | None:
    """The scale that was given, else the maximum-likelihood scale at this theta; None: the noise has none."""
    noise = problem.noise
    if noise.scale_value is not None or noise.scale_name is None:
        return None if noise.scale_value is None else float(noise.scale_value)
    eta = torch.from_numpy(problem.D @ theta + problem.offset)
    scale = noise.fit_scale(eta, torch.from_numpy(problem.y), torch.from_numpy(problem.weights))
    return None if scale is None else float(scale)
