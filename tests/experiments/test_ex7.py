"""Exercise 7: theory against simulation and closed forms, measures on small cases, and breaks that must be seen."""

import math

import numpy as np
import pytest
from scipy import stats

from noiseworks.data.prices import monthly_prices
from noiseworks_experiments.parts import ex7_held_out as houses
from noiseworks_experiments.parts import ex7_measure as ex7
from noiseworks_experiments.parts import ex7_runs, ex7_stocks, ex7_theory


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
    found = np.mean(np.abs(y - intercept - slope * x)[chosen] < houses.REACH * scale)
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
    dollars, cents = (houses.held_out(x, x, unit * price, fold) for unit in (1, 100))
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
    assert houses.held_out(x, x, price, fold)["nll_additive"][4] > 1e6


def test_smearing_needs_no_normal_noise():
    found = ex7.smearing(2000, np.random.default_rng(5))
    assert found["smeared"].mean() == pytest.approx(1, abs=0.01)
    assert found["normal"].mean() == pytest.approx(math.exp(0.4 + 0.4**2 / 2) * 0.6, abs=0.01)


def test_smearing_has_a_bias_of_order_1_over_n():
    found = ex7.smearing(40_000, np.random.default_rng(6))["smeared"]
    assert abs(found.mean() - ex7_theory.smeared_mean(ex7.ROWS)) < 5 * found.std() / 200


def test_coverage_if_the_log_model_were_true():
    """Of many prices that are LogNormal, and where both models see no feature."""
    rng = np.random.default_rng(7)
    price, x = np.exp(1 + 0.8 * rng.normal(size=20_000)), np.zeros((20_000, 1))
    found = houses.held_out(x, x, price, np.arange(20_000) % 2)
    assert found["expected"].mean() == pytest.approx(found["covered_additive"].mean(), abs=0.006)


def test_an_option_by_integration():
    spread = ex7.SIGMA * math.sqrt(ex7.DAYS)
    z = np.linspace(-10, 10, 400_001)
    payoff = np.maximum(np.exp(spread * z - spread**2 / 2) - 1, 0)
    assert ex7_theory.call(ex7.SIGMA) == pytest.approx(np.trapezoid(payoff * stats.norm.pdf(z), z), rel=1e-6)
    assert ex7_theory.overpriced(1.0) == 1
    found = ex7.ticks(20_000, np.random.default_rng(8))["payoff"]
    assert abs(found.mean() - ex7_theory.call(ex7.SIGMA)) < 5 * found.std() / math.sqrt(20_000)


def test_what_moves_in_proportion_to_a_power_give_by_simulation():
    """The gain of the log model at the prices of one stock; with the error of the line in it."""
    last, rng = monthly_prices("MSFT")[:-1], np.random.default_rng(9)
    fold = np.arange(len(last)) * 10 // len(last)
    for exponent in (0.0, 1.0):
        size = 0.02 * (last ** (1 - exponent)).min() * last**exponent
        gains = [ex7_stocks.gain(last, last + size * rng.normal(size=len(last)), fold).mean() for _ in range(100)]
        expected = ex7_stocks.expected_gain(last, exponent, fold).mean()
        assert np.mean(gains) == pytest.approx(expected, abs=5 * np.std(gains) / 10 + 0.02)


def test_the_slope_is_the_mean_of_what_months_say():
    last, price = np.exp(np.linspace(0, 3, 50)), np.exp(np.linspace(0, 3, 50))
    price[:40] += 0.1 * last[:40] ** 0.7
    moved, slopes = ex7_stocks.growth(last, price)
    assert moved.sum() == 40
    np.testing.assert_allclose(slopes, 0.7, rtol=1e-9)


def test_months_are_resampled_in_blocks():
    found = ex7_stocks.blocks(400, 389, np.random.default_rng(0))
    assert (found.sum(axis=1) == 389).all()
    assert found.mean() == 1
    together = np.corrcoef(found[:, 100], found[:, 101])[0, 1]
    assert together > 0.7
    assert abs(np.corrcoef(found[:, 100], found[:, 150])[0, 1]) < 0.3


@pytest.mark.parametrize("df", [3.0, 5.0, math.inf])
def test_degrees_of_freedom_are_found(df):
    draw = np.random.default_rng(1)
    returns = draw.standard_t(df, 20_000) if df < 100 else draw.normal(size=20_000)
    found = ex7_stocks.tail(0.1 * returns, np.ones((1, 20_000)))
    assert found["tail"][0] == pytest.approx(1 / df, abs=0.02)
    gain = 0.5 * math.log(2 * math.pi * math.e * df / (df - 2)) - stats.t.entropy(df) if df < 100 else 0.0
    assert found["tail_gain"][0] == pytest.approx(gain, abs=0.03)


def test_the_wider_interval_decides():
    """Eight equal stocks say nothing of the months, and months that are alike nothing of the stocks."""
    alike, apart = ex7_runs.study.mean(np.array([1.0, 1.001] * 4)), ex7_runs.study.mean(np.arange(8.0))
    resampled = np.array([0.9, 1.1] * 50)
    months = ex7_runs.wider(alike, resampled)
    assert months.estimate == alike.estimate
    assert months.hi - months.lo == pytest.approx(2 * stats.t.ppf(0.995, 31) * resampled.std(ddof=1))
    assert ex7_runs.wider(apart, resampled) == apart


def test_coverage_of_the_log_model_after_few_rows():
    """Of 20,000 fits to 40 rows, at the x of the dearest tenth."""
    rng = np.random.default_rng(2)
    x, z = rng.normal(size=(2, 20_000, 40))
    slope = (x * z).mean(1) - x.mean(1) * z.mean(1)
    slope /= x.var(1)
    scale = np.sqrt(z.var(1) - slope**2 * x.var(1))
    theta = (8 + 0.5 * (z.mean(1) - slope * x.mean(1)), 0.5 + 0.5 * slope, 0.5 * scale)
    found = ex7_theory.covered(theta, 0.5, 9, log=True).mean()
    assert found == pytest.approx(ex7_theory.plug_in_coverage(9, 40), abs=0.004)
    assert found < 0.93
