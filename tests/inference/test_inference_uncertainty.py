"""Standard errors: formulas written out, and what holds for every noise in conf/noise, so for a new one unasked."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from test_inference_standard_errors import of
from test_solvers_likelihood_fit import heavy
from test_solvers_properties import NOISES, THETA, Logistic, every_noise, example
from torch import Tensor

from noiseworks.errors import UserError
from noiseworks.inference import METHODS, uncertainty
from noiseworks.noise import Gaussian, Noise, Poisson, StudentT
from noiseworks.solvers.linear_problem import LinearProblem
from noiseworks.solvers.solve import solved
from soaked import only

T = torch.from_numpy


@pytest.mark.parametrize("noise", [StudentT(df=3.0), Logistic()])
def test_additive_noise_written_out(noise: Noise) -> None:
    """tau^2 (X'X)^-1, tau^2 = kappa^2 (sum s^2 / (n - p)) / mean(s')^2; the sandwich with the same s and s' at a scale
    that is given."""
    D, y = heavy(5)
    problem = LinearProblem.of(noise, T(D), T(y), None, None)
    answer = solved(problem)
    b, r = answer.scale, y - D @ answer.theta.numpy()
    if isinstance(noise, StudentT):
        s, slope = -4 * r / (3 * b**2 + r**2), 4 * (3 * b**2 - r**2) / (3 * b**2 + r**2) ** 2
    else:
        s, slope = -np.tanh(r / b / 2) / b, 1 / (2 * b**2 * np.cosh(r / b / 2) ** 2)
    n, p = D.shape
    kappa = 1 + p * slope.var(ddof=1) / (n * slope.mean() ** 2)
    iid = kappa**2 * (s @ s) / (n - p) / slope.mean() ** 2 * np.linalg.inv(D.T @ D)
    np.testing.assert_allclose(uncertainty(problem, answer, "iid").covariance(), iid, rtol=1e-9)
    bread = np.linalg.inv((D.T * slope) @ D)
    hc0 = bread @ ((D.T * s**2) @ D) @ bread
    given = replace(problem, noise=noise.with_scale(b))
    np.testing.assert_allclose(uncertainty(given, answer, "HC0").covariance(), hc0, rtol=1e-9)


def test_information_of_additive_noise() -> None:
    """Fisher's: (df + 1) / ((df + 3) scale^2); for a noise without formula the observed one, with that of log scale."""
    D, y = heavy(6)
    problem = LinearProblem.of(StudentT(df=3.0), T(D), T(y), None, None)
    answer = solved(problem)
    right = answer.scale**2 * 6 / 4 * np.linalg.inv(D.T @ D)
    np.testing.assert_allclose(uncertainty(problem, answer, "information").covariance(), right, rtol=1e-9)
    problem = LinearProblem.of(Logistic(), T(D), T(y), None, None)
    answer = solved(problem)

    def nll(v: Tensor) -> Tensor:
        return Logistic(v[3].exp()).nll(T(D) @ v[:3], T(y)).sum()

    v = torch.cat((answer.theta, torch.tensor([np.log(answer.scale)], dtype=torch.float64)))
    inverse = torch.linalg.inv(torch.autograd.functional.hessian(nll, v))[:3, :3]
    np.testing.assert_allclose(uncertainty(problem, answer, "information").covariance(), inverse, rtol=1e-8)


def methods(noise: Noise) -> list[str]:
    return [m for m in METHODS if m != "iid" or noise.location_scale]


@every_noise
def test_units_of_the_columns_and_order_of_the_rows(noise: Noise) -> None:
    D, y = example(noise)
    units = torch.tensor([1.0, 1e7, 1e-9], dtype=torch.float64)
    order = torch.randperm(len(y), generator=torch.manual_seed(0))
    for method in methods(noise):
        plain = of(noise, D, y, method).standard_errors()
        assert (plain > 0).all()
        np.testing.assert_allclose(of(noise, D * units, y, method).standard_errors() * units.numpy(), plain, rtol=1e-6)
        np.testing.assert_allclose(of(noise, D[order], y[order], method).standard_errors(), plain, rtol=1e-6)


@every_noise
def test_a_combination_is_a_coefficient_of_another_design(noise: Noise) -> None:
    """theta' = M theta for D' = D M^-1; and the covariance is that of the standard errors."""
    D, y = example(noise)
    M = torch.tensor([[1.0, 0, 0], [0, 1, 1], [2, 0, 3]], dtype=torch.float64)
    there, here = of(noise, D @ torch.linalg.inv(M), y), of(noise, D, y)
    np.testing.assert_allclose(there.covariance(), here.covariance(M.numpy()), rtol=1e-5, atol=1e-9)
    np.testing.assert_allclose(here.standard_errors(M.numpy()) ** 2, np.diag(here.covariance(M.numpy())), rtol=1e-12)


@every_noise
def test_what_cannot_be_estimated_is_nan(noise: Noise) -> None:
    """Column 3 is twice column 1: neither has a standard error, but column 2, the constant and 1 + 2 * 3 do."""
    D, y = example(noise)
    wide = torch.column_stack((D, 2 * D[:, 1]))
    for method in methods(noise):
        plain, short = of(noise, D, y, method), of(noise, wide, y, method)
        found, right = short.standard_errors(), plain.standard_errors()
        assert np.isnan(found[[1, 3]]).all()
        np.testing.assert_allclose(found[[0, 2]], right[[0, 2]], rtol=1e-6)
        np.testing.assert_allclose(short.standard_errors(np.array([[0.0, 1, 0, 2]])), right[[1]], rtol=1e-6)
        assert np.isnan(short.covariance()[1]).all()


@every_noise
def test_weights_as_given_or_as_shares(noise: Noise) -> None:
    """A row of weight zero is no row. Where the model knows its spread two rows are a weight of two; where the rows
    show it, the unit of the weights does not matter; nor does it ever for the sandwich."""
    D, y = example(noise)
    w = 1.0 + (torch.arange(len(y)) % 3).double()
    kept = torch.cat((w, torch.zeros(5, dtype=torch.float64)))
    more = torch.cat((D, 3 * D[:5])), torch.cat((y, y[:5]))
    for method in methods(noise):
        found = of(noise, D, y, method, w).standard_errors()
        np.testing.assert_allclose(of(noise, *more, method, kept).standard_errors(), found, rtol=1e-6)
        absolute = method == "information" or (method == "auto" and noise.counts)
        factor = 0.5 if absolute and noise.counts else 1.0
        np.testing.assert_allclose(of(noise, D, y, method, 4 * w).standard_errors(), factor * found, rtol=1e-6)
    if noise.counts or noise.scale_name is not None:
        known = noise.with_scale(0.5) if noise.scale_name else noise
        copies = w.long()
        repeated = of(known, D.repeat_interleave(copies, 0), y.repeat_interleave(copies), "information")
        found = of(known, D, y, "information", w)
        np.testing.assert_allclose(found.standard_errors(), repeated.standard_errors(), rtol=1e-6)


@pytest.mark.parametrize("name", only(NOISES, "gaussian", "laplace", "poisson", "student_t"))
def test_as_the_spread_of_many_answers(name: str) -> None:
    """120 data sets of 100 rows from the noise itself: the mean variance over the variance of the answers is 1 +- 4
    standard errors. That of a variance of R numbers of kurtosis k is sqrt((k - 1) / R), k <= 4 for means of errors with
    finite fourth moments over 100 rows, so 0.16 and, as a factor, exp(+-0.63); terms of order p / n and the density of
    the median, from n^(2/3) rows, are well within the rest of a factor of two."""
    noise, generator = NOISES[name], torch.Generator().manual_seed(7)
    D = example(noise, 3, 100)[0]
    answers, variances = [], []
    for _ in range(120):
        problem = LinearProblem.of(noise, D, noise.with_scale(0.5).sample(D @ THETA, generator), None, None)
        answer = solved(problem)
        answers.append(answer.theta.numpy())
        variances.append(uncertainty(problem, answer).standard_errors() ** 2)
    ratio = np.mean(variances, 0) / np.var(answers, axis=0, ddof=1)
    assert (ratio > 1 / 2).all()
    assert (ratio < 2).all()


def test_no_row_left_to_show_the_noise() -> None:
    """n = p: nan, as R; a perfect fit with rows left has no uncertainty; counts know their variance."""
    D = T(np.array([[1.0, 0], [1, 1]]))
    y = T(np.array([1.0, 3]))
    assert np.isnan(of(Gaussian(), D, y).standard_errors()).all()
    found = of(Poisson(), D, y).standard_errors()
    np.testing.assert_allclose(found, [1, np.sqrt(1 + 1 / 3)], rtol=1e-9)
    assert (of(Gaussian(), D.repeat(3, 1), y.repeat(3)).standard_errors() == 0).all()


def test_a_row_fitted_by_itself() -> None:
    """Leverage one: HC2 and HC3 divide by zero."""
    rng = np.random.default_rng(8)
    D = T(np.column_stack((np.ones(20), np.arange(20) == 4, rng.normal(size=20))))
    y = T(rng.normal(size=20))
    assert np.isfinite(of(Gaussian(), D, y, "HC1").standard_errors()).all()
    assert np.isnan(of(Gaussian(), D, y, "HC3").standard_errors()).all()


def test_intervals() -> None:
    """R: qt(0.975, 50), qnorm(0.95)."""
    problem = LinearProblem.of(Gaussian(), *example(Gaussian(), n=53), None, None)
    assert uncertainty(problem, solved(problem)).quantile() == pytest.approx(2.00855911210076, rel=1e-12)
    problem = replace(problem, noise=Poisson(), y=np.abs(problem.y).round())
    assert uncertainty(problem, solved(problem)).quantile(0.9) == pytest.approx(1.64485362695147, rel=1e-12)


def test_misfits_are_named() -> None:
    D, y = example(Poisson())
    with pytest.raises(UserError, match="HC4 is none of them"):
        of(Poisson(), D, y, "HC4")
    with pytest.raises(UserError, match="poisson noise has none"):
        of(Poisson(), D, y, "iid")


def test_a_column_of_zeros_and_no_columns() -> None:
    D, y = example(Gaussian())
    zeros = torch.cat((D, 0 * D[:, :1]), 1)
    assert np.isnan(of(Gaussian(), zeros, y).standard_errors()).tolist() == [False, False, False, True]
    assert of(Gaussian(), D[:, :0], y).standard_errors().shape == (0,)
