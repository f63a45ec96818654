"""Quantile regression (tau = 1/2: Laplace noise) where it is small: against HiGHS, R, and what must hold."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import linprog, lsq_linear
from solvers_quantiles import CASES, best, check, fit, plain, problem, value
from statsmodels.datasets import engel

from noiseworks.errors import UserError
from noiseworks.noise import Laplace
from noiseworks.solvers.quantile.least_absolute import at_vertex
from noiseworks.solvers.quantile.optimal_range import optimal_range
from noiseworks.solvers.solve import solve

every_case = pytest.mark.parametrize("case", CASES)
TAUS = [0.5, 0.1, 0.75, 0.5]


@every_case
@pytest.mark.parametrize("seed", range(4))
def test_as_good_as_highs(case: str, seed: int) -> None:
    """1e-9 of the objective; for HiGHS its own tolerance, and for both what rounding of y alone costs."""
    D, y, w = CASES[case](np.random.default_rng(seed))
    tau = TAUS[seed]
    answer = fit(D, y, w, tau)
    mine, other = value(D, y, w, answer.theta.numpy(), tau), best(D, y, w, tau)
    rounding = 1e-13 * w.sum() * np.abs(y).max()
    assert mine <= other * (1 + 1e-9) + rounding
    assert answer.gradient <= 1e-9
    assert answer.rank == np.linalg.matrix_rank(D / np.abs(D).max(axis=0))


@every_case
@pytest.mark.parametrize("seed", range(4))
def test_zero_is_a_subgradient(case: str, seed: int) -> None:
    """D'(w x) = 0 for some x in [tau - 1, tau], at a bound where the residual is not zero: bounded least squares finds
    the nearest, which also says that no HiGHS was needed to know the optimum."""
    D, y, w = CASES[case](np.random.default_rng(seed))
    tau = TAUS[seed]
    residual = y - D @ fit(D, y, w, tau).theta.numpy()
    zero = np.abs(residual) <= 1e-11 * max(np.abs(y).max(), 1e-300)
    D = D / np.abs(D).max(axis=0)
    right = D[~zero].T @ (w[~zero] * np.where(residual[~zero] > 0, tau, tau - 1))
    assert zero.sum() >= min(np.linalg.matrix_rank(D), len(D))
    columns = (D[zero] * w[zero, None]).T
    found = lsq_linear(columns, -right, (tau - 1 - 1e-12, tau + 1e-12), tol=1e-14)
    assert np.abs(columns @ found.x + right).max() <= 1e-7 * w.sum()


@every_case
@pytest.mark.parametrize("seed", range(2))
def test_the_certificate_is_feasible(case: str, seed: int) -> None:
    """The dual values that prove the optimum: within their bounds, orthogonal to the columns, of the same value."""
    D, y, w = CASES[case](np.random.default_rng(seed))
    posed, tau = problem(D, y, w), TAUS[seed]
    design, found = at_vertex(posed, tau)
    A, w = design.orthogonal(), posed.weights
    assert found.x.max() <= tau * (1 + 1e-9)
    assert found.x.min() >= (tau - 1) * (1 + 1e-9)
    np.testing.assert_allclose(A.T @ (w * found.x), 0, atol=1e-10 * len(y))
    primal = w @ check(found.residual, tau)
    assert (w * found.x) @ found.residual == pytest.approx(primal, rel=1e-9, abs=1e-12 * np.abs(y).max())


def test_engel_as_quantreg() -> None:
    """R 4, quantreg 5.94: data(engel); f <- rq(foodexp ~ income, tau = ..., data = engel); coef(f); f$rho"""
    data = engel.load_pandas().data.to_numpy()
    D, y = np.column_stack((np.ones(len(data)), data[:, 0])), data[:, 1].copy()
    expected = {
        0.05: (124.88004081257342648, 0.34336105763204217, 2174.3173153176836),
        0.25: (95.48353963455285509, 0.47410320819331025, 7082.3158989748781),
        0.5: (81.48224741693621809, 0.56018055120941956, 8779.9663238128469),
        0.9: (67.35087208012974713, 0.68629948037190536, 3391.9837110282483),
        0.95: (64.10396318105516400, 0.70906851696214657, 1900.2442245062171),
    }
    for tau, (intercept, slope, rho) in expected.items():
        theta = fit(D, y, tau=tau).theta.numpy()
        np.testing.assert_allclose(theta, [intercept, slope], rtol=1e-11)
        assert value(D, y, np.ones(len(y)), theta, tau) == pytest.approx(rho, rel=1e-12)


@pytest.mark.parametrize("tau", [0.5, 0.1, 0.9])
def test_affine_maps(tau: float) -> None:
    """y -> c y + D g and D -> D M move theta to M^-1 (c theta + g); y -> -y makes tau into 1 - tau."""
    D, y, w = plain(np.random.default_rng(0), 71)
    M = np.array([[1.0, 2, 0, 1], [0, 3, 1, 0], [0, 0, -2, 1], [0, 0, 0, 0.1]])
    g, theta = np.array([5.0, -3, 2, 1]), fit(D, y, w, tau).theta.numpy()
    np.testing.assert_allclose(fit(D, 7 * y + D @ g, w, tau).theta, 7 * theta + g, rtol=1e-11)
    np.testing.assert_allclose(fit(D @ M, y, w, tau).theta, np.linalg.solve(M, theta), rtol=1e-10)
    np.testing.assert_allclose(fit(D, -y, w, 1 - tau).theta, -theta, rtol=1e-11)


@pytest.mark.parametrize("tau", [0.5, 0.3])
def test_weight_two_is_the_row_twice(tau: float) -> None:
    D, y, _ = plain(np.random.default_rng(1), 53)
    copies = 1 + np.arange(53) % 3
    twice = fit(D.repeat(copies, axis=0), y.repeat(copies), tau=tau)
    np.testing.assert_allclose(fit(D, y, copies.astype(float), tau).theta, twice.theta, rtol=1e-11)


@pytest.mark.parametrize("tau", [0.01, 0.25, 0.5, 0.61, 0.99])
def test_the_constant_is_the_quantile(tau: float) -> None:
    y = np.random.default_rng(2).standard_cauchy(size=101)
    assert fit(np.ones((101, 1)), y, tau=tau).theta.item() == np.quantile(y, tau, method="inverted_cdf")


@pytest.mark.parametrize("steps", [0, 2])
def test_pivots_alone_get_there(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    """From wherever the interior point method stops, in so many rounds."""
    D, y, w = plain(np.random.default_rng(3))
    whole = fit(D, y, w, 0.3)
    monkeypatch.setattr("noiseworks.solvers.quantile.interior_point.MAX_STEPS", steps)
    short = fit(D, y, w, 0.3)
    assert short.gradient <= 1e-9
    np.testing.assert_allclose(short.theta, whole.theta, rtol=1e-11)


def test_what_is_not_optimal_is_not_certified(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("noiseworks.solvers.quantile.interior_point.MAX_STEPS", 0)
    monkeypatch.setattr("noiseworks.solvers.quantile.crossover.PIVOTS", 0)
    with pytest.raises(UserError, match=r"optimal only to a relative duality gap of [0-9.e+-]+"):
        fit(*plain(np.random.default_rng(3)))


@pytest.mark.parametrize("tau", [0.0, 1.0, -0.5, float("nan")])
def test_no_level_outside_of_zero_and_one(tau: float) -> None:
    with pytest.raises(UserError, match="tau must be between 0 and 1, a quantile level; it is"):
        fit(*plain(np.random.default_rng(0)), tau)


def test_the_range_of_medians() -> None:
    y = np.array([4.0, 1.0, 9.0, 2.0])
    answer = fit(np.ones((4, 1)), y)
    assert not answer.unique
    np.testing.assert_array_equal(optimal_range(problem(np.ones((4, 1)), y)), [[2.0, 4.0]])
    assert fit(np.ones((3, 1)), y[:3]).unique
    np.testing.assert_array_equal(optimal_range(problem(np.ones((3, 1)), y[:3])), [[4.0, 4.0]])


@pytest.mark.parametrize("seed", range(25))
def test_the_range_as_highs_has_it(seed: int) -> None:
    """min and max of each coefficient under the constraint that the objective is the best one; few integers, where
    optima are rarely unique."""
    rng = np.random.default_rng(seed)
    n, P, tau = int(rng.integers(4, 16)), int(rng.integers(1, 4)), [0.5, 0.25][seed % 2]
    D, y = np.column_stack((np.ones(n), rng.integers(0, 4, size=(n, P - 1)))), rng.integers(0, 5, size=n).astype(float)
    if np.linalg.matrix_rank(D) < P:
        D[:P] += np.eye(P)
    answer = fit(D, y, tau=tau)
    least = value(D, y, np.ones(n), answer.theta.numpy(), tau)
    cost = np.concatenate((np.zeros(P), np.full(n, tau), np.full(n, 1 - tau)))
    rows, bounds = np.hstack((D, np.eye(n), -np.eye(n))), [(None, None)] * P + [(0, None)] * (2 * n)
    expected = np.empty((P, 2))
    for j in range(P):
        for end, sign in enumerate((1.0, -1.0)):
            objective = sign * np.eye(P + 2 * n)[j]
            found = linprog(objective, cost[None], [least + 1e-12], rows, y, bounds)
            expected[j, end] = found.x[j]
    np.testing.assert_allclose(optimal_range(problem(D, y), tau), expected, atol=1e-6)
    assert answer.unique == bool((np.ptp(expected, axis=1) < 1e-6).all())


def test_tens_of_thousands_of_ties() -> None:
    """Most counts are 0, and so is the median of every row: the fit passes through all of those rows."""
    rng = np.random.default_rng(11)
    X = rng.normal(size=(60_000, 3))
    y = rng.poisson(np.exp(0.3 * X[:, 0] - 1.5)).astype(float)
    answer = solve(Laplace(), torch.from_numpy(np.column_stack((np.ones(len(X)), X))), torch.from_numpy(y))
    assert answer.unique
    assert np.abs(answer.theta.numpy()).max() < 1e-12
    assert answer.scale == pytest.approx(y.mean(), rel=1e-12)
