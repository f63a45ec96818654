"""Values on a grid: expectations under a rounded log-normal distribution, and the probability that a noise model gives
to a cell."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from noiseworks.noise.base import Noise


FAR = 9.0  # scales from the middle; beyond are 2e-19 of the distribution
FINE = 80.0  # whole numbers from FINE, and from FINE / scale, on lie so close that their sum is an integral
END = ((-2, 17 / 5760), (-1, -1 / 24 - 51 / 5760), (0, 1 / 24 + 51 / 5760), (1, -17 / 5760))
NODES, WEIGHTS = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(64))


def expectation_points(eta: Tensor, s: Tensor) -> tuple[Tensor, Tensor]:
    """k and weights (..., m): sum of G(k) over the whole numbers k >= 1, for a G that lives where exp(eta + s Z) does.

    Number by number up to K, where they get close; beyond, the integral of G from K - 1/2 in u = (log k - eta) / s,
    with the end terms of Euler and Maclaurin, G'(K - 1/2) / 24 - 7 G'''(K - 1/2) / 5760, by differences of G at
    K - 2 ... K + 1.
    """
    low = torch.floor(torch.exp(eta - FAR * s) - 0.5).clamp(0, 1e15)
    needed = torch.minimum(FINE / s.clamp_max(1), torch.exp(eta + FAR * s).clamp_max(1e15)) - low
    count = int(needed.nan_to_num(0).clamp(4, 2400).max().ceil()) + 2 if needed.numel() else 4
    whole = low.unsqueeze(-1) + torch.arange(1, count + 1, dtype=eta.dtype, device=eta.device)
    K = count - 2  # the place of the first number of the integral
    weight = torch.ones(count, dtype=eta.dtype, device=eta.device)
    weight[K:] = 0
    for place, share in END:
        weight[K + place] += share
    start = (torch.log(whole[..., K] - 0.5) - eta) / s
    half = ((s + FAR - start) / 2).clamp_min(0)
    u = start.unsqueeze(-1) + half.unsqueeze(-1) * (1 + NODES.to(eta))
    k = torch.exp(eta.unsqueeze(-1) + s.unsqueeze(-1) * u)
    each = half.unsqueeze(-1) * WEIGHTS.to(eta) * k * s.unsqueeze(-1)
    return torch.cat((whole, k), -1), torch.cat((weight.expand_as(whole), each), -1)


def off_grid(y: Tensor, step: float) -> Tensor:
    """Whether y is no multiple of the step, by more than rounding."""
    at = y / step
    return (at - at.round()).abs() > 1e3 * torch.finfo(at.dtype).eps * at.abs().clamp_min(1)


def log_cell(noise: Noise, eta: Tensor, y: Tensor, width: float) -> Tensor | None:
    """log P(y - width / 2 < Y <= y + width / 2 | eta), of the shape of y. None where no formula is known.

    Of a density from the nearer tail, so that cells far out keep their digits. Of values on a lattice of which y is one
    the sum of P(Y = k) over the cell; a k on its edge lies half in this cell and half in the next.
    """
    if noise.counts:
        return _log_sum(noise, eta, y, width)
    low, high = noise.standardized(eta, y - width / 2), noise.standardized(eta, y + width / 2)
    at_low, at_high = noise.log_tail(low), noise.log_tail(high)
    if at_low is None or at_high is None:
        return None
    near, far = torch.maximum(at_low, at_high), torch.minimum(at_low, at_high)
    one_side = near + torch.log(-torch.expm1(far - near))
    return torch.where((low < 0) & (high >= 0), torch.log1p(-at_low.exp() - at_high.exp()), one_side)


def _log_sum(noise: Noise, eta: Tensor, y: Tensor, width: float) -> Tensor:
    ratio, total = width / noise.step, -noise.nll(eta, y)
    for count in range(1, int(ratio / 2 + 1e-9) + 1):
        edge = math.log(2) if abs(count - ratio / 2) < 1e-9 else 0.0
        for k in (y - count * noise.step, y + count * noise.step):
            possible = k > -noise.step / 2
            term = torch.where(possible, -noise.nll(eta, k.clamp_min(0)) - edge, -torch.inf)
            total = torch.logaddexp(total, term)
    return total
