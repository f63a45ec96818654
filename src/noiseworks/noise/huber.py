from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from noiseworks.errors import UserError
from noiseworks.noise.base import Noise, Scale, above_rounding, minimize_over_log_scale, positive, weighted_median

ESTIMATORS = ("mad", "proposal2", "likelihood")
NORMAL_MEDIAN = 0.6745  # of |u| for a standard normal u, with the digits of R's rlm
STEPS = 500


@dataclass(frozen=True, kw_only=True)
class Huber(Noise):
    """p(y | eta) = exp(-rho(u)) / (Z scale), u = (y - eta) / scale: normal in the middle, Laplace in the tails.

    rho(u) = u^2 / 2 for |u| <= delta, else delta |u| - delta^2 / 2 (Huber, "Robust estimation of a location parameter",
    1964: the least favourable distribution among contaminated normals). `delta` counts in units of the scale.

    scale_estimator: how a scale that is not given is found, as the residuals r stand at the answer. mad: median |r| /
    0.6745, as R's rlm; proposal2: sum min(r / scale, delta)^2 = (n - p) E min(|u|, delta)^2, u standard normal (Huber
    1964); likelihood: jointly with the coefficients, and then a single value far off draws them after itself.
    """

    name: ClassVar[str] = "huber"
    location_scale: ClassVar[bool] = True
    separable: ClassVar[bool] = False
    delta: float = 1.345
    scale: Scale = None
    scale_estimator: str = "mad"

    def __post_init__(self) -> None:
        positive(self.name, self.scale, "scale")
        positive(self.name, self.delta, "delta", may_be_unset=False)
        if self.scale_estimator not in ESTIMATORS:
            raise UserError(
                f"noise.scale_estimator={self.scale_estimator} is unknown; it must be one of {', '.join(ESTIMATORS)}."
            )

    @property
    def by_likelihood(self) -> bool:
        return self.scale is not None or self.scale_estimator == "likelihood"

    @property
    def s(self) -> float | Tensor:
        return 1.0 if self.scale is None else self.scale

    @cached_property
    def middle(self) -> float:
        """Integral of exp(-rho) over [-delta, delta]: sqrt(2 pi) (2 Phi(delta) - 1)."""
        return math.sqrt(2 * math.pi) * math.erf(self.delta / math.sqrt(2))

    @cached_property
    def tails(self) -> float:
        """Integral of exp(-rho) over the rest: 2 exp(-delta^2 / 2) / delta."""
        return 2 * math.exp(-(self.delta**2) / 2) / self.delta

    def mean(self, eta: Tensor) -> Tensor:
        return eta

    def nll(self, eta: Tensor, y: Tensor) -> Tensor:
        size = ((y - eta) / self.s).abs()
        inner = size.clamp_max(self.delta)
        rho = inner * (size - inner / 2)
        return rho + math.log(self.middle + self.tails) + torch.log(torch.as_tensor(self.s, dtype=eta.dtype))

    def score(self, eta: Tensor, y: Tensor) -> Tensor:
        return ((eta - y) / self.s).clamp(-self.delta, self.delta) / self.s

    def information(self, eta: Tensor) -> Tensor:
        """P(|u| <= delta) / scale^2: the mean curvature."""
        return torch.ones_like(eta) * self.middle / (self.middle + self.tails) / self.s**2

    def fit_scale(self, eta: Tensor, y: Tensor, weights: Tensor | None = None) -> Tensor:
        if self.scale_estimator == "likelihood":
            return minimize_over_log_scale(self, eta, y, weights)
        return above_rounding(self.robust_scale((y - eta).abs(), weights), y)

    def robust_scale(self, size: Tensor, weights: Tensor | None = None, fitted: int = 0) -> Tensor:
        """By `scale_estimator`, over the last axis of the sizes of residuals; zero where more than half of them are.
        fitted: how many coefficients they have taken up, which proposal2 counts."""
        scale = weighted_median(size, weights) / NORMAL_MEDIAN
        if self.scale_estimator == "mad":
            return scale
        w = torch.ones_like(size) if weights is None else weights / weights.mean(-1, keepdim=True)
        free = (size.shape[-1] - fitted) * self.normal_square
        for _ in range(STEPS):  # from above or below, it comes nearer with every step
            last, capped = scale, torch.minimum(size, self.delta * scale.unsqueeze(-1))
            scale = ((w * capped.square()).sum(-1) / free).sqrt()
            if ((scale - last).abs() <= 4 * torch.finfo(size.dtype).eps * scale).all():
                break
        return scale

    @property
    def normal_square(self) -> float:
        """E min(|u|, delta)^2 for a standard normal u."""
        inside = math.erf(self.delta / math.sqrt(2))
        density = math.exp(-(self.delta**2) / 2) / math.sqrt(2 * math.pi)
        return inside + self.delta**2 * (1 - inside) - 2 * self.delta * density

    def sample(self, eta: Tensor, generator: torch.Generator) -> Tensor:
        """Inverts the distribution function of |u| at a uniform variable and draws the sign."""
        mass, side = torch.rand((2, *eta.shape), generator=generator, dtype=eta.dtype, device=eta.device)
        mass = mass * (self.middle + self.tails)
        inside = torch.erfinv((mass / math.sqrt(2 * math.pi)).clamp_max(math.erf(self.delta / math.sqrt(2))))
        left = ((self.middle + self.tails - mass) / self.tails).clamp(torch.finfo(eta.dtype).tiny, 1)
        size = torch.where(mass < self.middle, inside * math.sqrt(2), self.delta - left.log() / self.delta)
        sign = torch.where(side < 0.5, -1.0, 1.0)
        return eta + self.s * sign.to(eta.dtype) * size

    def log_tail(self, u: Tensor) -> Tensor:
        """Half of `tails`, fallen by exp(-delta (|u| - delta)), or with what is left of the normal middle."""
        size = u.abs()
        far = math.log(self.tails / 2) - self.delta * (size - self.delta)
        near = self.tails / 2 + math.sqrt(2 * math.pi) * (torch.special.ndtr(-size) - _below(-self.delta))
        return torch.where(size > self.delta, far, near.log()) - math.log(self.middle + self.tails)


def _below(x: float) -> float:
    """The standard normal distribution function."""
    return math.erfc(-x / math.sqrt(2)) / 2
