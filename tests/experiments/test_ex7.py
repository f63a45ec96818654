"""Exercise 7: theory against simulation and closed forms, measures on small cases, and breaks that must be seen."""

import math

import numpy as np
import pytest
from scipy import stats

from noiseworks_experiments.parts import ex7_measure as ex7
from noiseworks_experiments.parts import ex7_theory


@pytest.fixture(scope="module")
def world():
    """x and price, two million of each."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=2_000_000)
    return x, np.exp(8 + x / 2 + 0.5 * rng.normal(size=x.size))


def test_the_best_straight_line(world):
    x, y = world
    intercept, slope, scale = ex7_theory.straight_line(0.5)
    assert np.polyfit(x, y, 1) == pytest.approx([slope, intercept], rel=0.01)
    assert np.std(y - intercept - slope * x) == pytest.approx(scale, rel=0.01)


def test_negative_share_has_a_closed_form():
    a, b, scale = (np.array(part) for part in ex7_theory.straight_line(0.5))
    assert ex7_theory.negative_share(a, b, scale) == pytest.approx(
        stats.norm.cdf(-1 / math.sqrt(math.expm1(0.5))), rel=1e-12
    )


@pytest.mark.parametrize("tenth", [0, 5, 9])
def test_coverage_by_simulation(world, tenth):
    x, y = world
    intercept, slope, scale = ex7_theory.straight_line(0.5)
    edges = stats.norm.ppf([tenth / 10, (tenth + 1) / 10])
    chosen = (x > edges[0]) & (x <= edges[1])
    found = np.mean(np.abs(y - intercept - slope * x)[chosen] < ex7.REACH * scale)
    assert float(ex7_theory.covered((intercept, slope, scale), 0.5, tenth, log=False)) == pytest.approx(
        found, abs=0.005
    )
    assert float(ex7_theory.covered((8.0, 0.5, 0.5), 0.5, tenth, log=True)) == pytest.approx(0.95, abs=1e-12)


def test_gain_and_loss_by_simulation(world):
    x, y = world
    intercept, slope, scale = ex7_theory.straight_line(0.5)
    wrong = -stats.norm.logpdf(y, intercept + slope * x, scale)
    right = -stats.norm.logpdf(np.log(y), 8 + x / 2, 0.5) + np.log(y)
    assert np.mean(wrong - right) == pytest.approx(ex7_theory.gain(0.5), abs=0.02)
    rng = np.random.default_rng(1)
    x, z = rng.normal(size=(2, 1_000_000))
    log_y = np.log(8 + x / 2 + 0.5 * z)
    left = log_y - np.polyval(np.polyfit(x, log_y, 1), x)
    loss = np.log(left.std() / 0.5) + log_y.mean()
    assert ex7_theory.loss(0.5) == pytest.approx(loss, abs=0.002)


@pytest.mark.parametrize("price", [12.5, 50.0])
def test_rounded_returns_by_simulation(price):
    found = ex7.ticks(20_000, np.random.default_rng(3))
    known = ex7_theory.rounded_returns(price)
    assert found[f"square/{price:g}"].mean() == pytest.approx(known.square, rel=0.02)
    assert found[f"product/{price:g}"].mean() == pytest.approx(known.product, abs=0.02)
    assert found[f"still/{price:g}"].mean() == pytest.approx(known.still, abs=0.003)
    assert known.pairs.sum() == pytest.approx(1, abs=1e-6)


def test_rounded_returns_of_dear_stock_are_those_of_the_price():
    known = ex7_theory.rounded_returns(200.0)
    assert known.square == pytest.approx(1 + 1 / (6 * 4**2), rel=0.01)
    assert known.product == pytest.approx(-1 / (12 * 4**2), rel=0.2)


def test_scale_of_rounded_prices_by_simulation():
    y = np.round(np.exp(np.log(2.5) + 0.2 * np.random.default_rng(0).normal(size=1_000_000)))
    assert ex7_theory.rounded_scale(2.5) == pytest.approx(np.log(y).std() / 0.2, rel=0.005)


def test_held_out_likelihoods_carry_the_jacobian():
    """In cents instead of dollars every density is a hundredth; without the Jacobian that of log prices stays."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 1))
    price, fold = np.exp(5 + x[:, 0] + 0.3 * rng.normal(size=200)), np.arange(200) % 10
    dollars, cents = (ex7.held_out(x, x, unit * price, fold) for unit in (1, 100))
    for model in ("additive", "log"):
        gap = cents[f"nll_{model}"] - dollars[f"nll_{model}"]
        np.testing.assert_allclose(gap, math.log(100), rtol=1e-9)
    np.testing.assert_allclose(cents["nll_log_price"], dollars["nll_log_price"], rtol=1e-9)
    assert dollars["covered_log"].mean() > 0.9


def test_nothing_of_a_price_is_known_before_it_is_predicted():
    """A break that trains on the held-out fold as well: a price that is a million times too large would be fitted."""
    x, fold = np.zeros((40, 1)), np.arange(40) % 4
    price = np.exp(np.random.default_rng(0).normal(size=40))
    price[4] *= 1e6
    assert ex7.held_out(x, x, price, fold)["nll_additive"][4] > 1e6


def test_smearing_needs_no_normal_noise():
    found = ex7.smearing(2000, np.random.default_rng(5))
    assert found["smeared"].mean() == pytest.approx(1, abs=0.01)
    assert found["normal"].mean() == pytest.approx(math.exp(0.4 + 0.4**2 / 2) * 0.6, abs=0.01)
