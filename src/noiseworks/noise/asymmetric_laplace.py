from __future__ import annotations

import math
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import torch
from torch import Tensor

from noiseworks.errors import UserError
from noiseworks.noise.base import Noise, Scale, above_rounding, log, positive, weighted_mean


@dataclass(frozen=True, kw_only=True)
class AsymmetricLaplace(Noise):
    """p(y | eta) = tau (1 - tau) / scale exp(-rho_tau((y - eta) / scale)), rho_tau(t) = t (tau - [t < 0]).

    eta is the tau-quantile of y, and maximum likelihood is quantile regression (Koenker & Machado, "Goodness of fit and
    related inference processes for quantile regression", 1999; Yu & Moyeed, "Bayesian quantile regression", 2001).
    tau = 1/2 is Laplace noise of twice the scale. No scale means 1.
    """

    name: ClassVar[str] = "asymmetric_laplace"
    location_scale: ClassVar[bool] = True
    tau: float = 0.5
    scale: Scale = None

    def __post_init__(self) -> None:
        positive(self.name, self.scale, "scale")
        if isinstance(self.tau, bool) or not isinstance(self.tau, Real) or not 0 < self.tau < 1:
            raise UserError(f"noise.tau={self.tau} is no quantile level; it must be a number above 0 and below 1.")

    @property
    def s(self) -> float | Tensor:
        return 1.0 if self.scale is None else self.scale

    @property
    def quantile_level(self) -> float:
        return self.tau

    def mean(self, eta: Tensor) -> Tensor:
        """eta + scale (1 - 2 tau) / (tau (1 - tau)); `predict` gives the quantile."""
        return eta + self._skew

    def inverse_mean(self, mu: Tensor) -> Tensor:
        return mu - self._skew

    def predict(self, eta: Tensor) -> Tensor:
        return eta

    def nll(self, eta: Tensor, y: Tensor) -> Tensor:
        constant = -math.log(self.tau * (1 - self.tau))
        if self.scale is None:
            return self._rho(y - eta) + constant
        return self._rho(y - eta) / self.scale + (log(self.scale) + constant)

    def score(self, eta: Tensor, y: Tensor) -> Tensor:
        """-(tau - [y < eta]) / scale; 1/2 - tau, the middle of the subgradients, at eta = y."""
        slope = torch.sign(eta - y) / 2 + (0.5 - self.tau)
        return slope if self.scale is None else slope / self.scale

    def information(self, eta: Tensor) -> Tensor:
        return torch.ones_like(eta) * self.tau * (1 - self.tau) / self.s**2

    def sample(self, eta: Tensor, generator: torch.Generator) -> Tensor:
        """The difference of exponential variables of rates tau and 1 - tau."""
        above = torch.empty_like(eta).exponential_(generator=generator) / self.tau
        below = torch.empty_like(eta).exponential_(generator=generator) / (1 - self.tau)
        return eta + self.s * (above - below)

    def fit_scale(self, eta: Tensor, y: Tensor, weights: Tensor | None = None) -> Tensor:
        """mean rho_tau(r)."""
        return above_rounding(weighted_mean(self._rho(y - eta), weights), y)

    def log_tail(self, u: Tensor) -> Tensor:
        """P(U > u) = (1 - tau) exp(-tau u), P(U <= -u) = tau exp(-(1 - tau) u)."""
        share = torch.where(u < 0, self.tau, torch.full_like(u, 1 - self.tau))
        return share.log() - self._rho(u)

    def _rho(self, t: Tensor) -> Tensor:
        return torch.maximum(self.tau * t, (self.tau - 1) * t)

    @property
    def _skew(self) -> float | Tensor:
        return self.s * ((1 - 2 * self.tau) / (self.tau * (1 - self.tau)))
