"""Poisson noise with a clamped rate: finite everywhere, and flat where it was clamped."""

import math

import numpy as np
import torch
from noise_distributions import f64

from noiseworks.noise import Poisson
from noiseworks.noise.poisson import FLOOR
from noiseworks.solvers.solve import solve
from noiseworks.solvers.stationarity import log_concave

CLAMP = Poisson(link="clamp")


def test_below_the_clamp_nothing_depends_on_eta():
    eta, y = f64([-1e3, -0.1, 0.0, FLOOR / 2]), f64([0.0, 2.0, 2.0, 1.0])
    flat = FLOOR - y * math.log(FLOOR) + torch.lgamma(y + 1)
    torch.testing.assert_close(CLAMP.nll(eta, y), flat, rtol=1e-15, atol=0)
    for nothing in (CLAMP.score(eta, y), CLAMP.information(eta)):
        assert torch.equal(nothing, torch.zeros_like(eta))
    leaf = eta.clone().requires_grad_()
    (slope,) = torch.autograd.grad(CLAMP.nll(leaf, y).sum(), leaf)
    assert torch.equal(slope, torch.zeros_like(eta))


def test_above_the_clamp_it_is_the_identity():
    eta, y, identity = f64([FLOOR, 0.3, 7.0, 1e4]), f64([0.0, 2.0, 9.0, 9e3]), Poisson(link="identity")
    for name in ("nll", "score"):
        assert torch.equal(getattr(CLAMP, name)(eta, y), getattr(identity, name)(eta, y))
    assert torch.equal(CLAMP.sample(eta, torch.Generator()), identity.sample(eta, torch.Generator()))


def test_a_clamped_rate_draws_zeros():
    assert CLAMP.sample(f64([-3.0] * 100), torch.Generator().manual_seed(0)).sum() == 0


def test_it_is_not_convex():
    """Down from the flat part and up again: a stationary point need not be the optimum, and the answer says so."""
    y = np.array([0.0, 1.0, 4.0])
    assert not log_concave(CLAMP, y)
    assert all(log_concave(Poisson(link=link), y) for link in ("log", "identity"))
    D = torch.stack((torch.arange(12.0, dtype=torch.float64), torch.ones(12, dtype=torch.float64)), 1)
    counts = f64([1, 0, 2, 4, 3, 5, 6, 8, 7, 10, 9, 13])
    ours, raw = solve(CLAMP, D, counts), solve(Poisson(link="identity"), D, counts)
    torch.testing.assert_close(ours.theta, raw.theta, rtol=1e-9, atol=0)
    assert (ours.kind, raw.kind) == ("stationary point", "optimum")
