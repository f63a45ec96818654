from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from noiseworks.errors import UserError
from noiseworks.noise.base import Noise, Scale, log, positive
from noiseworks.noise.gaussian import HALF_LOG_2PI


@dataclass(frozen=True, kw_only=True)
class Contaminated(Noise):
    """y - eta ~ (1 - share) N(0, scale^2) + share N(0, (ratio scale)^2): a few labels are much worse than the others.

    Tukey, "A survey of sampling from contaminated distributions", 1960. Variance scale^2 (1 + share (ratio^2 - 1)). The
    likelihood of eta is not convex.
    """

    name: ClassVar[str] = "contaminated"
    location_scale: ClassVar[bool] = True
    separable: ClassVar[bool] = False
    share: float = 0.1
    ratio: float = 3.0
    scale: Scale = None

    def __post_init__(self) -> None:
        positive(self.name, self.scale, "scale")
        positive(self.name, self.ratio, "ratio", may_be_unset=False)
        positive(self.name, self.share, "share", may_be_unset=False)
        if self.share >= 1:
            raise UserError(
                f"noise.share={self.share} is no share for contaminated noise; it must be above 0 and below 1."
            )

    @property
    def s(self) -> float | Tensor:
        return 1.0 if self.scale is None else self.scale

    def mean(self, eta: Tensor) -> Tensor:
        return eta

    def nll(self, eta: Tensor, y: Tensor) -> Tensor:
        good, bad = self._log_parts(((y - eta) / self.s).square() / 2)
        return HALF_LOG_2PI + log(self.s) - torch.logaddexp(good, bad)

    def score(self, eta: Tensor, y: Tensor) -> Tensor:
        """r / scale^2 for an example that is surely a good one, r / (ratio scale)^2 for one that is surely bad."""
        r = (eta - y) / self.s
        good, bad = self._log_parts(r.square() / 2)
        is_bad = torch.sigmoid(bad - good)
        return r / self.s * (1 - is_bad + is_bad / self.ratio**2)

    def _log_parts(self, half_square: Tensor) -> tuple[Tensor, Tensor]:
        """log of both terms of the density, times scale sqrt(2 pi)."""
        good = math.log1p(-self.share) - half_square
        return good, math.log(self.share / self.ratio) - half_square / self.ratio**2

    @cached_property
    def unit_information(self) -> float:
        """E[score^2] at scale 1, by the trapezoidal rule in t, u = sinh t, which is exact to rounding for a smooth
        integrand that dies out."""
        t = torch.linspace(0, math.asinh(40 * max(1, self.ratio)), 4001, dtype=torch.float64)
        u, zero, unit = t.sinh(), torch.zeros_like(t), replace(self, scale=None)
        values = unit.score(zero, u).square() * unit.nll(zero, u).neg().exp() * t.cosh()
        return float(2 * torch.trapezoid(values, t))

    def information(self, eta: Tensor) -> Tensor:
        return torch.ones_like(eta) * self.unit_information / self.s**2

    def sample(self, eta: Tensor, generator: torch.Generator) -> Tensor:
        normal = torch.randn(eta.shape, generator=generator, dtype=eta.dtype, device=eta.device)
        chance = torch.rand(eta.shape, generator=generator, dtype=eta.dtype, device=eta.device)
        return eta + self.s * normal * torch.where(chance < self.share, self.ratio, 1.0).to(eta.dtype)

    def log_tail(self, u: Tensor) -> Tensor:
        size = u.abs()
        good = torch.special.log_ndtr(-size) + math.log1p(-self.share)
        return torch.logaddexp(good, torch.special.log_ndtr(-size / self.ratio) + math.log(self.share))
