from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from scipy.special import betaincc
from torch import Tensor

from noiseworks.noise.base import Noise, Scale, positive

STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188)


@dataclass(frozen=True, kw_only=True)
class NegativeBinomial(Noise):
    """Counts of mean mu = exp(eta) and variance mu + dispersion mu^2 (the "NB2" of the literature).

    With r = 1 / dispersion: nll = log Gamma(r) + log y! - log Gamma(y + r) + (y + r) log(1 + mu / r) - y log(mu / r).
    Tends to Poisson as the dispersion tends to 0. No dispersion means 1.
    """

    name: ClassVar[str] = "negative_binomial"
    scale_name: ClassVar[str | None] = "dispersion"
    separable: ClassVar[bool] = False
    counts: ClassVar[bool] = True
    dispersion: Scale = None

    def __post_init__(self) -> None:
        positive(self.name, self.dispersion, "dispersion")

    @property
    def alpha(self) -> float | Tensor:
        return 1.0 if self.dispersion is None else self.dispersion

    def mean(self, eta: Tensor) -> Tensor:
        return torch.exp(eta)

    def inverse_mean(self, mu: Tensor) -> Tensor:
        return torch.log(mu)

    def nll(self, eta: Tensor, y: Tensor) -> Tensor:
        alpha = torch.as_tensor(self.alpha, dtype=eta.dtype, device=eta.device)
        log_spread = torch.nn.functional.softplus(eta + torch.log(alpha), threshold=40.0)  # log(1 + mu / r)
        return (y + 1 / alpha) * log_spread - y * eta + torch.lgamma(y + 1) - _log_rising(y, 1 / alpha)

    def score(self, eta: Tensor, y: Tensor) -> Tensor:
        return self.information(eta) - y / (1 + self.alpha * torch.exp(eta))

    def information(self, eta: Tensor) -> Tensor:
        """mu / (1 + dispersion mu), written so that it stays a number where mu overflows."""
        return 1 / (torch.exp(-eta) + self.alpha)

    def sample(self, eta: Tensor, generator: torch.Generator) -> Tensor:
        """Poisson with a rate that is a gamma variable of mean mu and shape 1 / dispersion."""
        alpha = torch.as_tensor(self.alpha, dtype=torch.float64, device=eta.device)
        gamma = torch._standard_gamma((1 / alpha).expand(eta.shape).contiguous(), generator=generator)
        return torch.poisson(gamma * alpha * torch.exp(eta.double()), generator=generator).to(eta.dtype)

    def cdf(self, eta: Tensor, y: Tensor) -> Tensor:
        """1 - I_q(floor(y) + 1, 1 / dispersion), q = dispersion mu / (1 + dispersion mu), the regularized incomplete
        beta function."""
        alpha = torch.as_tensor(self.alpha, dtype=torch.float64, device=eta.device)
        q = torch.sigmoid(eta.double() + alpha.log())
        arguments = torch.broadcast_tensors(y.double().floor().clamp_min(0) + 1, 1 / alpha, q)
        below = torch.from_numpy(betaincc(*(argument.cpu().numpy() for argument in arguments))).to(eta)
        return torch.where(y < 0, 0.0, below)

    def check_support(self, y: Tensor, what: str = "y") -> None:
        super().check_support(y, what)
        self._refuse(y < 0, y, what, "counts of at least 0")


def _log_rising(y: Tensor, r: Tensor) -> Tensor:
    """log(Gamma(y + r) / (Gamma(r) r^y)), without the cancellation that the two log-gammas have for large r.

    For r > 30 by Stirling's series for both, whose large terms cancel on paper: (y + r - 1/2) log(1 + y / r) - y + ....
    """
    small = r.clamp_max(30.0)
    direct = torch.lgamma(y + small) - torch.lgamma(small) - torch.xlogy(y, small)
    large = r.clamp_min(30.0)
    series = (y + large - 0.5) * torch.log1p(y / large) - y
    for k, coefficient in enumerate(STIRLING):
        series = series + coefficient * ((y + large) ** -(2 * k + 1) - large ** -(2 * k + 1))
    return torch.where(r > 30, series, direct)
