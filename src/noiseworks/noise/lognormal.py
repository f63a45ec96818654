from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from noiseworks.noise.gaussian import Gaussian


@dataclass(frozen=True, kw_only=True)
class LogNormal(Gaussian):
    """log y ~ N(eta, scale^2): prices (D2L 3.1, ex. 7.2). The density is that of y, so `nll` contains log y.

    The mean of y is exp(eta + scale^2 / 2); exp(eta) is only its median.
    """

    name: ClassVar[str] = "lognormal"

    def mean(self, eta: Tensor) -> Tensor:
        return torch.exp(eta + self.sigma**2 / 2)

    def inverse_mean(self, mu: Tensor) -> Tensor:
        return torch.log(mu) - self.sigma**2 / 2

    def nll(self, eta: Tensor, y: Tensor) -> Tensor:
        log_y = torch.log(y)
        return super().nll(eta, log_y) + log_y

    def score(self, eta: Tensor, y: Tensor) -> Tensor:
        return super().score(eta, torch.log(y))

    def sample(self, eta: Tensor, generator: torch.Generator) -> Tensor:
        return super().sample(eta, generator).exp()

    def check_support(self, y: Tensor, what: str = "y") -> None:
        super().check_support(y, what)
        self._refuse(y <= 0, y, what, "values above 0")

    def transform(self, y: Tensor) -> Tensor:
        return torch.log(y)

    def inverse_transform(self, z: Tensor) -> Tensor:
        return torch.exp(z)

    def standardized(self, eta: Tensor, y: Tensor) -> Tensor:
        return super().standardized(eta, y.clamp_min(0))  # there is nothing below 0

    def fit_scale(self, eta: Tensor, y: Tensor, weights: Tensor | None = None) -> Tensor:
        """sqrt(mean (log y - eta)^2)."""
        return super().fit_scale(eta, torch.log(y), weights)
