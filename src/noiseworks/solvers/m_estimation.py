"""Huber's M-estimate with a robust scale, as R's rlm: coefficients and scale each the best at the other."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from noiseworks.errors import UserError
from noiseworks.noise import Huber
from noiseworks.solvers.design import Design, TransformedDesign
from noiseworks.solvers.likelihood import Likelihood, RidgePenalty
from noiseworks.solvers.linear_problem import Array, LinearProblem
from noiseworks.solvers.newton import checked, newton

ROUNDS = 200
NEAR = 1e-12  # in scales: no coefficient, in columns of size one, moves further


def m_estimate(problem: LinearProblem, noise: Huber, design: Design, theta: Array) -> tuple[Array, float]:
    """theta (P,) and the scale, from theta of least squares: by turns the scale of the residuals and the minimum of the
    mean rho(r / scale), which is convex. Where the two have no common point, since the median jumps from one residual
    to another, the last of many rounds."""
    A, weights, last = TransformedDesign.of(design), torch.from_numpy(problem.weights), np.inf
    for _ in range(ROUNDS):
        left = problem.target - problem.D @ theta
        scale = float(noise.robust_scale(torch.from_numpy(np.abs(left)), weights, design.rank))
        if not scale > np.finfo(float).eps * np.abs(problem.target).max():
            raise UserError(
                "huber noise has no robust scale here: more than half of the rows are fitted exactly, so that their "
                "median absolute residual is 0. A given noise.scale would do."
            )
        penalty = RidgePenalty.of(problem.penalty, design, scale, theta)
        standard = replace(problem, noise=noise.with_scale(1.0), y=left / scale, offset=np.zeros_like(left))
        z = checked(newton(Likelihood.of(standard, A, False, penalty), np.zeros(design.rank)), noise).v
        theta = theta + design.theta(scale * z)
        if np.abs(z).max(initial=0.0) <= NEAR and abs(scale - last) <= NEAR * scale:
            break
        last = scale
    return theta, scale
