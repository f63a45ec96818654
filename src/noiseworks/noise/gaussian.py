from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from noiseworks.noise.base import Noise, Scale, above_rounding, log, positive, weighted_mean

HALF_LOG_2PI = math.log(2 * math.pi) / 2


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
        """r^2 / (2 scale^2) + log scale + log(2 pi) / 2, by hand: the losses of every minibatch come from here, and
        torch.distributions, which the tests compare with, takes three times as long."""
        if self.scale is None:
            return (y - eta).square() / 2 + HALF_LOG_2PI
        return ((y - eta) / self.scale).square() / 2 + (log(self.scale) + HALF_LOG_2PI)

    def score(self, eta: Tensor, y: Tensor) -> Tensor:
        return eta - y if self.scale is None else (eta - y) / self.scale**2

    def information(self, eta: Tensor) -> Tensor:
        return torch.ones_like(eta) / self.sigma**2

    def sample(self, eta: Tensor, generator: torch.Generator) -> Tensor:
        return eta + self.sigma * torch.randn(eta.shape, generator=generator, dtype=eta.dtype, device=eta.device)

    def fit_scale(self, eta: Tensor, y: Tensor, weights: Tensor | None = None) -> Tensor:
        """sqrt(mean r^2): divided by n, not n - p, since it is the maximum-likelihood estimate."""
        return above_rounding(weighted_mean((y - eta).square(), weights).sqrt(), y)

    def log_tail(self, u: Tensor) -> Tensor:
        return torch.special.log_ndtr(-u.abs())
