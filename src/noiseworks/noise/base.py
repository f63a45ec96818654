"""What every noise model answers: p(y | eta) for a linear predictor eta; maximum-likelihood scales, with a solver for
noise models without a formula."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from numbers import Real
from typing import ClassVar, Self

import torch
from torch import Tensor
from torch.distributions import Distribution

from noiseworks.errors import UserError

Derivatives = Callable[["Noise", Tensor, Tensor, "Tensor | None", Tensor], tuple[Tensor, Tensor]]

REACH = 16.0  # the scale is sought within exp(+-16), nine million, of the size of the residuals (a dispersion: of one)


def weighted_mean(values: Tensor, weights: Tensor | None) -> Tensor:
    """The mean over the last axis; `weights`, of the same length, need not sum to one."""
    if weights is None:
        return values.mean(-1)
    return (values * weights).sum(-1) / weights.sum(-1)


def weighted_median(values: Tensor, weights: Tensor | None = None) -> Tensor:
    """The median over the last axis, of two middle ones their mean, as in R; a row of weight w counts as w rows."""
    n = values.shape[-1]
    if weights is None:
        return (values.kthvalue((n + 1) // 2).values + values.kthvalue(n // 2 + 1).values) / 2
    ordered, order = values.sort(dim=-1)
    below = weights.expand_as(values).gather(-1, order).cumsum(-1)
    half = below[..., -1:] / 2
    at = [torch.searchsorted(below, half, side=side).clamp_max(n - 1) for side in ("left", "right")]
    return sum((ordered.gather(-1, each) for each in at), torch.zeros_like(half)).squeeze(-1) / 2


def above_rounding(scale: Tensor, y: Tensor) -> Tensor:
    """A perfect fit has scale zero; this floor, a rounding error of y, keeps its likelihood a number."""
    size = y.abs().amax(-1)
    return torch.maximum(scale, torch.finfo(y.dtype).eps * torch.where(size > 0, size, torch.ones_like(size)))


def minimize_over_log_scale(
    noise: Noise,
    eta: Tensor,
    y: Tensor,
    weights: Tensor | None = None,
    start: Tensor | None = None,
    derivatives: Derivatives | None = None,
) -> Tensor:
    """argmin over s of mean_i nll(eta_i, y_i; s), for each leading index, by Newton's method on log s.

    Newton steps are kept inside a bracket that the sign of the derivative shrinks, so the iteration cannot run away.
    eta (..., n), y broadcast to it; returns (...,). start (...,): of log s. derivatives: first and second, of the mean
    by log s; by autograd if they are not given.
    """
    if eta.device.type == "xla":  # a loop with an end that depends on the values is not for a compiler of programs
        weights, start = (None if part is None else part.cpu() for part in (weights, start))
        return minimize_over_log_scale(noise, eta.cpu(), y.cpu(), weights, start, derivatives).to(eta.device)
    eta = eta.detach()
    y = y.expand_as(eta)
    if start is None and noise.location_scale:
        left = (noise.transform(y) - eta).abs()
        typical = weighted_median(left, weights)  # the mean, of one value far off, may be far from any likely scale
        typical = torch.where(typical > 0, typical, weighted_mean(left, weights))
        start = above_rounding(typical, noise.transform(y)).log()
    if start is None:
        start = torch.zeros(eta.shape[:-1], dtype=eta.dtype, device=eta.device)
    low, high, t = start - REACH, start + REACH, start
    done = torch.zeros_like(t, dtype=torch.bool)  # each ends where it would alone, however long the others take
    for _ in range(80):
        slope, curvature = (derivatives or _derivatives)(noise, eta, y, weights, t)
        low, high = torch.where(slope < 0, t, low), torch.where(slope > 0, t, high)
        newton = t - slope / curvature.clamp_min(torch.finfo(eta.dtype).tiny)
        converged = newton == t  # a step below rounding; to bisect here would walk away from the answer again
        inside = (curvature > 0) & ((newton > low) & (newton < high) | converged)
        new = torch.where(done, t, torch.where(inside, newton, (low + high) / 2))
        done |= (new - t).abs() <= 8 * torch.finfo(eta.dtype).eps * REACH
        t = new
        if done.all():
            break
    return t.exp()


def _derivatives(noise: Noise, eta: Tensor, y: Tensor, weights: Tensor | None, t: Tensor) -> tuple[Tensor, Tensor]:
    with torch.enable_grad():
        t = t.detach().requires_grad_()
        total = weighted_mean(noise.with_scale(t.exp().unsqueeze(-1)).nll(eta, y), weights).sum()
        (slope,) = torch.autograd.grad(total, t, create_graph=True)
        (curvature,) = torch.autograd.grad(slope.sum(), t)
    return slope.detach(), curvature


Scale = float | Tensor | None


@dataclass(frozen=True, kw_only=True)
class Noise(ABC):
    """The conditional density or mass function p(y | eta), eta the linear predictor.

    `eta` has shape (..., n); `y` and a tensor-valued scale, of shape (..., 1), broadcast against it. Everything is per
    example and elementwise: means over examples are taken elsewhere, in one place.
    """

    name: ClassVar[str]
    scale_name: ClassVar[str | None] = "scale"  # the parameter that `fit_scale` estimates; None: there is none
    separable: ClassVar[bool] = True  # the best eta does not depend on the scale
    location_scale: ClassVar[bool] = False  # transform(y) = eta + scale * noise
    counts: ClassVar[bool] = False  # y is a whole number
    orthogonal: ClassVar[bool] = True  # what y says of eta and of an estimated scale is uncorrelated

    @abstractmethod
    def mean(self, eta: Tensor) -> Tensor:
        """E[y | eta]."""

    @abstractmethod
    def nll(self, eta: Tensor, y: Tensor) -> Tensor:
        """-log p(y | eta), whole: every normalizing constant is in it. Infinite where eta is out of the domain."""

    @abstractmethod
    def sample(self, eta: Tensor, generator: torch.Generator) -> Tensor:
        """One draw of y for each eta."""

    def inverse_mean(self, mu: Tensor) -> Tensor:
        """The eta whose mean is mu: `mean(inverse_mean(mu)) == mu`."""
        return mu

    def predict(self, eta: Tensor) -> Tensor:
        """What a model with this noise predicts: the mean; a quantile where that is what it is about."""
        return self.mean(eta)

    def score(self, eta: Tensor, y: Tensor) -> Tensor:
        """d nll / d eta. By autograd here; noise models with a formula override it."""
        with torch.enable_grad():
            leaf = eta.detach().requires_grad_()
            return torch.autograd.grad(self.nll(leaf, y).sum(), leaf)[0]

    def joint_derivatives(self, eta: Tensor, y: Tensor) -> tuple[Tensor, ...] | None:
        """d nll by eta and t = log scale, then d^2 nll by eta eta, eta t and t t; None where no formula is known.

        Of location-scale noise, r = transform(y) - eta, by the score s and its derivative c, which autograd finds:
        s, 1 + r s, c, r c - s and r (r c - s), since nll is t + rho(r exp(-t)).
        """
        if not self.location_scale:
            return None
        with torch.enable_grad():
            leaf = eta.detach().requires_grad_()
            score = self.score(leaf, y)
            if not score.requires_grad:  # found by autograd, which keeps no graph
                return None
            (curvature,) = torch.autograd.grad(score.sum(), leaf)
        score, left = score.detach(), self.transform(y) - eta.detach()
        mixed = left * curvature - score
        return score, 1 + left * score, curvature, mixed, left * mixed

    def information(self, eta: Tensor) -> Tensor | None:
        """Fisher information about eta in one example, E[score^2] at that eta; None where no formula is known."""
        return None

    def cdf(self, eta: Tensor, y: Tensor) -> Tensor | None:
        """P(Y <= y | eta); None where no formula is known."""
        u = self.standardized(eta, y)
        tail = self.log_tail(u) if self.location_scale else None
        return None if tail is None else torch.where(u < 0, tail.exp(), -torch.expm1(tail))

    def log_tail(self, u: Tensor) -> Tensor | None:
        """Of location-scale noise: log P(U > u) for u >= 0, log P(U <= u) for u < 0, U = (transform(Y) - eta) / scale:
        both tails keep their digits. None where no formula is known."""
        return None

    def standardized(self, eta: Tensor, y: Tensor) -> Tensor:
        """(transform(y) - eta) / scale."""
        return (self.transform(y) - eta) / (1.0 if self.scale_value is None else self.scale_value)

    def check_support(self, y: Tensor, what: str = "y") -> None:
        """Raise a UserError that names `what`, the value and its row, from 1, if this noise cannot give the value."""
        self._refuse(~torch.isfinite(y), y, what, "finite values")

    def transform(self, y: Tensor) -> Tensor:
        """y on the scale on which a location-scale noise is additive."""
        return y

    def inverse_transform(self, z: Tensor) -> Tensor:
        return z

    def fit_scale(self, eta: Tensor, y: Tensor, weights: Tensor | None = None) -> Tensor | None:
        """The maximum-likelihood scale given eta, over the last axis; None where the noise has no scale."""
        if self.scale_name is None:
            return None
        return minimize_over_log_scale(self, eta, y, weights)

    @property
    def step(self) -> float:
        """Of counts: the distance of neighbouring values of y."""
        return 1.0

    @property
    def quantile_level(self) -> float | None:
        """tau, where the best eta is a quantile regression of transform(y); None where it is not."""
        return None

    @property
    def by_likelihood(self) -> bool:
        """Whether an exact answer is where the likelihood is largest; else it has no AIC and no BIC."""
        return True

    @property
    def scale_value(self) -> float | Tensor | None:
        """The scale as it was given; None: not set."""
        return None if self.scale_name is None else getattr(self, self.scale_name)

    @property
    def estimates_scale(self) -> bool:
        return self.scale_name is not None and self.scale_value is None

    @property
    def joint(self) -> bool:
        """Whether eta and the scale are found by one likelihood, neither without the other."""
        return self.estimates_scale and not self.separable and self.by_likelihood

    def with_scale(self, value: Scale) -> Self:
        return self if self.scale_name is None else replace(self, **{self.scale_name: value})

    def _refuse(self, bad: Tensor, y: Tensor, what: str, needs: str) -> None:
        if bad.any():
            row = int(bad.reshape(-1).nonzero()[0])
            value = y.reshape(-1)[row].item()
            raise UserError(f"{self.name} noise needs {needs}; {what} is {value:g} in row {row + 1}.")


def positive(name: str, value: Scale, what: str, may_be_unset: bool = True) -> None:
    """Refuse a parameter of a noise model that is not a number above zero."""
    shown: object = value
    if isinstance(value, Tensor):
        good = (value > 0) & (value < float("inf"))
        ok = bool(good.all())
        shown = value if ok else f"{value[~good][0].item():g} (in the units and the precision of the fit)"
    elif value is None:
        ok = may_be_unset
    else:
        ok = isinstance(value, Real) and 0 < value < float("inf")
    if not ok:
        raise UserError(f"noise.{what}={shown} is no {what} for {name} noise; it must be a number above 0.")


def negative_log(distribution: Distribution, y: Tensor) -> Tensor:
    return -distribution.log_prob(y)


def log(value: float | Tensor) -> float | Tensor:
    return torch.log(value) if isinstance(value, Tensor) else math.log(value)
