"""Rounded LogNormal prices: cells by mpmath and SciPy, ticks, and what a tick that tends to 0 gives."""

import math

import mpmath
import numpy as np
import pytest
import torch
from noise_distributions import f64
from scipy import stats
from scipy.optimize import minimize_scalar

from noiseworks.errors import UserError
from noiseworks.noise import IntervalLogNormal, LogNormal
from noiseworks.noise.lattice import expectation_points, off_grid
from noiseworks.solvers.solve import solve

GRID = [(y, eta, s) for y in (0, 1, 7, 300) for eta in (-1.0, 0.4, 6.0) for s in (0.02, 0.3, 2.5)]


def exact_nll(y, eta, t, tick=1.0):
    """t = log scale; from the tail that does not cancel."""
    s, half = mpmath.exp(t), mpmath.mpf(tick) / 2
    b = (mpmath.log(mpmath.mpf(y) + half) - eta) / s
    if y == 0:
        return -mpmath.log(mpmath.ncdf(b))
    a = (mpmath.log(mpmath.mpf(y) - half) - eta) / s
    return -mpmath.log(mpmath.ncdf(-a) - mpmath.ncdf(-b) if a > 0 else mpmath.ncdf(b) - mpmath.ncdf(a))


@pytest.mark.parametrize(("y", "eta", "s"), GRID)
def test_nll_and_its_derivatives_by_mpmath(y, eta, s):
    with mpmath.workdps(50):
        at, nll = (mpmath.mpf(eta), mpmath.log(mpmath.mpf(s))), lambda e, t: exact_nll(y, e, t)
        value = float(nll(*at))
        right = [float(mpmath.diff(nll, at, order)) for order in ((1, 0), (0, 1), (2, 0), (1, 1), (0, 2))]
    noise = IntervalLogNormal(scale=s)
    np.testing.assert_allclose(noise.nll(f64([eta]), f64([y])).item(), value, rtol=1e-12, atol=1e-14)
    ours = [part.item() for part in noise.joint_derivatives(f64([eta]), f64([y]))]
    np.testing.assert_allclose(ours, right, rtol=1e-9, atol=1e-9)


# R: y <- 0.05; -log(plnorm(y + 0.005, -3, 0.3) - plnorm(y - 0.005, -3, 0.3)); -log(plnorm(0.005, -3, 1))
@pytest.mark.parametrize(("y", "scale"), [(0.05, 0.3), (0.0, 1.0), (0.29, 0.3)])
def test_a_cent(y, scale):
    """SciPy's lognorm is R's plnorm."""
    law = stats.lognorm(scale, scale=math.exp(-3))
    cell = law.cdf(y + 0.005) - (law.cdf(y - 0.005) if y else 0)
    noise = IntervalLogNormal(tick=0.01, scale=scale)
    assert noise.nll(f64([-3.0]), f64([y])).item() == pytest.approx(-math.log(cell), rel=1e-8)
    assert noise.cdf(f64([-3.0]), f64([y])).item() == pytest.approx(law.cdf(y + 0.005), rel=1e-12)


def test_a_small_tick_is_none():
    """nll + log tick tends to that of LogNormal, at the rate tick^2."""
    eta, y = f64([0.3, 0.1, 2.0]), f64([1.0, 2.0, 9.0])
    right = LogNormal(scale=0.4).nll(eta, y)
    for tick in (1e-3, 1e-6):
        ours = IntervalLogNormal(tick=tick, scale=0.4).nll(eta, y) + math.log(tick)
        torch.testing.assert_close(ours, right, rtol=0, atol=tick**2 * 10 + 1e-12)


@pytest.mark.parametrize("tick", [1.0, 0.01])
@pytest.mark.parametrize("scale", [0.05, 1.0])
def test_mean_of_many_ticks_is_that_of_the_price(tick, scale):
    eta = f64([6.0])
    assert IntervalLogNormal(tick=tick, scale=scale).mean(eta).item() == pytest.approx(
        math.exp(6 + scale**2 / 2), rel=1e-9
    )


def test_sums_beyond_the_first_are_integrals():
    """sum of k^-3 exp(-(log k)^2 / 2) over all k >= 1, against a million terms."""
    k, weight = expectation_points(f64([0.0]), f64([1.0]))
    value = lambda k: k**-3 * np.exp(-(np.log(k) ** 2) / 2)  # noqa: E731
    assert (weight.numpy() * value(k.numpy())).sum() == pytest.approx(value(np.arange(1.0, 1e6)).sum(), rel=1e-11)


def test_equal_predictors_are_summed_once():
    noise, eta = IntervalLogNormal(scale=0.3), f64([1.0, 2.0, 1.0, 2.0])
    assert noise.mean(eta).tolist() == noise.mean(eta[:2]).repeat(2).tolist()
    assert noise.information(eta.reshape(2, 2)).shape == (2, 2)


def test_multiples_of_a_tick():
    assert off_grid(f64([0.0, 0.29, 0.3, 1e6, 0.295, 0.29001]), 0.01).tolist() == [False] * 4 + [True] * 2
    y = IntervalLogNormal(tick=0.05, scale=0.5).sample(torch.zeros(500), torch.Generator().manual_seed(0))
    assert not off_grid(y, 0.05).any()


def test_the_scale_of_rounded_prices_is_found():
    """Of a price of two and a half ticks; LogNormal noise finds more. 5 standard errors are 5 %."""
    g, D = torch.Generator().manual_seed(1), torch.ones(4000, 1, dtype=torch.float64)
    y = IntervalLogNormal(scale=0.2).sample(D[:, 0] * math.log(2.5), g)
    assert solve(IntervalLogNormal(), D, y).scale == pytest.approx(0.2, rel=0.05)
    assert solve(LogNormal(), D, y).scale > 0.225


@pytest.mark.parametrize("ticks", [2.5, 20.0, 300.0])
def test_the_scale_at_a_given_predictor(ticks):
    """Against scipy's bounded search; at 20 ticks autograd's derivatives once led to scales of 1e-5."""
    g, eta = torch.Generator().manual_seed(2), torch.full((3, 500), math.log(ticks), dtype=torch.float64)
    y = IntervalLogNormal(scale=0.2).sample(eta, g)
    found = IntervalLogNormal().fit_scale(eta, y)
    for own, scale in zip(y, found):
        mean_nll = lambda t, own=own: float(IntervalLogNormal(scale=math.exp(t)).nll(eta[0], own).mean())  # noqa: E731
        best = minimize_scalar(mean_nll, bounds=(-4, 1), method="bounded", options={"xatol": 1e-9})
        assert scale.item() == pytest.approx(math.exp(best.x), rel=1e-6)


@pytest.mark.parametrize("tick", [0, -1.0, None, math.nan, "cent"])
def test_a_tick_must_be_above_zero(tick):
    with pytest.raises(UserError, match=f"noise.tick={tick} is no tick for interval_lognormal noise"):
        IntervalLogNormal(tick=tick)
