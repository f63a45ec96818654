"""Quantiles other than the median: R's quantreg, and what must hold between levels."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
import torch
from test_solvers_properties import THETA, example

from noiseworks.errors import UserError
from noiseworks.inference import criteria, uncertainty
from noiseworks.inference.density import bandwidth
from noiseworks.noise import AsymmetricLaplace, Gaussian, Laplace
from noiseworks.solvers.linear_problem import LinearProblem
from noiseworks.solvers.solve import solved
from soaked import only

T = torch.from_numpy
WEIGHTS = 1.0 + np.arange(235) % 3


def engel(tau: float, weights: np.ndarray | None = None) -> LinearProblem:
    data = sm.datasets.engel.load_pandas().data
    D, y = np.column_stack((np.ones(len(data)), data.income)), data.foodexp.to_numpy(copy=True)
    return LinearProblem.of(AsymmetricLaplace(tau=tau), T(D), T(y), None, None if weights is None else T(weights))


def spread_of_many(tau: float, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Estimates and iid variances (size, 2) of data sets of 200 rows."""
    answers, variances = [], []
    x = torch.tensor(rng.normal(size=200))
    D = torch.stack((torch.ones(200, dtype=torch.float64), x), 1)
    for _ in range(size):
        problem = LinearProblem.of(AsymmetricLaplace(tau=tau), D, x + T(rng.exponential(size=200)), None, None)
        answer = solved(problem)
        answers.append(answer.theta.numpy())
        variances.append(uncertainty(problem, answer, "iid").standard_errors() ** 2)
    return np.array(answers), np.array(variances)


def test_engel_as_r_rq() -> None:
    """R 4, quantreg 5.94: data(engel); f <- rq(foodexp ~ income, tau = ..., data = engel); coef(f)

    summary(f, se = "iid")$coefficients[, 2]
    """
    right = {
        0.1: ([110.14157420494839812, 0.40176575930348052], [17.863830908836249, 0.016083058021566246]),
        0.25: ([95.48353963455285509, 0.47410320819331025], [15.861907650377637, 0.014280698377387869]),
        0.75: ([62.39658552896440824, 0.64401413936869001], [10.671063804932858, 0.0096073087123590105]),
        0.9: ([67.35087208012974713, 0.68629948037190536], [20.567398191620917, 0.018517117641595793]),
    }
    for tau, (theta, iid) in right.items():
        problem = engel(tau)
        answer = solved(problem)
        np.testing.assert_allclose(answer.theta, theta, rtol=1e-11)
        np.testing.assert_allclose(uncertainty(problem, answer, "iid").standard_errors(), iid, rtol=1e-8)


def test_weighted_engel_as_r_rq() -> None:
    """The same with weights = rep(1:3, length.out = 235)."""
    right = {
        0.1: ([148.92191476947323, 0.33851176746353567], [16.652446972722519, 0.015383479791799852]),
        0.75: ([66.994328349992330, 0.63827034075426792], [7.9988849757534499, 0.0073893455768390889]),
    }
    for tau, (theta, iid) in right.items():
        problem = engel(tau, WEIGHTS)
        answer = solved(problem)
        np.testing.assert_allclose(answer.theta, theta, rtol=1e-11)
        np.testing.assert_allclose(uncertainty(problem, answer, "iid").standard_errors(), iid, rtol=1e-8)


def test_bandwidth_as_r() -> None:
    """bandwidth.rq(c(.1, .25, .9), 235)"""
    right = {0.1: 0.056067784910999487, 0.25: 0.10904011295465676, 0.9: 0.056067784910999487}
    assert {tau: bandwidth(235, tau) for tau in right} == pytest.approx(right, rel=1e-12)


def test_criteria_as_r() -> None:
    """f <- rq(foodexp ~ income, tau = 0.9, data = engel); logLik(f); R counts no scale for the AIC, we do

    1 - f$rho / rq(foodexp ~ 1, tau = 0.9, data = engel)$rho
    """
    problem = engel(0.9)
    answer = solved(problem)
    assert answer.scale is not None
    assert answer.scale == pytest.approx(3391.98371102830814 / 235, rel=1e-12)
    nll = -np.log(0.9 * 0.1 / answer.scale) + 1
    found = criteria(problem, answer, nll)
    assert found["log_likelihood"] == pytest.approx(-1428.21961797015455886, rel=1e-12)
    assert found["aic"] == pytest.approx(2860.4392359403091 + 2, rel=1e-12)
    assert found["deviance_explained"] == pytest.approx(0.76471461452942668, rel=1e-12)


def test_level_one_half_is_laplace() -> None:
    """Of half its scale; the same coefficients and standard errors."""
    D, y = example(Laplace())
    half, laplace = (LinearProblem.of(noise, D, y, None, None) for noise in (AsymmetricLaplace(), Laplace()))
    ours, theirs = solved(half), solved(laplace)
    assert ours.theta.equal(theirs.theta)
    assert ours.scale == pytest.approx(theirs.scale / 2, rel=1e-12)
    for method in ("iid", "HC0", "HC3", "information"):
        errors = uncertainty(half, ours, method).standard_errors()
        np.testing.assert_allclose(errors, uncertainty(laplace, theirs, method).standard_errors(), rtol=1e-9)


@pytest.mark.parametrize("tau", [0.02, 0.3, 0.9])
def test_shares_below_and_mirror_image(tau: float) -> None:
    """At most tau n residuals are negative and at most (1 - tau) n positive; the tau-quantiles of -y are minus the
    (1 - tau)-quantiles of y."""
    D, y = example(Gaussian(), 4, 151)
    answer = solved(LinearProblem.of(AsymmetricLaplace(tau=tau), D, y, None, None))
    residual = (y - D @ answer.theta).numpy()
    zero = np.abs(residual) < 1e-12
    assert zero.sum() == 3
    assert (residual[~zero] < 0).sum() <= tau * 151
    assert (residual[~zero] > 0).sum() <= (1 - tau) * 151
    mirror = solved(LinearProblem.of(AsymmetricLaplace(tau=1 - tau), D, -y, None, None))
    torch.testing.assert_close(mirror.theta, -answer.theta, rtol=1e-10, atol=1e-12)
    moved = solved(LinearProblem.of(AsymmetricLaplace(tau=tau), D, 3 * y + D @ THETA, None, None))
    torch.testing.assert_close(moved.theta, 3 * answer.theta + THETA, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("tau", only([0.2, 0.8], 0.2))
def test_standard_errors_of_a_skewed_law(tau: float) -> None:
    """Errors Exp(1): eta_tau = x - log(1 - tau), f(0) = 1 - tau, so that the variance of the slope tends to tau / (1 -
    tau) / sum x^2. The sample variance of 300 estimates of kurtosis below 4 has the standard error sqrt(3 / 300) = 0.1
    of itself; 4 of them, and 10 % for n = 200. The mean of 300 intercepts has that of one over sqrt(300); their bias is
    of order 1 / (n f) = 0.025."""
    answers, variances = spread_of_many(tau, 300, np.random.default_rng(5))
    assert answers[:, 0].mean() == pytest.approx(-np.log(1 - tau), abs=0.025 + 4 * answers[:, 0].std() / np.sqrt(300))
    right = tau / (1 - tau) / 200
    assert answers.var(axis=0) == pytest.approx([right, right], rel=0.5)
    assert variances.mean(axis=0) == pytest.approx(answers.var(axis=0), rel=0.5)


def test_errors_that_are_all_the_same_near_zero() -> None:
    """The line through equal residuals is flat. R: y <- rep(c(0, 1), c(40, 60)); q <- rq(y ~ 1, tau = 0.3)

    summary(q, se = "iid")
    """
    y = T(np.repeat([0.0, 1.0], [40, 60]))
    problem = LinearProblem.of(AsymmetricLaplace(tau=0.3), torch.ones(100, 1, dtype=torch.float64), y, None, None)
    answer = solved(problem)
    assert answer.theta.item() == 0
    assert uncertainty(problem, answer, "iid").standard_errors() == pytest.approx([0], abs=1e-12)


@pytest.mark.parametrize("tau", [0, 1, -0.1, 1.5, float("nan"), None, True, "half"])
def test_a_level_outside_is_refused(tau: object) -> None:
    with pytest.raises(UserError, match=f"noise.tau={tau} is no quantile level; it must be a number above 0 and below"):
        AsymmetricLaplace(tau=tau)
