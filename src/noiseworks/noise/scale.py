"""Maximum-likelihood scales: the weighted mean, its floor, and a solver for noise models without a formula."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from noiseworks.noise.base import Noise

Derivatives = Callable[["Noise", Tensor, Tensor, "Tensor | None", Tensor], tuple[Tensor, Tensor]]

REACH = 16.0  # the scale is sought within exp(+-16), nine million, of the size of the residuals (a dispersion: of one)


def weighted_mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """The mean over the last axis; `weights`, of the same length, need not sum to one."""
    if weights is None:
        return values.mean(-1)
    return (values * weights).sum(-1) / weights.sum(-1)


def above_rounding(scale: Tensor, y: Tensor) -> Tensor:
    """A perfect fit has scale zero; this floor, a rounding error of y, keeps its likelihood a number."""
    size = y.abs().amax(-1)
    return torch.maximum(scale, torch.finfo(y.dtype).eps * torch.where(size > 0, size, torch.ones_like(size)))


def minimize_over_log_scale(
    noise: Noise,
    eta: Tensor,
    y: Tensor,
    weights: Tensor | None = None,
    start: Tensor | None = None,
    derivatives: Derivatives | None = None,
) -> Tensor:
    """argmin over s of mean_i nll(eta_i, y_i; s), for each leading index, by Newton's method on log s.

    Newton steps are kept inside a bracket that the sign of the derivative shrinks, so the iteration cannot run away.
    eta (..., n), y broadcast to it; returns (...,). start (...,): of log s. derivatives: first and second, of the mean
    by log s; by autograd if they are not given.
    """
    if eta.device.type == "xla":  # a loop with an end that depends on the values is not for a compiler of programs
        weights, start = (None if part is None else part.cpu() for part in (weights, start))
        return minimize_over_log_scale(noise, eta.cpu(), y.cpu(), weights, start, derivatives).to(eta.device)
    eta = eta.detach()
    y = y.expand_as(eta)
    if start is None and noise.location_scale:
        start = above_rounding(weighted_mean((noise.transform(y) - eta).abs(), weights), noise.transform(y)).log()
    if start is None:
        start = torch.zeros(eta.shape[:-1], dtype=eta.dtype, device=eta.device)
    low, high, t = start - REACH, start + REACH, start
    done = torch.zeros_like(t, dtype=torch.bool)  # each ends where it would alone, however long the others take
    for _ in range(80):
        slope, curvature = (derivatives or _derivatives)(noise, eta, y, weights, t)
        low, high = torch.where(slope < 0, t, low), torch.where(slope > 0, t, high)
        newton = t - slope / curvature.clamp_min(torch.finfo(eta.dtype).tiny)
        converged = newton == t  # a step below rounding; to bisect here would walk away from the answer again
        inside = (curvature > 0) & ((newton > low) & (newton < high) | converged)
        new = torch.where(done, t, torch.where(inside, newton, (low + high) / 2))
        done |= (new - t).abs() <= 8 * torch.finfo(eta.dtype).eps * REACH
        t = new
        if done.all():
            break
    return t.exp()


def _derivatives(noise: Noise, eta: Tensor, y: Tensor, weights: Tensor | None, t: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        t = t.detach().requires_grad_()
        total = weighted_mean(noise.with_scale(t.exp().unsqueeze(-1)).nll(eta, y), weights).sum()
        (slope,) = torch.autograd.grad(total, t, create_graph=True)
        (curvature,) = torch.autograd.grad(slope.sum(), t)
    return slope.detach(), curvature
