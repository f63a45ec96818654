from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn.functional import softplus

from noiseworks.errors import UserError
from noiseworks.noise.base import Noise

LINKS = ("log", "identity", "softplus", "clamp")
STRAIGHT_LINKS = ("identity", "clamp")
STRAIGHT = 40.0  # log(1 + exp(x)) is x above it, to float64 rounding; torch's own threshold, 20, is 1e-10 off
FLOOR = 1e-6  # the lowest rate of the clamp link


@dataclass(frozen=True, kw_only=True)
class Poisson(Noise):
    """y ~ Poisson(mu), mu = exp(eta), eta, log(1 + exp(eta)) or max(eta, 1e-6) as `link` says (D2L 3.1, ex. 8).

    nll = mu - y log mu + log y!, with log y! exact (log-gamma, not Stirling). For y that is no whole number, a
    quasi-likelihood. With the identity link a rate that is not positive has an infinite nll. The clamp is what many
    programs put there instead: below it the nll is flat, so that the row no longer says where to go.
    """

    name: ClassVar[str] = "poisson"
    scale_name: ClassVar[str | None] = None
    counts: ClassVar[bool] = True
    link: str = "log"

    def __post_init__(self) -> None:
        if self.link not in LINKS:
            raise UserError(f"noise.link={self.link} is no link of poisson noise; it has {', '.join(LINKS)}.")

    def mean(self, eta: Tensor) -> Tensor:
        if self.link == "log":
            return torch.exp(eta)
        if self.link == "clamp":
            return eta.clamp_min(FLOOR)
        return eta if self.link == "identity" else softplus(eta, threshold=STRAIGHT)

    def inverse_mean(self, mu: Tensor) -> Tensor:
        if self.link == "log":
            return torch.log(mu)
        return mu if self.link in STRAIGHT_LINKS else mu + torch.log(-torch.expm1(-mu))

    def nll(self, eta: Tensor, y: Tensor) -> Tensor:
        mu = self.mean(eta)
        y_log_mu = torch.xlogy(y, mu) if self.link in STRAIGHT_LINKS else y * self._log_mean(eta)
        nll = mu - y_log_mu + torch.lgamma(y + 1)
        return torch.where(mu > 0, nll, torch.inf) if self.link == "identity" else nll

    def score(self, eta: Tensor, y: Tensor) -> Tensor:
        return self._slope(eta) - y * self._relative_slope(eta)

    def information(self, eta: Tensor) -> Tensor:
        return self._slope(eta) * self._relative_slope(eta)

    def sample(self, eta: Tensor, generator: torch.Generator) -> Tensor:
        mu = self.mean(eta)
        self._refuse(mu < 0, mu, "the rate", "rates of at least 0")
        return torch.poisson(mu.double(), generator=generator).to(eta.dtype)  # in float32 large counts lose digits

    def cdf(self, eta: Tensor, y: Tensor) -> Tensor:
        """Gamma(floor(y) + 1, mu) / floor(y)!, the regularized upper incomplete gamma function."""
        below = torch.special.gammaincc(y.floor().clamp_min(0) + 1, self.mean(eta))
        return torch.where(y < 0, 0.0, below)

    def check_support(self, y: Tensor, what: str = "y") -> None:
        super().check_support(y, what)
        self._refuse(y < 0, y, what, "counts of at least 0")

    def _slope(self, eta: Tensor) -> Tensor:
        """d mu / d eta."""
        if self.link == "log":
            return torch.exp(eta)
        if self.link == "clamp":
            return (eta >= FLOOR).to(eta.dtype)
        return torch.ones_like(eta) if self.link == "identity" else torch.sigmoid(eta)

    def _relative_slope(self, eta: Tensor) -> Tensor:
        """d log mu / d eta; that of softplus tends to 1 where both mu and its slope underflow."""
        if self.link == "log":
            return torch.ones_like(eta)
        if self.link == "clamp":
            return self._slope(eta) / self.mean(eta)
        low = eta.clamp_min(-STRAIGHT)
        return 1 / eta if self.link == "identity" else torch.sigmoid(low) / self.mean(low)

    def _log_mean(self, eta: Tensor) -> Tensor:
        """log mu of the log and softplus links; log softplus(x) is x far below zero, where mu underflows."""
        if self.link == "log":
            return eta
        return torch.where(eta < -STRAIGHT, eta, self.mean(eta.clamp_min(-STRAIGHT)).log())
