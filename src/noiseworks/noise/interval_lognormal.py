from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from noiseworks.noise.base import Noise, Scale, above_rounding, minimize_over_log_scale, positive, weighted_mean
from noiseworks.noise.gaussian import HALF_LOG_2PI
from noiseworks.noise.lattice import expectation_points, off_grid

NODES, WEIGHTS = (torch.from_numpy(part) for part in np.polynomial.legendre.leggauss(12))
NODES, WEIGHTS = NODES[6:], WEIGHTS[6:]  # on [0, 1], of an even function
NARROW = 0.5  # half a cell, in scales, below which its probability is integrated
STEEP = 2.0  # and the change of the exponent within it
SOME = 1024  # predictors whose sums are taken at once


@dataclass(frozen=True, kw_only=True)
class IntervalLogNormal(Noise):
    """A LogNormal price rounded to the nearest multiple of `tick` (D2L 3.1, ex. 7.3): y = 0, tick, 2 tick, ...

    nll = -log(Phi(b) - Phi(a)), b = (log(y + tick / 2) - eta) / scale, a = (log(y - tick / 2) - eta) / scale, and
    a = -infinity at y = 0. Tends to the nll of LogNormal minus log tick as the tick tends to 0. No scale means 1.
    """

    name: ClassVar[str] = "interval_lognormal"
    separable: ClassVar[bool] = False
    counts: ClassVar[bool] = True
    orthogonal: ClassVar[bool] = False
    tick: float = 1.0
    scale: Scale = None

    def __post_init__(self) -> None:
        positive(self.name, self.scale, "scale")
        positive(self.name, self.tick, "tick", may_be_unset=False)

    @property
    def s(self) -> float | Tensor:
        return 1.0 if self.scale is None else self.scale

    @property
    def step(self) -> float:
        return self.tick

    def mean(self, eta: Tensor) -> Tensor:
        """sum y P(y): that of the price, exp(eta + scale^2 / 2), to within half a tick."""
        return self._of_few(self._mean, eta)

    def inverse_mean(self, mu: Tensor) -> Tensor:
        """Newton's method for log mean(eta) = log mu, within the bracket of what was seen."""
        return self._of_few(self._inverse_mean, mu)

    def information(self, eta: Tensor) -> Tensor:
        """E[score^2]: less than 1 / scale^2, by what rounding loses."""
        return self._of_few(self._information, eta)

    def _of_few(self, function: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """function(x); with one scale for all, once for each different x, and for some at a time: the sums are long."""
        shape = torch.broadcast_shapes(x.shape, self.s.shape) if isinstance(self.s, Tensor) else x.shape
        if isinstance(self.s, Tensor) and self.s.numel() > 1:
            return function(x)
        few, at = x.detach().reshape(-1).unique(return_inverse=True)
        return torch.cat([function(part).reshape(-1) for part in few.split(SOME)])[at].reshape(shape)

    def _mean(self, eta: Tensor) -> Tensor:
        y, probability = self._lattice(eta)
        return (y * probability).sum(-1).to(eta.dtype)

    def _inverse_mean(self, mu: Tensor) -> Tensor:
        goal = mu.double()
        s = torch.as_tensor(self.s, dtype=torch.float64)
        goal, s = torch.broadcast_tensors(goal, s)
        rare = math.log(self.tick / 2) + s * torch.special.ndtri((goal / self.tick).clamp(1e-300, 0.5))
        eta = torch.where(goal < self.tick / 2, rare, goal.log() - s.square() / 2)
        low, high = torch.full_like(eta, -torch.inf), torch.full_like(eta, torch.inf)
        for _ in range(80):
            y, probability = self._lattice(eta)
            mean = (y * probability).sum(-1)
            slope = -(y * probability * self.score(eta.unsqueeze(-1), y, s.unsqueeze(-1))).sum(-1) / mean
            low, high = torch.where(mean < goal, eta, low), torch.where(mean < goal, high, eta)
            step = ((goal / mean).log() / slope.clamp_min(1e-3)).clamp(-10, 10)
            new = torch.where((eta + step > low) & (eta + step < high), eta + step, (low + high) / 2)
            new = torch.where(torch.isfinite(new) & (mean != goal), new, eta)
            done = (new - eta).abs() <= 1e-13 * (1 + eta.abs())
            eta = new
            if done.all():
                break
        return eta.to(mu.dtype)

    def nll(self, eta: Tensor, y: Tensor) -> Tensor:
        return -_log_cell(*self._edges(eta, y, self.s))

    def score(self, eta: Tensor, y: Tensor, s: Scale = None) -> Tensor:
        """(phi(b) - phi(a)) / (scale (Phi(b) - Phi(a)))."""
        s = self.s if s is None else s
        return _slopes(*self._edges(eta, y, s))[0] / s

    def joint_derivatives(self, eta: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        """With F(m, h) = log(Phi(m + h) - Phi(m - h)) and g = h F_h: F_mm = -m F_m - g - F_m^2,
        h F_mh = -g (m + F_m) - h^2 F_m, h^2 F_hh = -h^2 (m F_m + g) - g^2; dm = -deta / scale - m dt, dh = -h dt."""
        m, h, first = self._edges(eta, y, self.s)
        F_m, lean, g = _slopes(m, h, first)
        F_mm = -F_m * lean - g
        mixed = -g * lean - h.square() * F_m
        F_hh = -h.square() * (m * F_m + g) - g.square()
        by_t = m * F_m + g
        by_eta_t = -(m * F_mm + mixed + F_m) / self.s
        by_t_t = -by_t - m * (m * F_mm + 2 * mixed) - F_hh
        return F_m / self.s, by_t, -F_mm / self.s**2, by_eta_t, by_t_t

    def _information(self, eta: Tensor) -> Tensor:
        y, probability = self._lattice(eta)
        scale = self.s.double().unsqueeze(-1) if isinstance(self.s, Tensor) else self.s
        score = self.score(eta.double().unsqueeze(-1), y, scale)
        found = (score.square() * probability).sum(-1).to(eta.dtype)
        return found.clamp_min(torch.finfo(eta.dtype).tiny)  # none, where the price is certain: who divides gets 0

    def fit_scale(self, eta: Tensor, y: Tensor, weights: Tensor | None = None) -> Tensor:
        """From the root mean square of log y - eta, with half a tick for a price of 0."""
        size = torch.log(y.clamp_min(self.tick / 2))
        start = above_rounding(weighted_mean((size - eta).square(), weights).sqrt(), size).log()
        return minimize_over_log_scale(self, eta, y, weights, start, _by_log_scale)

    def sample(self, eta: Tensor, generator: torch.Generator) -> Tensor:
        normal = torch.randn(eta.shape, generator=generator, dtype=eta.dtype, device=eta.device)
        return torch.round(torch.exp(eta + self.s * normal) / self.tick) * self.tick

    def cdf(self, eta: Tensor, y: Tensor) -> Tensor:
        """Phi((log(floor(y) + tick / 2) - eta) / scale), floor to a multiple of the tick."""
        at = y / self.tick
        below = torch.where(off_grid(y, self.tick), at.floor(), at.round()).clamp_min(0)
        found = torch.special.ndtr((torch.log((below + 0.5) * self.tick) - eta) / self.s)
        return torch.where(y < 0, 0.0, found)

    def check_support(self, y: Tensor, what: str = "y") -> None:
        super().check_support(y, what)
        self._refuse(y < 0, y, what, "prices of at least 0")

    def _edges(self, eta: Tensor, y: Tensor, s: float | Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(a + b) / 2, (b - a) / 2, and for the cell at 0, where these are b and 0, True."""
        first = y < self.tick / 2
        half = self.tick / 2 / torch.where(first, self.tick, y)  # of a cell, relative to the price
        half = half.clamp_max(1 - torch.finfo(half.dtype).eps)
        log_middle = torch.log(torch.where(first, self.tick, y)) + torch.log1p(-half.square()) / 2
        log_middle = torch.where(first, torch.log(y.clamp_min(0) + self.tick / 2), log_middle)
        width = torch.where(first, torch.zeros_like(half), torch.atanh(half))
        middle = (log_middle - eta) / s
        return middle, (width / s).expand_as(middle), first.expand_as(middle)

    def _lattice(self, eta: Tensor) -> tuple[Tensor, Tensor]:
        """Prices (..., m) and probabilities: E f(y) = sum f(y) probability."""
        s = torch.as_tensor(self.s, dtype=torch.float64, device=eta.device)
        eta, s = torch.broadcast_tensors(eta.detach().double(), s)
        ticks, weight = expectation_points(eta - math.log(self.tick), s)
        y = torch.cat((torch.zeros_like(ticks[..., :1]), ticks * self.tick), -1)
        weight = torch.cat((torch.ones_like(weight[..., :1]), weight), -1)
        return y, weight * torch.exp(_log_cell(*self._edges(eta.unsqueeze(-1), y, s.unsqueeze(-1))))


def _by_log_scale(noise: Noise, eta: Tensor, y: Tensor, weights: Tensor | None, t: Tensor) -> tuple[Tensor, Tensor]:
    """Derivatives of the mean nll, by formula: autograd loses the cells that are far out at a small scale."""
    found = noise.with_scale(t.exp().unsqueeze(-1)).joint_derivatives(eta, y)
    assert found is not None
    return weighted_mean(found[1], weights), weighted_mean(found[4], weights)


def _log_cell(middle: Tensor, half: Tensor, first: Tensor) -> Tensor:
    """log(Phi(middle + half) - Phi(middle - half)); `first`: log Phi(middle).

    A narrow cell by Gauss and Legendre's rule, phi(m) 2 h int_0^1 cosh(m h v) exp(-h^2 v^2 / 2) dv; a wide one by
    the difference of two tails, those of the nearer side, which does not cancel.
    """
    narrow = _narrow(middle, half) & ~first
    m, h = torch.where(narrow, middle, 0.0), torch.where(narrow, half, NARROW)
    inside, _ = _integrals(m, h)
    integrated = -m.square() / 2 - HALF_LOG_2PI + math.log(2) + torch.log(h) + torch.log(inside)
    near, far = _sides(middle, torch.where(narrow | first, 1.0, half))
    at_near, at_far = torch.special.log_ndtr(near), torch.special.log_ndtr(far)
    wide = at_near + torch.log(-torch.expm1(at_far - at_near))
    below = torch.special.log_ndtr(torch.where(first, middle, 0.0))
    return torch.where(first, below, torch.where(narrow, integrated, wide))


def _slopes(middle: Tensor, half: Tensor, first: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """F_m, m + F_m and h F_h of the log cell F(m, h)."""
    narrow = _narrow(middle, half) & ~first
    m, h = torch.where(narrow, middle, 0.0), torch.where(narrow, half, NARROW)
    inside, tilt = _integrals(m, h)
    lean = h * tilt / inside
    upper, lower = _edge_densities(middle, torch.where(narrow, NARROW, half), first)
    F_m = torch.where(narrow, lean - m, upper - lower)
    g = torch.where(narrow, torch.cosh(m * h) * torch.exp(-h.square() / 2) / inside, half * (upper + lower))
    return F_m, torch.where(narrow, lean, middle + F_m), g


def _narrow(middle: Tensor, half: Tensor) -> Tensor:
    return (half < NARROW) & (half * middle.abs() < STEEP)


def _sides(middle: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
    """The edges, mirrored such that the cell lies below zero or straddles it from below: (upper, lower)."""
    size = -middle.abs()
    return size + half, size - half


def _edge_densities(middle: Tensor, half: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
    """phi(b) and phi(a), over the cell's probability: from the hazard phi / Phi at the nearer edge, which keeps its
    digits far out."""
    near, far = _sides(middle, torch.where(first, 1.0, half))
    share = -torch.expm1(torch.special.log_ndtr(far) - torch.special.log_ndtr(near))
    at_near = _hazard(near) / share
    at_far = at_near * torch.exp(-2 * half * middle.abs())
    upper = torch.where(middle > 0, at_far, at_near)
    lower = torch.where(middle > 0, at_near, at_far)
    return torch.where(first, _hazard(middle), upper), torch.where(first, 0.0, lower)


def _hazard(u: Tensor) -> Tensor:
    """phi(u) / Phi(u)."""
    return math.sqrt(2 / math.pi) / torch.special.erfcx(-u / math.sqrt(2))


def _integrals(m: Tensor, h: Tensor) -> tuple[Tensor, Tensor]:
    """int_0^1 cosh(m h v) exp(-h^2 v^2 / 2) dv and its derivative by m, over h."""
    v, weights = NODES.to(m), WEIGHTS.to(m)
    x, fall = (m * h).unsqueeze(-1) * v, torch.exp(-(h.unsqueeze(-1) * v).square() / 2) * weights
    return (torch.cosh(x) * fall).sum(-1), (torch.sinh(x) * fall * v).sum(-1)
