"""Many quantile regressions side by side: each as if alone."""

from __future__ import annotations

import numpy as np
import pytest
from solvers_quantiles import Array, fit, plain, value

from noiseworks.errors import UserError
from noiseworks.solvers.quantile import batched_quantile as module
from noiseworks.solvers.quantile.batched_quantile import BatchedQuantiles, batched_least_absolute


def assert_as_alone(many: BatchedQuantiles, D: Array, y: Array, w: Array, tau: float) -> None:
    """D (K, n, P), y and w (K, n)."""
    assert many.theta.shape == (len(D), D.shape[-1])
    assert (many.gap <= 1e-9).all()
    for k in range(len(D)):
        used = w[k] > 0
        alone = fit(D[k][used], y[k][used], w[k][used], tau)
        mine, other = (value(D[k], y[k], w[k], theta, tau) for theta in (many.theta[k], alone.theta.numpy()))
        assert mine == pytest.approx(other, rel=1e-9, abs=1e-13 * w[k].sum() * np.abs(y[k]).max())
        if alone.unique:
            np.testing.assert_allclose(many.theta[k], alone.theta, rtol=1e-8, atol=1e-10 * np.abs(y[k]).max())
        assert many.unique[k] == alone.unique


@pytest.mark.parametrize("tau", [0.5, 0.2])
def test_bootstrap_replicates(tau: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of zero where a row was not drawn; in blocks of a few replicates; columns in units of their own."""
    monkeypatch.setattr(module, "CACHED", 1000)
    rng = np.random.default_rng(0)
    D, y, _ = plain(rng, 90)
    D = D * np.array([1.0, 1e-5, 1e5, 1])
    w = rng.multinomial(90, np.full(90, 1 / 90), size=40).astype(float)
    many = batched_least_absolute(D, y, w, tau)
    assert_as_alone(many, np.broadcast_to(D, (40, *D.shape)), np.broadcast_to(y, w.shape), w, tau)


@pytest.mark.parametrize("tau", [0.5, 0.7])
def test_data_sets_of_one_shape(tau: float) -> None:
    rng = np.random.default_rng(1)
    D, y = rng.normal(size=(50, 30, 3)) * 10.0 ** rng.integers(-6, 7, size=(50, 1, 3)), rng.standard_cauchy((50, 30))
    y[4] = 0
    y[5] = D[5].sum(axis=1)
    y[6] += 1e8
    D[7, :, 2] = D[7, :, 1]
    D[8] = 0
    assert_as_alone(batched_least_absolute(D, y, tau=tau), D, y, np.ones_like(y), tau)


def test_small_integers() -> None:
    """Ties and short rank in most of them."""
    rng = np.random.default_rng(2)
    D, y = rng.integers(0, 2, size=(150, 6, 3)).astype(float), rng.integers(0, 3, size=(150, 6)).astype(float)
    assert_as_alone(batched_least_absolute(D, y), D, y, np.ones_like(y), 0.5)


def test_replicates_that_miss_a_column() -> None:
    """A column seen in two rows only: without them a replicate has short rank, and theta of minimum norm."""
    rng = np.random.default_rng(3)
    D, y, _ = plain(rng, 40)
    D = np.column_stack((D, np.arange(40) < 2)).astype(float)
    w = rng.multinomial(40, np.full(40, 1 / 40), size=30).astype(float)
    missed = (w[:, :2] == 0).all(axis=1)
    many = batched_least_absolute(D, y, w)
    assert 0 < missed.sum() < 30
    assert (np.abs(many.theta[missed, -1]) <= 1e-12).all()
    assert_as_alone(many, np.broadcast_to(D, (30, *D.shape)), np.broadcast_to(y, w.shape), w, 0.5)


def test_more_columns_than_rows_and_one_design_of_short_rank() -> None:
    rng = np.random.default_rng(4)
    D, y = rng.normal(size=(6, 3, 5)), rng.normal(size=(6, 3))
    assert_as_alone(batched_least_absolute(D, y), D, y, np.ones_like(y), 0.5)
    one, y, _ = plain(rng, 30)
    one, Y = np.column_stack((one, one[:, 1])), y + rng.normal(size=(5, 30))
    assert_as_alone(batched_least_absolute(one, Y), np.broadcast_to(one, (5, *one.shape)), Y, np.ones_like(Y), 0.5)


def test_one_problem_is_an_axis_of_one() -> None:
    D, y, w = plain(np.random.default_rng(5))
    assert_as_alone(batched_least_absolute(D, y), D[None], y[None], w[None], 0.5)


def test_misfits_are_named() -> None:
    D, y, w = plain(np.random.default_rng(6), 10)
    with pytest.raises(UserError, match=r"theirs are \(10,\), \(9,\) and \(10,\)"):
        batched_least_absolute(D, y[1:])
    with pytest.raises(UserError, match=r"theirs are \(3, 10\), \(10,\) and \(2, 10\)"):
        batched_least_absolute(np.stack([D] * 3), y, np.ones((2, 10)))
    with pytest.raises(UserError, match="weights must be positive; the smallest is -1"):
        batched_least_absolute(D, y, -w)
    with pytest.raises(UserError, match="weights must be positive; the smallest is 0"):
        batched_least_absolute(D, y, np.stack((w, 0 * w)))
    with pytest.raises(UserError, match="y must be finite"):
        batched_least_absolute(D, y * np.nan)
    with pytest.raises(UserError, match="tau must be between 0 and 1"):
        batched_least_absolute(D, y, tau=1.0)
