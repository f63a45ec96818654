"""Derivatives by eta and log scale jointly, tables of counts, and single numbers."""

from functools import partial

import mpmath
import numpy as np
import pytest
import torch
from noise_distributions import etas, f64, some_y

from noiseworks.noise import IntervalLogNormal, NegativeBinomial, StudentT
from noiseworks.noise import negative_binomial as module

COUNTS = f64([0, 1, 2, 5, 20, 300, 2.5])


def by_autograd(noise, eta, y, log_scale):
    """From the nll alone, a log scale for each row."""
    eta, t = eta.clone().requires_grad_(), torch.full_like(eta, log_scale).requires_grad_()
    slopes = torch.autograd.grad(noise.with_scale(t.exp()).nll(eta, y).sum(), (eta, t), create_graph=True)
    return [*(slope.detach() for slope in slopes), again(slopes[0], eta), again(slopes[0], t), again(slopes[1], t)]


def again(slope, leaf):
    found = torch.autograd.grad(slope.sum(), leaf, retain_graph=True, allow_unused=True) if slope.requires_grad else ()
    return found[0] if found and found[0] is not None else torch.zeros_like(slope)


@pytest.mark.parametrize("scale", [0.02, 0.3, 1.0, 2.5])
def test_joint_derivatives_are_those_of_the_nll(scaled, scale):
    """Every noise with a scale that has them: where theta and the scale do not separate, all must."""
    noise = scaled.with_scale(scale)
    eta = etas(noise)
    y = some_y(noise, eta).contiguous()
    eta = eta.expand_as(y).contiguous()
    found = noise.joint_derivatives(eta, y)
    assert found is not None or noise.separable or not (noise.location_scale or isinstance(noise, NegativeBinomial))
    if found is not None:
        for ours, theirs in zip(found, by_autograd(noise, eta, y, np.log(scale)), strict=True):
            rough = isinstance(noise, IntervalLogNormal)  # torch's second derivative of log_ndtr, far out
            torch.testing.assert_close(ours, theirs, rtol=1e-6 if rough else 1e-9, atol=1e-9)


def nll_by_mpmath(y, eta, t):
    r, mu = mpmath.exp(-t), mpmath.exp(eta)
    rising = mpmath.loggamma(y + r) - mpmath.loggamma(r)
    return mpmath.loggamma(y + 1) - rising + (y + r) * mpmath.log1p(mu / r) - y * mpmath.log(mu / r)


@pytest.mark.parametrize("dispersion", [1e-8, 1e-3, 0.034, 0.9, 40.0])
def test_derivatives_by_the_dispersion_keep_their_digits(dispersion):
    """By mpmath; a dispersion of 1e-8 hardly moves the likelihood. torch's trigamma function has eight digits."""
    for eta in (-3.0, 0.4, 4.0):
        found = NegativeBinomial(dispersion=dispersion).joint_derivatives(torch.full_like(COUNTS, eta), COUNTS)
        with mpmath.workdps(60):
            t = mpmath.log(mpmath.mpf(dispersion))
            for k, y in enumerate(COUNTS.tolist()):
                nll = partial(nll_by_mpmath, mpmath.mpf(y))
                right = [mpmath.diff(nll, (mpmath.mpf(eta), t), order) for order in ((0, 1), (1, 1), (0, 2))]
                ours = [found[i][k].item() for i in (1, 3, 4)]
                rounding = 4e-15 * (1 + y * y + np.exp(eta))
                np.testing.assert_allclose(ours[:2], list(map(float, right[:2])), rtol=1e-10, atol=rounding)
                np.testing.assert_allclose(ours[2], float(right[2]), rtol=1e-7, atol=rounding)


def test_counts_are_looked_up(monkeypatch):
    """As many equal counts as make a table: the same numbers, of each shape, and of a dispersion for each row."""
    g = torch.Generator().manual_seed(0)
    eta = torch.randn((3, 400), generator=g, dtype=torch.float64)
    y = torch.poisson(torch.exp(1 + eta), generator=g)
    counts, at = module.few_counts(y)
    assert len(counts) == y.max() + 1
    assert torch.equal(counts[at], y)
    noise, spread = NegativeBinomial(dispersion=0.4), torch.full((3, 1), 0.4, dtype=torch.float64)
    looked_up = noise.nll(eta, y), noise.with_scale(spread).nll(eta, y), *noise.joint_derivatives(eta, y)
    fitted = noise.fit_scale(eta, y)
    monkeypatch.setattr(module, "MANY", y.numel() + 1)
    for ours, theirs in zip(looked_up, (noise.nll(eta, y), noise.nll(eta, y), *noise.joint_derivatives(eta, y))):
        torch.testing.assert_close(ours, theirs, rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(fitted, noise.fit_scale(eta, y), rtol=1e-12, atol=0)


@pytest.mark.parametrize("y", [[0.5], [-1.0], [torch.nan], [1e9], []])
def test_what_is_no_table(y):
    values = torch.cat((torch.ones(1000 if y else 10, dtype=torch.float64), f64(y)))
    counts, at = module.few_counts(values)
    assert counts[at] is not None
    torch.testing.assert_close(counts[at], values, equal_nan=True, rtol=0, atol=0)
    assert len(counts) == len(values)


def test_a_single_number_has_a_distribution_function():
    """0-dimensional tensors, as the elements of longer ones are."""
    eta, y = f64([0.4, 0.4]), f64([1.0, 3.0])
    for noise in (NegativeBinomial(dispersion=0.7), StudentT(df=3.0, scale=0.7)):
        single = noise.cdf(eta[0], y[1])
        assert single.shape == ()
        assert single == noise.cdf(eta, y)[1]
    assert StudentT(df=3.0).log_tail(f64(-0.7)) == StudentT(df=3.0).log_tail(f64([-0.7]))[0]


def test_a_single_number_is_as_in_a_row(noise):
    eta = etas(noise)
    y = some_y(noise, eta)
    single = noise.cdf(eta[1], y[2, 1])
    assert single.shape == ()
    torch.testing.assert_close(single, noise.cdf(eta, y[2])[1], rtol=1e-13, atol=0)
