"""Many exact answers side by side: each as if alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from solvers_nist import data

from noiseworks.errors import UserError
from noiseworks.noise import (
    AsymmetricLaplace,
    Gaussian,
    Huber,
    Laplace,
    LogNormal,
    NegativeBinomial,
    Noise,
    Poisson,
    StudentT,
)
from noiseworks.solvers import linear_problem as problems
from noiseworks.solvers.batched import solve_batch
from noiseworks.solvers.solution import Solutions
from noiseworks.solvers.solve import solve

T = torch.from_numpy
Array = NDArray[np.float64]
ASYMMETRIC = AsymmetricLaplace(tau=0.3)
SIDE_BY_SIDE = [
    Gaussian(),
    LogNormal(),
    Poisson(),
    Poisson(link="softplus"),
    Poisson(link="identity"),
    Laplace(),
    ASYMMETRIC,
]
ONE_BY_ONE = [Huber(), StudentT(), NegativeBinomial()]


def drawn(noise: Noise, rng: np.random.Generator, K: int, n: int, shared: bool) -> tuple[Array, Array]:
    """D (n, 3) or (K, n, 3) in units of their own, y (K, n); rates are far above 0."""
    D = np.concatenate((np.ones((K, n, 1)), rng.uniform(-1, 1, size=(K, n, 2))), axis=2)
    D = D[0] if shared else D
    eta = np.broadcast_to(D @ np.array([4.0, 0.5, -0.3]), (K, n)).copy()
    y = noise.with_scale(0.7).sample(T(eta), torch.Generator().manual_seed(1)).numpy()
    return D * np.array([1.0, 1e-4, 1e3]), y


def assert_as_alone(
    noise: Noise, many: Solutions, D: Array, y: Array, offset: Array | None = None, w: Array | None = None
) -> None:
    """Coefficients to 1e-9 of the largest, in units of their columns; for Laplace the objective."""
    for k in range(len(many)):
        own, o, weights = D if D.ndim == 2 else D[k], *(None if v is None else T(v[k]) for v in (offset, w))
        alone = solve(noise, T(own), T(y[k]), o, weights)
        size = np.abs(own).max(axis=0)
        theta = alone.theta.numpy() * size
        if alone.unique:
            np.testing.assert_allclose(many.theta[k] * size, theta, rtol=1e-9, atol=1e-9 * np.abs(theta).max(initial=0))
        assert many.rank[k] == alone.rank
        assert many.unique[k] == alone.unique
        assert many.kind == alone.kind
        assert many.gradient[k] < 1e-8
        if alone.scale is None:
            assert np.isnan(many.scale[k])
        else:  # of Laplace noise it is the objective
            assert many.scale[k] == pytest.approx(alone.scale, rel=1e-9)


@pytest.mark.parametrize("shared", [True, False], ids=["one design", "designs of their own"])
@pytest.mark.parametrize("noise", [*SIDE_BY_SIDE, *ONE_BY_ONE], ids=str)
def test_each_as_if_alone(noise: Noise, shared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights of zero, as in a bootstrap; an offset; blocks of a few members."""
    monkeypatch.setattr(problems, "MEMBERS_CACHED", 400)
    rng = np.random.default_rng(0)
    K, n = (6, 60) if noise in SIDE_BY_SIDE else (2, 60)
    D, y = drawn(noise, rng, K, n, shared)
    assert_as_alone(noise, solve_batch(noise, T(D), T(y)), D, y)
    w = rng.multinomial(n, np.full(n, 1 / n), size=K) * rng.uniform(0.5, 2, size=(K, n))
    offset = rng.uniform(0, 0.5, size=(K, n))
    assert_as_alone(noise, solve_batch(noise, T(D), T(y), T(offset), T(w)), D, y, offset, w)


@pytest.mark.parametrize("noise", SIDE_BY_SIDE, ids=str)
def test_one_target_for_all_and_many_designs(noise: Noise) -> None:
    rng = np.random.default_rng(1)
    D, y = drawn(noise, rng, 4, 40, shared=False)
    w = rng.uniform(0.5, 2, size=40)
    many = solve_batch(noise, T(D), T(y[0]), weights=T(w))
    assert_as_alone(noise, many, D, np.stack([y[0]] * 4), None, np.stack([w] * 4))


def test_the_batch_is_solved_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing falls back to one by one without a reason."""
    monkeypatch.setattr("noiseworks.solvers.batched.solved", lambda problem: pytest.fail("solved alone"))
    rng = np.random.default_rng(2)
    for noise in SIDE_BY_SIDE:
        for shared in (True, False):
            D, y = drawn(noise, rng, 20, 50, shared)
            many = solve_batch(noise, T(D), T(y), weights=T(rng.multinomial(50, np.full(50, 0.02), size=20)))
            assert not many.failures
            assert np.isfinite(many.theta).all()


@pytest.mark.parametrize("noise", [Gaussian(), Poisson(), Laplace()], ids=str)
def test_short_rank_is_a_minimum_norm_of_its_own(noise: Noise) -> None:
    """A column twice for all; a column of two rows, which some replicates miss. A design of zeros has no answer."""
    rng = np.random.default_rng(3)
    D, y = drawn(noise, rng, 20, 40, shared=True)
    D = D / np.abs(D).max(axis=0)
    w = rng.multinomial(40, np.full(40, 1 / 40), size=20).astype(float)
    twice = np.column_stack((D, D[:, 1]))
    many = solve_batch(noise, T(twice), T(y), weights=T(w))
    assert (many.rank == 3).all()
    assert_as_alone(noise, many, twice, y, None, w)
    rare = np.column_stack((D, np.arange(40) < 2)).astype(float)
    y[:, :2] += 1  # no rate of zero
    many = solve_batch(noise, T(rare), T(y), weights=T(w))
    missed = (w[:, :2] == 0).all(axis=1)
    assert 0 < missed.sum() < 20
    np.testing.assert_array_equal(many.rank, np.where(missed, 3, 4))
    np.testing.assert_allclose(many.theta[missed, 3], 0, atol=1e-12)
    assert_as_alone(noise, many, rare, y, None, w)
    own = np.stack([twice] * 19 + [0 * twice])
    many = solve_batch(noise, T(own), T(y))
    assert list(many.failures) == [19]
    assert "rank 0" in many.failures[19]
    assert np.isnan(many.theta[19]).all()


def test_hard_least_squares_among_easy_ones() -> None:
    """NIST's Longley (condition 5e9) and a perfect fit are as accurate as alone; so are columns far from zero."""
    D, y = data("longley")
    rng = np.random.default_rng(4)
    easy = np.column_stack((np.ones(16), rng.normal(size=(16, 6))))
    far = easy + np.array([0, 1e4, 1e5, 1e6, 0, 0, 0])
    designs = np.stack([D.astype(float), easy, far, easy])
    targets = np.stack([y.astype(float), rng.normal(size=16), rng.normal(size=16), easy @ np.arange(1.0, 8)])
    many = solve_batch(Gaussian(), T(designs), T(targets))
    for k in range(4):
        alone = solve(Gaussian(), T(designs[k]), T(targets[k]))
        np.testing.assert_allclose(many.theta[k], alone.theta, rtol=1e-10, atol=1e-14)
        assert many.scale[k] == pytest.approx(alone.scale, rel=1e-10)
        assert (many.gradient[k] == 0) == (alone.gradient == 0)
    shared = solve_batch(Gaussian(), T(far), T(targets))
    for k in range(4):
        np.testing.assert_allclose(shared.theta[k], solve(Gaussian(), T(far), T(targets[k])).theta, rtol=1e-10)


def test_separation_fails_one_member_only() -> None:
    """The second column is 1 in two rows; a replicate whose counts there are all zero has no finite optimum."""
    D = np.column_stack((np.ones(12), np.arange(12) < 2)).astype(float)
    y = np.array([0.0, 3, 1, 2, 4, 1, 0, 2, 3, 1, 2, 2])
    w = np.ones((3, 12))
    w[1, 1] = 0
    many = solve_batch(Poisson(), T(D), T(y), weights=T(w))
    assert set(many.failures) == {1}
    assert "no finite optimum" in many.failures[1]
    assert many.one(1) is None
    assert np.isnan(many.theta[1]).all()
    closed = [np.log(18 / 10), np.log(3 / 2) - np.log(18 / 10)]  # logs of the mean counts of both groups
    np.testing.assert_allclose(many.theta[[0, 2]], [closed, closed], rtol=1e-12)


def test_a_given_scale_stays() -> None:
    D, y = drawn(Gaussian(), np.random.default_rng(5), 3, 30, shared=True)
    many = solve_batch(Gaussian(scale=2.5), T(D), T(y))
    assert (many.scale == 2.5).all()
    assert (many.gradient < 1e-10).all()


def test_constant_and_no_columns() -> None:
    """The mean, the median, log of the mean; with no columns theta is empty."""
    y = np.random.default_rng(6).poisson(3.0, size=(5, 31)).astype(float)
    ones = torch.ones(31, 1, dtype=torch.float64)
    np.testing.assert_allclose(solve_batch(Gaussian(), ones, T(y)).theta[:, 0], y.mean(axis=1), rtol=1e-14)
    np.testing.assert_allclose(solve_batch(Laplace(), ones, T(y)).theta[:, 0], np.median(y, axis=1), rtol=1e-14)
    np.testing.assert_allclose(solve_batch(Poisson(), ones, T(y)).theta[:, 0], np.log(y.mean(axis=1)), rtol=1e-12)
    for noise in (Gaussian(), Poisson(), Laplace()):
        none = solve_batch(noise, ones[:, :0], T(y))
        assert none.theta.shape == (5, 0)
        assert not none.failures


def test_misfits_are_named() -> None:
    D, y = drawn(Gaussian(), np.random.default_rng(7), 3, 10, shared=True)
    with pytest.raises(UserError, match=r"given: D \(10, 3\), y \(3, 9\)"):
        solve_batch(Gaussian(), T(D), T(y[:, 1:].copy()))
    with pytest.raises(UserError, match=r"weights \(2, 10\)"):
        solve_batch(Gaussian(), T(D), T(y), weights=torch.ones(2, 10))
    with pytest.raises(UserError, match="weights must be positive; the smallest is -1"):
        solve_batch(Gaussian(), T(D), T(y), weights=-torch.ones(10))
    with pytest.raises(UserError, match="offset must be finite"):
        solve_batch(Gaussian(), T(D), T(y), torch.full((10,), torch.nan))
    y[2, 4] = -1
    with pytest.raises(UserError, match="y of problem 2 is -1 in row 5"):
        solve_batch(Poisson(), T(D), T(np.abs(y) * np.where(y == -1, -1, 1)))
