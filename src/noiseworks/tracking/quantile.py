"""Randomized quantile residuals."""

from __future__ import annotations

import torch
from torch import Tensor

from noiseworks.noise import Noise

LARGEST_TABLE = 2 * 10**7  # cells of a table of probabilities


def quantile_residuals(noise: Noise, eta: Tensor, y: Tensor, generator: torch.Generator) -> Tensor:
    """Standard normal if the model is right (Dunn and Smyth, "Randomized quantile residuals", 1996): (n,).

    For counts Phi^-1(u), u uniform between P(Y < y) and P(Y <= y); for location-scale noise (transform(y) - eta) /
    scale, which has the noise's own law.
    """
    if not noise.counts:
        scale = 1.0 if noise.scale_value is None else noise.scale_value
        return (noise.transform(y) - eta) / scale
    below, at = torch.zeros_like(y), torch.zeros_like(y)
    for rows in range(0, len(y), max(1, int(LARGEST_TABLE // (y.max() + 1)))):
        chunk = slice(rows, rows + max(1, int(LARGEST_TABLE // (y.max() + 1))))
        k = torch.arange(float(y[chunk].max().floor()) + 1, dtype=y.dtype)
        mass = torch.exp(-noise.nll(eta[chunk].unsqueeze(1).expand(-1, len(k)), k.expand(len(eta[chunk]), -1)))
        below[chunk] = (mass * (k < y[chunk].unsqueeze(1))).sum(1)
        at[chunk] = (mass * (k == y[chunk].floor().unsqueeze(1))).sum(1)
    u = below + at * torch.rand(y.shape, generator=generator, dtype=y.dtype)
    tiny = torch.finfo(y.dtype).eps
    return torch.special.ndtri(u.clamp(tiny, 1 - tiny))
