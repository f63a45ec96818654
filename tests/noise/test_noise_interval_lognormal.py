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
from noiseworks.regressor import LinearRegressor
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


def prices(seed: int, tick: float, level: float, n: int = 60) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    x = generator.normal(size=n)
    return x[:, None], np.round(np.exp(level + 0.5 * x + 0.8 * generator.normal(size=n)) / tick) * tick


# R 4, survival: survreg(Surv(lo, hi, type = "interval2") ~ x, dist = "lognormal"), lo = y - tick / 2 or NA at 0
SURVREG = {  # seed, tick, level: coefficients, scale, standard errors
    (0, 0.01, -3.0): (-2.92979220221, 0.41664475139, 0.81255394013, 0.10599638514, 0.11769196953),
    (1, 1.0, -1.0): (-0.8737342364, 0.4729733682, 0.5478160722, 0.1127677932, 0.1359742036),
    (2, 5.0, 2.0): (1.9207312142, 0.4227184829, 0.8221726975, 0.1131766190, 0.1134760669),
}


@pytest.mark.parametrize("made", SURVREG)
def test_standard_errors_as_survreg(made):
    """Location and scale are correlated: those of a scale that is known would be too small."""
    seed, tick, level = made
    X, y = prices(seed, tick, level)
    fit = LinearRegressor("interval_lognormal", noise_params={"tick": tick}).fit(X, y)
    b, slope, scale, *errors = SURVREG[made]
    assert (fit.intercept_, fit.coef_[0], fit.scale_) == pytest.approx((b, slope, scale), rel=1e-8)
    assert (fit.standard_errors_["intercept"], fit.standard_errors_["x0"]) == pytest.approx(errors, rel=1e-8)


def test_intervals_are_multiples_of_the_tick():
    """And hold what is new: 90 % of 400 prices, within 5 standard errors (0.075), and more for 60 rows and ticks."""
    X, y = prices(0, 0.01, -3.0)
    fit = LinearRegressor("interval_lognormal", noise_params={"tick": 0.01}).fit(X, y)
    more, new = prices(7, 0.01, -3.0, 400)
    low, high = fit.predict_interval(more, level=0.9).T
    assert not off_grid(f64(np.stack((low, high))), 0.01).any()
    assert abs(((low <= new) & (new <= high)).mean() - 0.9) < 0.095


def test_prices_that_do_not_show_the_scale():
    X, y = prices(3, 1.0, -1.0)
    said = "no finite optimum: no value is above 1, so that the rows do not show the scale"
    with pytest.raises(ValueError, match=said):
        LinearRegressor("interval_lognormal").fit(X, y.clip(max=1.0))
