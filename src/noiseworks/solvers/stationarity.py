"""How nearly an answer is stationary, free of units; and whether a stationary point is the optimum."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from noiseworks.noise import Gaussian, Noise
from noiseworks.solvers.design import Design
from noiseworks.solvers.linear_problem import Array, LinearProblem, LinearProblems, tensor

SOME = 10_000  # values of y, at most, of which quantiles are taken
PERFECT = 1e3 * float(np.finfo(float).eps)  # residuals below this share of y are rounding errors


def gradient(problem: LinearProblem, design: Design, theta: Array, scale: float | None, joint: bool) -> float:
    """max_j |mean_i w_i s_i Z_ij| with s the score (times the scale, for a location-scale noise) and Z the scaled
    columns; with it, if `joint`, the derivative by log scale."""
    if is_perfect(problem, theta, scale):
        return 0.0
    noise = problem.noise.with_scale(scale)
    eta = torch.from_numpy(problem.D @ theta + problem.offset)
    y, weights = torch.from_numpy(problem.y), torch.from_numpy(problem.weights)
    unit = scale if problem.noise.location_scale and scale is not None else 1.0
    score = (weights * noise.score(eta, y)).numpy() * unit / len(problem.y)
    by_theta = score @ problem.D
    if problem.penalty is not None:
        by_theta += problem.penalty**2 * theta * (1 / unit if isinstance(problem.noise, Gaussian) else unit)
    largest = float(np.abs(by_theta / design.scale)[design.pivots].max(initial=0.0))
    if joint and scale is not None:
        log_scale = torch.tensor([np.log(scale)], requires_grad=True)
        nll = (weights * problem.noise.with_scale(log_scale.exp()).nll(eta, y)).mean()
        largest = max(largest, abs(float(torch.autograd.grad(nll, log_scale)[0])))
    return largest


def is_perfect(problem: LinearProblem, theta: Array, scale: float | None) -> bool:
    """A location-scale fit whose residuals are rounding errors of y: its likelihood has no maximum."""
    if not problem.noise.location_scale or problem.noise.scale_value is not None:
        return False
    size = float(np.abs(problem.target + problem.offset).max())
    return bool(np.abs(problem.target - problem.D @ theta).max() <= PERFECT * max(size, np.finfo(float).tiny))


def log_concave(noise: Noise, y: Array) -> bool:
    """d^2 nll / d eta^2 >= 0 on a grid of eta, for some of the y: then a stationary theta is the optimum. Nor may
    d nll / d eta fall from one point of the grid to the next: at a kink the second derivative says nothing."""
    if noise.location_scale:
        grid = np.geomspace(1e-3, 1e3, 40)
        eta = torch.from_numpy(np.concatenate((-grid[::-1], [0.0], grid)))
        values = noise.inverse_transform(torch.zeros(1, dtype=torch.float64))
    else:
        eta = torch.linspace(-20, 20, 81, dtype=torch.float64)
        some = y[:: -(-len(y) // SOME)]
        values = torch.from_numpy(np.unique(np.quantile(some, np.linspace(0, 1, 9), method="nearest")))
    eta = eta.repeat(len(values), 1).requires_grad_()
    nll = noise.nll(eta, values.unsqueeze(-1))
    (slope,) = torch.autograd.grad(nll[torch.isfinite(nll)].sum(), eta, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), eta)
    rise = slope.where(torch.isfinite(nll), torch.nan).diff().detach()
    return _not_below_zero(curvature.detach(), 1e-12) and _not_below_zero(rise, 1e-9)


def _not_below_zero(values: Tensor, rounding: float) -> bool:
    """Those that are finite, but for rounding errors of the largest."""
    finite = values[torch.isfinite(values)]
    return bool((finite >= -rounding * finite.abs().max()).all()) if len(finite) else True


def fitted_scales(problems: LinearProblems, theta: Array) -> Array:
    """The scale that was given, else the maximum-likelihood scale at theta (K, P); nan where the noise has none."""
    noise = problems.noise
    if noise.scale_value is not None:
        return np.full(len(theta), float(noise.scale_value))
    scale = noise.fit_scale(*map(tensor, (problems.eta(theta), problems.y, problems.weights)))
    return np.full(len(theta), np.nan) if scale is None else np.asarray(scale.numpy())


def gradients(problems: LinearProblems, theta: Array, scale: Array) -> Array:
    """(K,): as `noiseworks.solvers.stationarity`, in the root mean square of each column instead of a power of two."""
    noise, w = problems.noise, problems.weights / problems.weights.sum(axis=1, keepdims=True)
    unit = scale[:, None] if noise.location_scale else np.ones((len(theta), 1))
    noise = noise if noise.scale_name is None else noise.with_scale(tensor(scale[:, None]))
    score = w * noise.score(tensor(problems.eta(theta)), tensor(problems.y)).numpy() * unit
    score = np.where(w > 0, score, 0.0)
    if problems.shared:
        slope, size = score @ problems.D, np.sqrt(w @ problems.D**2)
    else:
        slope, size = (score[:, None, :] @ problems.D)[:, 0], np.sqrt((w[:, None, :] @ problems.D**2)[:, 0])
    return np.asarray(np.abs(slope / np.where(size > 0, size, 1.0)).max(axis=1, initial=0.0))
