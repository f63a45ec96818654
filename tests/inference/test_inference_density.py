"""The density of the errors at a quantile: numbers of an R program, what must hold, and where it says nothing."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
import torch
from scipy.stats import norm

from noiseworks.inference import uncertainty
from noiseworks.inference.density import row_density
from noiseworks.inference.uncertainty import batched_standard_errors
from noiseworks.noise import AsymmetricLaplace
from noiseworks.solvers.batched import solved_batch
from noiseworks.solvers.linear_problem import LinearProblem, LinearProblems
from noiseworks.solvers.solve import solved

T = torch.from_numpy


def engel(tau: float, weights: np.ndarray | None = None) -> LinearProblem:
    data = sm.datasets.engel.load_pandas().data
    D, y = np.column_stack((np.ones(len(data)), data.income)), data.foodexp.to_numpy(copy=True)
    return LinearProblem.of(AsymmetricLaplace(tau=tau), T(D), T(y), None, None if weights is None else T(weights))


def errors(problem: LinearProblem, method: str = "HC0") -> np.ndarray:
    return uncertainty(problem, solved(problem), method).standard_errors()


def test_as_an_r_program() -> None:
    """R 4, quantreg 5.94:

    smooth <- function(q, x, y, w = rep(1, length(y)), tau = 0.5) {
      x <- w * x; u <- w * y - drop(x %*% coef(q)); m <- mean(abs(u)); J <- crossprod(x)
      V <- m^2 * solve(J); f <- NULL
      for (k in 1:4) {
        h <- sqrt(2 * rowSums((x %*% V) * x)); g <- dnorm(ifelse(abs(u) > 1e-8 * m, u / h, 1)) / h
        f <- if (is.null(f)) g else (f + g) / 2
        B <- solve(crossprod(x, f * x)); V <- tau * (1 - tau) * B %*% J %*% B }
      sqrt(diag(V)) }
    data(engel); x <- cbind(1, engel$income)
    smooth(rq(foodexp ~ income, t, engel), x, engel$foodexp, tau = t); and with weights = rep(1:3, length.out = 235)
    y <- rep(c(0, 1), c(40, 60)); smooth(rq(y ~ 1, .3), matrix(1, 100), y, tau = .3)
    """
    plain = {
        0.1: [21.285167403392013, 0.031166570776957375],
        0.25: [19.133306007356225, 0.025952225235390015],
        0.5: [25.695115365105046, 0.033598335761091454],
        0.75: [26.105585538803229, 0.033310914370121639],
        0.9: [24.689479854313333, 0.029829024107717397],
    }
    weighted = {
        0.1: [23.222547662584777, 0.038304797909970871],
        0.75: [32.746932292739587, 0.042335039432506216],
    }
    for tau, right in plain.items():
        np.testing.assert_allclose(errors(engel(tau), "auto"), right, rtol=1e-8)
    for tau, right in weighted.items():
        np.testing.assert_allclose(errors(engel(tau, 1.0 + np.arange(235) % 3)), right, rtol=1e-8)
    y = T(np.repeat([0.0, 1.0], [40, 60]))
    ties = LinearProblem.of(AsymmetricLaplace(tau=0.3), torch.ones(100, 1, dtype=torch.float64), y, None, None)
    np.testing.assert_allclose(errors(ties), [0.020731352079330467], rtol=1e-8)


def test_close_to_the_kernel_of_r() -> None:
    """summary(rq(foodexp ~ income, t, engel), se = "ker")$coefficients[, 2]: another estimate of the same quantity,
    with one bandwidth for all rows. Some sqrt(235) to 235^(4/5) rows are in the kernels, so that each of the two is
    uncertain by a quarter at most: together less than a factor of 1.6."""
    ker = {
        0.25: [24.16391949185952, 0.029548822319940875],
        0.5: [30.215315852779312, 0.037317035452743508],
        0.75: [29.118756021880248, 0.036216065355573479],
    }
    for tau, right in ker.items():
        np.testing.assert_allclose(np.log(errors(engel(tau)) / right), 0, atol=np.log(1.6))


@pytest.mark.parametrize("tau", [0.25, 0.5])
def test_the_density_of_known_errors(tau: float) -> None:
    """Errors N(0, s_i^2), s_i = exp(x_i / 2), moved so that their tau-quantile is 0: f_i = phi(z) / s_i.

    The sum of m kernels of width h has the relative standard error (2 sqrt(pi) m f h)^(-1/2), and h is at least sqrt(2
    tau (1 - tau) / n) / f, so 0.0096 f^-1 0.32. For m = 10,000, a quarter of the rows, that is 0.1; for all of
    them 0.05.
    """
    rng = np.random.default_rng(3)
    x = np.sort(rng.uniform(-1, 1, size=40_000))
    A, s = np.column_stack((np.ones_like(x), x)), np.exp(x / 2)
    found = row_density(A[None], (s * (rng.normal(size=len(x)) - norm.ppf(tau)))[None], tau).reshape(4, -1).mean(axis=1)
    right = (norm.pdf(norm.ppf(tau)) / s).reshape(4, -1).mean(axis=1)
    np.testing.assert_allclose(found / right, 1, atol=4 * 0.1)
    assert found.mean() == pytest.approx(right.mean(), rel=4 * 0.05)


def test_a_spread_that_no_line_follows() -> None:
    """Errors 0.2 + |x| times as large: the covariance is H^-1 X'X H^-1 / 4, H = sum f_i x_i x_i', f_i = 1 / (2 (0.2 +
    |x_i|)). H rests on the kernels of 20,000 rows, as above uncertain by about 0.06; and 0.15 is less than what the
    slope's standard error loses, a half, if the density is the same in all rows."""
    rng = np.random.default_rng(4)
    x = rng.normal(size=20_000)
    D, s = np.column_stack((np.ones_like(x), x)), 0.2 + np.abs(x)
    y = s * rng.laplace(size=len(x))
    H = np.linalg.inv((D.T * (0.5 / s)) @ D)
    right = np.sqrt(np.diag(H @ D.T @ D @ H) / 4)
    found = errors(LinearProblem.of(AsymmetricLaplace(tau=0.5), T(D), T(y), None, None))
    np.testing.assert_allclose(found, right, rtol=0.15)


@pytest.mark.parametrize(("tau", "n"), [(0.001, 50), (0.999, 50), (0.04, 60), (0.5, 5)])
def test_nothing_is_said_at_the_edge(tau: float, n: int) -> None:
    """Of 50 rows 0.05 lie below the 0.001-quantile, of 60 rows 2.4 below that of 0.04; 3 coefficients want 3."""
    rng = np.random.default_rng(5)
    D, y = np.column_stack((np.ones(n), rng.normal(size=(n, 2)))), rng.normal(size=(1, n))
    problem = LinearProblem.of(AsymmetricLaplace(tau=tau), T(D), T(y[0]), None, None)
    problems = LinearProblems.of(AsymmetricLaplace(tau=tau), T(D), T(y), None, None)
    for method in ("iid", "HC0", "HC3"):
        assert np.isnan(errors(problem, method)).all()
        assert np.isnan(batched_standard_errors(problems, solved_batch(problems), method)).all()


@pytest.mark.parametrize("tau", [0.05, 0.95, 0.5])
def test_finite_up_to_the_edge(tau: float) -> None:
    """60 rows, 3 beyond the quantile, for 3 coefficients; and 6 rows for the median. At most 100 times those of the
    middle of many rows: no step swings out."""
    for n in (60, 200) if tau != 0.5 else (6, 7, 10):
        for seed in range(20):
            rng = np.random.default_rng(seed)
            D, y = np.column_stack((np.ones(n), rng.normal(size=(n, 2)))), rng.standard_t(3, size=n)
            found = errors(LinearProblem.of(AsymmetricLaplace(tau=tau), T(D), T(y), None, None))
            assert (found > 0.1 / np.sqrt(n)).all()
            assert (found < 100).all()


def test_a_level_of_few_rows() -> None:
    """Five rows of 2,000 have an indicator of their own. Their median is off by sqrt(pi / 2 / 5) = 0.56, as that of
    many would be; with so few in its kernel, which is wide, this is found up to a factor of 3."""
    rng = np.random.default_rng(6)
    own = np.arange(2000) < 5
    D, y = np.column_stack((np.ones(2000), own)).astype(float), rng.normal(size=2000)
    found = errors(LinearProblem.of(AsymmetricLaplace(tau=0.5), T(D), T(y), None, None))[1]
    assert 0.56 / 2 < found < 0.56 * 3
