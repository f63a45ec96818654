"""References for what Newton's method finds: R, statsmodels, SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
import torch
from scipy import stats
from scipy.optimize import minimize

from noiseworks.errors import UserError
from noiseworks.noise import Gaussian, Huber, NegativeBinomial, Noise, Poisson, StudentT
from noiseworks.solvers.solve import solve

T = torch.from_numpy
BREAKS = np.array([
    26, 30, 54, 25, 70, 52, 51, 26, 67, 18, 21, 29, 17, 12, 18, 35, 30, 36, 36, 21, 24, 18, 10, 43, 28, 15, 26, 27, 14,
    29, 19, 29, 31, 41, 20, 44, 42, 26, 19, 16, 39, 28, 21, 39, 29, 20, 21, 24, 17, 13, 15, 15, 16, 28,
], dtype=float)  # fmt: skip


def warpbreaks() -> torch.Tensor:
    """Columns: one, wool B, tension M, tension H."""
    wool, tension = np.repeat([0, 1], 27), np.tile(np.repeat([0, 1, 2], 9), 2)
    return T(np.column_stack((np.ones(54), wool, tension == 1, tension == 2)).astype(float))


def counts(seed: int, n: int = 200) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    D, offset, w = np.column_stack((np.ones(n), rng.normal(size=(n, 2)))), rng.normal(size=n), rng.uniform(0.5, 3, n)
    y = rng.poisson(rng.gamma(2, 0.5, n) * np.exp(D @ [0.5, 0.4, -0.3] + offset)).astype(float)
    return D, y, offset, w


def test_warpbreaks_as_r_glm() -> None:
    """R 4: tight <- list(epsilon = 1e-15, maxit = 100)

    coef(glm(breaks ~ wool + tension, poisson, warpbreaks, control = tight))
    x <- 1:10; y <- c(2, 3, 6, 7, 8, 9, 10, 12, 15, 20)
    coef(glm(y ~ x, poisson(link = "identity"), control = tight))
    """
    log = [3.691963144940797, -0.205988442638622, -0.321320431600612, -0.518488496511561]
    np.testing.assert_allclose(solve(Poisson(), warpbreaks(), T(BREAKS)).theta, log, rtol=1e-11)
    D = T(np.column_stack((np.ones(10), np.arange(1.0, 11))))
    y = T(np.array([2.0, 3, 6, 7, 8, 9, 10, 12, 15, 20]))
    answer = solve(Poisson(link="identity"), D, y)
    np.testing.assert_allclose(answer.theta, [0.186228368703456, 1.638867569326645], rtol=1e-7)  # R's own accuracy
    assert answer.scale is None


def test_warpbreaks_as_r_glm_nb() -> None:
    """R 4, MASS 7.3-58.2:

    m <- glm.nb(breaks ~ wool + tension, warpbreaks, control = glm.control(epsilon = 1e-14, maxit = 200))
    coef(m); 1 / m$theta; -logLik(m) / 54
    """
    answer = solve(NegativeBinomial(), warpbreaks(), T(BREAKS))
    theta = [3.673354566579145, -0.186211052351016, -0.299227238628680, -0.511395515191389]
    np.testing.assert_allclose(answer.theta, theta, rtol=1e-8)
    assert answer.scale == pytest.approx(0.100559255918408, rel=1e-6)  # glm.nb stops its own iteration early
    nll = NegativeBinomial(dispersion=answer.scale).nll(warpbreaks() @ answer.theta, T(BREAKS)).mean()
    assert float(nll) == pytest.approx(3.69225747942599, rel=1e-12)


def test_poisson_with_offset_and_weights_as_statsmodels() -> None:
    D, y, offset, w = counts(0)
    model = sm.GLM(y, D, family=sm.families.Poisson(), offset=offset, freq_weights=w).fit(tol=1e-14, maxiter=100)
    answer = solve(Poisson(), T(D), T(y), offset=T(offset), weights=T(w))
    np.testing.assert_allclose(answer.theta, model.params, rtol=1e-9)


def test_negative_binomial_as_statsmodels() -> None:
    D, y, offset, _ = counts(1)
    model = sm.NegativeBinomial(y, D, offset=offset).fit(method="bfgs", gtol=1e-6, maxiter=500, disp=0)
    answer = solve(NegativeBinomial(), T(D), T(y), offset=T(offset))
    np.testing.assert_allclose([*answer.theta, answer.scale], model.params, rtol=1e-5)


def heavy(seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    D = np.column_stack((np.ones(80), rng.normal(size=(80, 2))))
    return D, D @ [5.0, 2.0, -1.0] + 3 * rng.standard_t(3, size=80)


def huber_nll(u: np.ndarray) -> np.ndarray:
    delta = 1.345
    rho = np.where(np.abs(u) <= delta, u**2 / 2, delta * np.abs(u) - delta**2 / 2)
    mass = np.sqrt(2 * np.pi) * (2 * stats.norm.cdf(delta) - 1) + 2 * np.exp(-(delta**2) / 2) / delta
    return rho + np.log(mass)


@pytest.mark.parametrize("noise", [Huber(scale_estimator="likelihood"), StudentT(df=3.0)])
def test_joint_location_and_scale_as_scipy(noise: Noise) -> None:
    """The likelihood written out once more and minimized by BFGS from least squares; StudentT has one optimum here."""
    D, y = heavy(2)
    standard = huber_nll if isinstance(noise, Huber) else lambda u: -stats.t.logpdf(u, 3)
    first = np.append(np.linalg.lstsq(D, y)[0], 1.0)
    found = minimize(lambda v: np.mean(standard((y - D @ v[:3]) * np.exp(-v[3])) + v[3]), first, options={"gtol": 1e-6})
    answer = solve(noise, T(D), T(y))
    np.testing.assert_allclose([*answer.theta, np.log(answer.scale)], found.x, rtol=1e-4)
    assert answer.kind == ("optimum" if isinstance(noise, Huber) else "stationary point")


def test_student_t_starts_alike_from_laplace_and_huber(monkeypatch: pytest.MonkeyPatch) -> None:
    D, y = heavy(3)
    from_laplace = solve(StudentT(), T(D), T(y)).theta
    monkeypatch.setattr("noiseworks.solvers.location_scale.SMALL", 0)
    np.testing.assert_allclose(solve(StudentT(), T(D), T(y)).theta, from_laplace, rtol=1e-10)


def test_student_t_sees_past_gross_outliers() -> None:
    """A third of the rows far off: least squares is lost, and so would be Newton's method from there."""
    rng = np.random.default_rng(4)
    D = np.column_stack((np.ones(90), rng.normal(size=90)))
    y = D @ [1.0, 2.0] + 0.1 * rng.normal(size=90)
    y[:30] += 1e4 * (1 + D[:30, 1])
    answer = solve(StudentT(df=1.0), T(D), T(y))
    np.testing.assert_allclose(answer.theta, [1.0, 2.0], atol=0.1)
    assert answer.scale < 1


def test_underdispersed_counts_have_poissons_answer() -> None:
    D, *_ = counts(5)
    y = np.exp(D @ [1.5, 0.4, -0.3]).round()
    answer, poisson = solve(NegativeBinomial(), T(D), T(y)), solve(Poisson(), T(D), T(y))
    assert answer.scale == pytest.approx(1e-8)
    np.testing.assert_allclose(answer.theta, poisson.theta, atol=1e-6)


@pytest.mark.parametrize("noise", [Poisson(), Poisson(link="softplus"), NegativeBinomial()])
def test_no_finite_optimum(noise: Noise) -> None:
    """Group 1 has zero counts only: its coefficient goes to minus infinity."""
    D, y, *_ = counts(6)
    group = (D[:, 1] > 1).astype(float)
    y = y * (1 - group)
    first = int(group.argmax()) + 1
    with pytest.raises(UserError, match=f"no finite optimum: the counts are all zero .*first of them row {first}"):
        solve(noise, T(np.column_stack((D, group))), T(y))


def test_all_counts_zero() -> None:
    D, y, *_ = counts(7)
    for noise in (Poisson(), NegativeBinomial()):
        with pytest.raises(UserError, match="no finite optimum: all 200 counts are zero"):
            solve(noise, T(D), T(0 * y))


def test_a_group_with_one_count_has_a_finite_optimum() -> None:
    """Saturated: the rate of a group is its mean, however small."""
    y = np.array([0.0] * 999 + [1.0] + [3.0, 5.0])
    D = np.column_stack((np.arange(1002) < 1000, np.arange(1002) >= 1000)).astype(float)
    np.testing.assert_allclose(solve(Poisson(), T(D), T(y)).theta, np.log([1e-3, 4.0]), rtol=1e-12)


def test_identity_link_starts_where_rates_are_positive() -> None:
    """No column of ones: one half of the rows needs theta_1 > 0, the other theta_2 > 2 theta_1."""
    x = np.linspace(1, 2, 20)
    D = np.concatenate((np.column_stack((x, 0 * x)), np.column_stack((-2 * x, x))))
    y = np.concatenate((np.round(3 * x), np.round(4 * x)))
    theta = solve(Poisson(link="identity"), T(D), T(y)).theta
    # each half on its own: the rate is c x, c = sum y / sum x
    first, second = y[:20].sum() / x.sum(), y[20:].sum() / x.sum()
    np.testing.assert_allclose(theta, [first, second + 2 * first], rtol=1e-12)
    np.testing.assert_allclose(solve(Poisson(link="identity"), T(-D), T(y)).theta, -theta, rtol=1e-12)
    with pytest.raises(UserError, match="positive rate"):
        solve(Poisson(link="identity"), T(np.concatenate((x, -x))[:, None]), T(y))


@pytest.mark.parametrize("seed", range(6))
def test_identity_link_from_a_linear_program(seed: int) -> None:
    """Rows of very different size: no easy start has positive rates. At the optimum D'(1 - y / mu) = 0."""
    rng = np.random.default_rng(seed)
    D, theta = rng.normal(size=(12, 3)) * 10.0 ** rng.normal(size=(12, 1)), rng.normal(size=3)
    D *= np.sign(D @ theta)[:, None]
    y = rng.poisson(D @ theta) + 1.0
    mu = D @ solve(Poisson(link="identity"), T(D), T(y)).theta.numpy()
    assert (mu > 0).all()
    np.testing.assert_allclose(D.T @ (1 - y / mu), 0, atol=1e-8 * np.abs(D).max())


def test_optimum_at_the_edge_is_refused() -> None:
    """y = 0, 0, 9 at x = 0, 1, 2 pulls the rate at 0 below zero."""
    D = T(np.column_stack((np.ones(3), np.arange(3.0))))
    with pytest.raises(UserError, match="edge of its domain"):
        solve(Poisson(link="identity"), D, T(np.array([0.0, 0.0, 9.0])))


@pytest.mark.parametrize("noise", [Gaussian(), Huber(), StudentT()])
def test_a_perfect_fit_has_the_scale_of_a_rounding_error(noise: Noise) -> None:
    D, _ = heavy(5)
    y = D @ [1.0, 2.0, 3.0]
    answer = solve(noise, T(D), T(y))
    np.testing.assert_allclose(answer.theta, [1.0, 2.0, 3.0], rtol=1e-13)
    assert 0 < answer.scale <= 1e-13 * np.abs(y).max()
    assert answer.gradient == 0
    if noise.separable:
        assert solve(noise, T(D[:2]), T(y[:2])).rank == 2


def test_student_t_refuses_a_likelihood_without_a_bound() -> None:
    """More than df / (df + 1) of the rows on one line: the likelihood grows as the scale falls."""
    D, y = heavy(6)
    y[:70] = D[:70] @ [1.0, 2.0, 3.0]
    with pytest.raises(UserError, match="scale goes to 0"):
        solve(StudentT(df=4.0), T(D), T(y))


def test_large_counts() -> None:
    D, y, *_ = counts(8)
    big = np.round(1e8 * y)
    answer = solve(Poisson(), T(D), T(big))
    np.testing.assert_allclose(D.T @ np.exp(D @ answer.theta.numpy()), D.T @ big, rtol=1e-11)
