"""Where Newton's method starts: a point of finite likelihood."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from scipy.optimize import linprog

from noiseworks.errors import UserError
from noiseworks.exact.blocks import Blocks
from noiseworks.exact.likelihood import Likelihood
from noiseworks.exact.problem import Array, Problem


def start(problem: Problem, A: Blocks) -> Array:
    """z (r,): the lowest mean nll among least-squares fits of eta = inverse_mean((y + mean y) / 2), the usual start of
    a generalized linear model, of the constant, and zero; if all are infinite, rates that are positive, by a linear
    program."""
    unscaled = problem.noise if problem.noise.scale_value is not None else problem.noise.with_scale(1.0)
    likelihood = Likelihood.of(replace(problem, noise=unscaled), A, joint=False)
    mean = float(np.average(problem.y, weights=problem.weights))
    middle = max(mean, 1e-3) if problem.noise.counts else mean
    guesses = [(problem.y + middle) / 2, np.full_like(problem.y, middle)]
    starts = [_fit(A, _eta(problem, mu) - problem.offset, problem.weights) for mu in guesses]
    starts.append(np.zeros(A.shape[1]))
    values = [likelihood.value(z) for z in starts]
    best = int(np.argmin(values))
    if np.isfinite(values[best]):
        return starts[best]
    z = _positive(problem, A, middle)
    if not np.isfinite(likelihood.value(z)):
        raise UserError(f"{problem.noise.name} noise: no starting point with a finite likelihood was found.")
    return z


def _eta(problem: Problem, mu: Array) -> Array:
    return np.asarray(problem.noise.inverse_mean(torch.from_numpy(mu)).numpy())


def _fit(A: Blocks, eta: Array, weights: Array) -> Array:
    """Least squares: A' diag(w) A = n I (see Design)."""
    return A.turned(weights * eta) / len(eta)


def _positive(problem: Problem, blocks: Blocks, size: float) -> Array:
    """max t <= size / 2 subject to A z + offset >= t."""
    A = blocks.rows(slice(None))
    r = A.shape[1]
    cost = np.zeros(r + 1)
    cost[-1] = -1.0
    bounds = [(None, None)] * r + [(None, 0.5)]
    rows = np.column_stack((-A, np.ones(len(A))))
    found = linprog(cost, A_ub=rows, b_ub=problem.offset / size, bounds=bounds, method="highs")
    if found.status != 0 or found.x[-1] <= 1e-9:
        raise UserError(
            f"{problem.noise.name} noise: no coefficients give every row a positive rate; another link (log) would."
        )
    return np.asarray(found.x[:r] * size)
