"""Densities meet counts: the probability that a density gives to the unit cell around a whole number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from noiseworks.noise.base import Noise


def log_cell(noise: Noise, eta: Tensor, y: Tensor) -> Tensor | None:
    """log P(y - 1/2 < Y <= y + 1/2 | eta) for whole numbers y, from the nearer tail, so that cells far out keep their
    digits; of counts log P(Y = y). None where no formula is known."""
    if noise.counts:
        return -noise.nll(eta, y)
    low, high = noise.standardized(eta, y - 0.5), noise.standardized(eta, y + 0.5)
    at_low, at_high = noise.log_tail(low), noise.log_tail(high)
    if at_low is None or at_high is None:
        return None
    near, far = torch.maximum(at_low, at_high), torch.minimum(at_low, at_high)
    one_side = near + torch.log(-torch.expm1(far - near))
    return torch.where((low < 0) & (high >= 0), torch.log1p(-at_low.exp() - at_high.exp()), one_side)
