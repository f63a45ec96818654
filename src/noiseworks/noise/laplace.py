from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from noiseworks.noise.base import Noise, Scale, above_rounding, log, positive, weighted_mean


@dataclass(frozen=True, kw_only=True)
class Laplace(Noise):
    """p(y | eta) = exp(-|y - eta| / scale) / (2 scale): the absolute loss (D2L 3.1, ex. 5). No scale means 1."""

    name: ClassVar[str] = "laplace"
    location_scale: ClassVar[bool] = True
    scale: Scale = None

    def __post_init__(self) -> None:
        positive(self.name, self.scale, "scale")

    @property
    def b(self) -> float | Tensor:
        return 1.0 if self.scale is None else self.scale

    @property
    def quantile_level(self) -> float:
        return 0.5

    def mean(self, eta: Tensor) -> Tensor:
        return eta

    def nll(self, eta: Tensor, y: Tensor) -> Tensor:
        if self.scale is None:
            return (y - eta).abs() + math.log(2)
        return (y - eta).abs() / self.scale + (log(self.scale) + math.log(2))

    def score(self, eta: Tensor, y: Tensor) -> Tensor:
        """sign(eta - y) / scale; 0, one of the subgradients, at eta = y."""
        sign = torch.sign(eta - y)
        return sign if self.scale is None else sign / self.scale

    def information(self, eta: Tensor) -> Tensor:
        return torch.ones_like(eta) / self.b**2

    def sample(self, eta: Tensor, generator: torch.Generator) -> Tensor:
        """The difference of two exponential variables is a Laplace variable."""
        positive_part = torch.empty_like(eta).exponential_(generator=generator)
        negative_part = torch.empty_like(eta).exponential_(generator=generator)
        return eta + self.b * (positive_part - negative_part)

    def fit_scale(self, eta: Tensor, y: Tensor, weights: Tensor | None = None) -> Tensor:
        """mean |r|."""
        return above_rounding(weighted_mean((y - eta).abs(), weights), y)

    def log_tail(self, u: Tensor) -> Tensor:
        return -u.abs() - math.log(2)
