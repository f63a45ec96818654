from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.distributions import Normal

from noiseworks.noise.base import Noise, Scale, negative_log, positive
from noiseworks.noise.scale import above_rounding, weighted_mean


@dataclass(frozen=True, kw_only=True)
class Gaussian(Noise):
    """y ~ N(eta, scale^2): the chapter's squared loss (D2L 3.1, (3.1.5) and (3.1.14)). No scale means 1."""

    name: ClassVar[str] = "gaussian"
    location_scale: ClassVar[bool] = True
    scale: Scale = None

    def __post_init__(self) -> None:
        positive(self.name, self.scale, "scale")

    @property
    def sigma(self) -> float | Tensor:
        return 1.0 if self.scale is None else self.scale

    def mean(self, eta: Tensor) -> Tensor:
        return eta

    def nll(self, eta: Tensor, y: Tensor) -> Tensor:
        return negative_log(Normal(eta, self.sigma, validate_args=False), y)

    def score(self, eta: Tensor, y: Tensor) -> Tensor:
        return eta - y if self.scale is None else (eta - y) / self.scale**2

    def information(self, eta: Tensor) -> Tensor:
        return torch.ones_like(eta) / self.sigma**2

    def sample(self, eta: Tensor, generator: torch.Generator) -> Tensor:
        return eta + self.sigma * torch.randn(eta.shape, generator=generator, dtype=eta.dtype, device=eta.device)

    def fit_scale(self, eta: Tensor, y: Tensor, weights: Tensor | None = None) -> Tensor:
        """sqrt(mean r^2): divided by n, not n - p, since it is the maximum-likelihood estimate."""
        return above_rounding(weighted_mean((y - eta).square(), weights).sqrt(), y)
