from __future__ import annotations

from dataclasses import dataclass
from types import EllipsisType
from typing import ClassVar

import torch
from scipy.special import betaincc
from torch import Tensor

from noiseworks.noise.base import Noise, Scale, positive

MANY = 1000  # rows from which it pays to look for equal counts
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
        counts, at = few_counts(y)
        one = alpha.numel() == 1
        rising = _log_rising(counts, 1 / alpha.reshape(()))[at] if one else _log_rising(y, 1 / alpha)
        return (y + 1 / alpha) * log_spread - y * eta + torch.lgamma(counts + 1)[at] - rising

    def score(self, eta: Tensor, y: Tensor) -> Tensor:
        return self.information(eta) - y / (1 + self.alpha * torch.exp(eta))

    def information(self, eta: Tensor) -> Tensor:
        """mu / (1 + dispersion mu), written so that it stays a number where mu overflows."""
        return 1 / (torch.exp(-eta) + self.alpha)

    def joint_derivatives(self, eta: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        """With q = mu / (mu + r); what depends on y and r alone by autograd.

        by eta: r q - y (1 - q), (y + r) q (1 - q); by t = -log r: y q + r q - r log(1 + mu / r) - G',
        r log(1 + mu / r) - 2 r q + (y + r) q (1 - q) - G'', by both (y + r) q (1 - q) - r q; G(t) is `_log_rising`.
        """
        alpha = torch.as_tensor(self.alpha, dtype=eta.dtype, device=eta.device)
        one = alpha.numel() == 1
        t = (alpha.reshape(()) if one else alpha).log()
        x, r = eta + t, torch.exp(-t)
        q, rest = torch.sigmoid(x), torch.sigmoid(-x)
        spread, pull, bent = r * torch.nn.functional.softplus(x, threshold=40.0), r * q, (y + r) * q * rest
        counts, at = few_counts(y) if one else (y, ...)
        rising, curve = (part[at] for part in _rising_derivatives(counts, t))
        return pull - y * rest, y * q + pull - spread - rising, bent, bent - pull, spread - 2 * pull + bent - curve

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
        below = torch.as_tensor(betaincc(*(argument.cpu().numpy() for argument in arguments))).to(eta)
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
    large = r.clamp_min(30.0) + torch.zeros_like(y)  # of y's shape: torch's powers of one number round differently
    series = (y + large - 0.5) * torch.log1p(y / large) - y
    for k, coefficient in enumerate(STIRLING):
        series = series + coefficient * ((y + large) ** -(2 * k + 1) - large ** -(2 * k + 1))
    return torch.where(r > 30, series, direct)


def _rising_derivatives(y: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """Of _log_rising(y, exp(-t)) by t, the first and the second."""
    with torch.enable_grad():
        leaf = t.detach().expand_as(y).clone().requires_grad_()
        (slope,) = torch.autograd.grad(_log_rising(y, torch.exp(-leaf)).sum(), leaf, create_graph=True)
        (curve,) = torch.autograd.grad(slope.sum(), leaf)
    return slope.detach(), curve


def few_counts(y: Tensor) -> tuple[Tensor, Tensor | EllipsisType]:
    """counts, at with counts[at] = y, for functions that cost more than to look up their values: 0, 1, ... max y where
    those are fewer than the rows; else y itself, and all of it."""
    if y.numel() >= MANY and y.device.type == "cpu":
        top = y.max().item()
        if top < y.numel() / 4:
            at = y.long()
            if bool((y >= 0).all() and (at == y).all()):
                return torch.arange(int(top) + 1, dtype=y.dtype), at
    return y, ...
