"""Geometric Brownian motion: its law, its grid, and what is refused."""

import math

import pytest
import torch
from data_tables import COMMON

from noiseworks.data.prices import Prices, Stocks
from noiseworks.errors import UserError
from noiseworks.noise import IntervalLogNormal, LogNormal
from noiseworks.noise.lattice import off_grid
from noiseworks.problem import check_target

PLAIN = {"p0": 100.0, "drift": 0.01, "volatility": 0.05, "steps": 240, "tick": 0.0, "log": False}


def prices(**changes) -> Prices:
    return Prices(**{**COMMON, **PLAIN, **changes})


def test_a_row_is_a_step():
    examples = prices().examples(0)
    assert examples.X[0].item() == pytest.approx(100)
    assert examples.X[1:, 0].tolist() == examples.y[:-1].tolist()
    assert (len(examples), examples.features, examples.target) == (240, ("last_price",), "price")
    logs = prices(log=True).examples(0)
    assert logs.X.equal(examples.X.log())
    assert logs.features == ("log_last_price",)


def test_log_returns_are_normal_with_the_mean_that_ito_gives():
    """Within five standard errors, of 100,000 steps."""
    y = prices(steps=100_000, volatility=0.02, drift=0.0001).path(torch.Generator().manual_seed(2)).log().diff()
    assert abs(y.mean().item() - (0.0001 - 0.0002)) < 5 * 0.02 / math.sqrt(1e5)
    assert abs(y.std().item() / 0.02 - 1) < 5 / math.sqrt(2e5)


def test_replicates_differ_and_repeat():
    assert prices().examples(1).y.equal(prices().examples(1).y)
    assert not prices().examples(1).y.equal(prices().examples(0).y)
    assert prices().examples(0).digest != prices(seed=9).examples(0).digest


def test_a_tick_rounds_what_is_seen_and_not_the_path():
    exact, seen = prices(p0=0.3).examples(0).y, prices(p0=0.3, tick=0.01).examples(0).y
    assert (exact - seen).abs().max() <= 0.005 + 1e-12
    assert not off_grid(seen, 0.01).any()
    check_target(prices(p0=0.3, tick=0.01).examples(0), IntervalLogNormal(tick=0.01), allow_fractions=False)


def test_prices_between_ticks_are_refused():
    with pytest.raises(
        UserError, match=r"interval_lognormal noise needs multiples of noise.tick=0.01; column 'price' is"
    ):
        check_target(prices().examples(0), IntervalLogNormal(tick=0.01), allow_fractions=False)
    with pytest.raises(UserError, match="lognormal noise needs values above 0"):
        check_target(prices(p0=0.01, tick=0.03).examples(0), LogNormal(), allow_fractions=False)


@pytest.mark.parametrize(
    ("key", "value"), [("p0", 0.0), ("volatility", -1.0), ("tick", -0.01), ("steps", 1), ("drift", math.inf)]
)
def test_settings_out_of_range(key, value):
    with pytest.raises(UserError, match=f"data.{key}={value} is"):
        prices(**{key: value})


def test_zero_has_no_logarithm():
    with pytest.raises(UserError, match=r"data.log=true: the price is 0 after step 0"):
        prices(p0=0.01, tick=0.03, log=True).examples(0)


def test_stocks_on_the_logarithm():
    plain, logs = (Stocks(ticker="IBM", log=log, **COMMON).examples(0) for log in (False, True))
    torch.testing.assert_close(logs.X, plain.X.log(), rtol=1e-15, atol=0)
    assert (logs.features, plain.features) == (("log_last_price",), ("last_price",))
