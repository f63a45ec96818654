"""Draws of every noise model against its own nll."""

import math

import numpy as np
import pytest
import torch
from noise_distributions import cdf, etas, f64, law

N = 40_000
# Dvoretzky-Kiefer-Wolfowitz with Massart's constant, for any law, also a discrete one:
# P(sup |F_N - F| > d) <= 2 exp(-2 N d^2). At 1e-8 a sample: d = sqrt(log(2e8) / (2 N)) = 0.0155.
LARGEST_DISTANCE = math.sqrt(math.log(2e8) / (2 * N))


def draw(noise, eta, seed=0, dtype=torch.float64):
    return noise.sample(torch.full((N,), float(eta), dtype=dtype), torch.Generator().manual_seed(seed))


def distance(noise, eta, y):
    """sup |F_N - F|; both one-sided limits of F_N for a density, the values at the counts for a mass function."""
    if noise.counts:
        values, times = np.unique(y.numpy(), return_counts=True)
        return np.abs(np.cumsum(times) / N - cdf(noise, eta, values)).max()
    f = cdf(noise, eta, np.sort(y.numpy()))
    return max((np.arange(1, N + 1) / N - f).max(), (f - np.arange(N) / N).max())


def test_whole_distribution(noise):
    for seed, eta in enumerate(etas(noise)):
        assert distance(noise, eta, draw(noise, eta, seed)) < LARGEST_DISTANCE


def test_mean(noise):
    """Within five standard errors, 6e-7 for a normal mean; the variance is that of the law, not of the draws."""
    for seed, eta in enumerate(etas(noise)):
        y, mass = law(noise, eta)
        variance = ((y - noise.mean(eta)).square() * mass).sum()
        assert (draw(noise, eta, seed).mean() - noise.mean(eta)).abs() < 5 * (variance / N).sqrt()


def test_variance(noise):
    """Within five standard errors where the fourth moment is light enough for them to mean something."""
    for seed, eta in enumerate(etas(noise)):
        y, mass = law(noise, eta)
        squares = (y - noise.mean(eta)).square()
        variance, fourth = (squares * mass).sum(), (squares.square() * mass).sum()
        if fourth < 20 * variance**2:
            error = ((fourth - variance**2) / N).sqrt()
            assert ((draw(noise, eta, seed) - noise.mean(eta)).square().mean() - variance).abs() < 5 * error


def test_float32_draws_have_the_same_distribution(shipped):
    eta = etas(shipped)[1].float()
    y = draw(shipped, eta, dtype=torch.float32)
    assert y.dtype == torch.float32
    assert distance(shipped, eta, y.double()) < LARGEST_DISTANCE


def test_each_draw_has_its_own_eta_and_its_own_scale(scaled):
    eta = etas(scaled).unsqueeze(-1).expand(3, N)
    scales = f64([0.3, 1.0, 2.5]).unsqueeze(-1)
    y = scaled.with_scale(scales).sample(eta, torch.Generator().manual_seed(5))
    assert y.shape == eta.shape
    for row in range(3):
        one = scaled.with_scale(scales[row].item())
        assert distance(one, eta[row, 0], y[row]) < LARGEST_DISTANCE


def test_neighbours_are_independent(shipped):
    """The rank correlation of 20,000 pairs has standard error 1 / sqrt(20,000 - 1); five of them."""
    y = draw(shipped, etas(shipped)[2]).reshape(-1, 2)
    ranks = y.argsort(0).argsort(0).double()
    assert torch.corrcoef(ranks.T)[0, 1].abs() < 5 / math.sqrt(N / 2 - 1)


def test_a_seed_fixes_the_bits(noise):
    eta = etas(noise)[1]
    assert draw(noise, eta, 7).equal(draw(noise, eta, 7))
    assert not draw(noise, eta, 7).equal(draw(noise, eta, 8))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_draws_are_finite_and_in_the_support(noise, dtype):
    for eta in etas(noise):
        y = draw(noise, eta, 11, dtype)
        assert y.dtype == dtype
        noise.check_support(y)
        assert not noise.counts or y.equal(y.round())
        assert noise.nll(torch.full_like(y, float(eta)), y).isfinite().all()
