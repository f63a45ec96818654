from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from scipy.special import stdtr
from torch import Tensor

from noiseworks.noise.base import Noise, Scale, log, positive


@dataclass(frozen=True, kw_only=True)
class StudentT(Noise):
    """(y - eta) / scale ~ Student's t with `df` degrees of freedom, given; the likelihood of eta is not convex."""

    name: ClassVar[str] = "student_t"
    location_scale: ClassVar[bool] = True
    separable: ClassVar[bool] = False
    df: float = 4.0
    scale: Scale = None

    def __post_init__(self) -> None:
        positive(self.name, self.scale, "scale")
        positive(self.name, self.df, "df", may_be_unset=False)

    @property
    def s(self) -> float | Tensor:
        return 1.0 if self.scale is None else self.scale

    def mean(self, eta: Tensor) -> Tensor:
        """eta; for df <= 1, where no mean exists, the centre of symmetry."""
        return eta

    @cached_property
    def constant(self) -> float:
        """log(sqrt(df pi) Gamma(df / 2) / Gamma((df + 1) / 2))."""
        return math.lgamma(self.df / 2) - math.lgamma((self.df + 1) / 2) + math.log(self.df * math.pi) / 2

    def nll(self, eta: Tensor, y: Tensor) -> Tensor:
        """(df + 1) / 2 log(1 + u^2 / df) + log scale + constant, u = (y - eta) / scale, by hand: torch.distributions
        takes the logarithm of a gamma function of each row."""
        u = (y - eta) / self.s
        return (self.df + 1) / 2 * torch.log1p(u.square() / self.df) + (log(self.s) + self.constant)

    def score(self, eta: Tensor, y: Tensor) -> Tensor:
        r = eta - y
        return (self.df + 1) * r / (self.df * self.s**2 + r.square())

    def information(self, eta: Tensor) -> Tensor:
        """(df + 1) / ((df + 3) scale^2)."""
        return torch.ones_like(eta) * (self.df + 1) / ((self.df + 3) * self.s**2)

    def sample(self, eta: Tensor, generator: torch.Generator) -> Tensor:
        """A normal variable over sqrt(chi^2 / df); chi^2 / 2 is a gamma variable of shape df / 2."""
        normal = torch.randn(eta.shape, generator=generator, dtype=eta.dtype, device=eta.device)
        half_chi2 = torch._standard_gamma(torch.full_like(eta, self.df / 2), generator=generator)
        return eta + self.s * normal * math.sqrt(self.df / 2) / half_chi2.sqrt()

    def log_tail(self, u: Tensor) -> Tensor:
        tail = torch.as_tensor(stdtr(self.df, -u.abs().double().cpu().numpy()))
        return tail.log().to(u)
