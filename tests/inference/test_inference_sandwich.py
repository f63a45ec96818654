"""The sandwich of all that a likelihood estimates together, coefficients and scale: H^-1 S'S H^-1, the part of the
former."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import statsmodels.api as sm
import torch
from scipy import stats
from statsmodels.tools.sm_exceptions import DomainWarning
from test_inference_standard_errors import ROBUST, of
from test_solvers_properties import NOISES, Logistic, every_noise, example
from torch import Tensor
from torch.autograd.functional import hessian, jacobian

from noiseworks.inference import uncertainty
from noiseworks.inference.uncertainty import batched_standard_errors
from noiseworks.noise import NegativeBinomial, Noise, Poisson, StudentT
from noiseworks.solvers.batched import solved_batch
from noiseworks.solvers.linear_problem import LinearProblem, LinearProblems
from noiseworks.solvers.solve import solved
from published_tables import SHIPS

T = torch.from_numpy
Array = np.ndarray
JOINT = {name: noise for name, noise in NOISES.items() if noise.joint} | {"logistic": Logistic()}
SMOOTH = JOINT | {f"poisson {link}": Poisson(link=link) for link in ("log", "identity", "softplus")}
STEP = 1e-3


def ships() -> tuple[Array, Array, Array]:
    """The constant, yr_con, op_75_79; accidents; log service."""
    return np.column_stack((np.ones(len(SHIPS)), SHIPS[:, 1:3])), SHIPS[:, 0].copy(), np.log(SHIPS[:, 3])


def test_ships_as_stata_and_statsmodels() -> None:
    """Stata: nbreg accident yr_con op_75_79, vce(robust), which multiplies the covariance by n / (n - 1); from what
    statsmodels is tested with, discrete/tests/results/results_count_robust_cluster.py. Then statsmodels, with
    exposure(service)."""
    D, y, log_service = ships()
    stata = np.array([0.76040210713867, 0.26106873337039, 0.56245325203342]) * np.sqrt(33 / 34)
    found = of(NegativeBinomial(), T(D), T(y), "HC0").standard_errors()
    np.testing.assert_allclose(found, stata, rtol=1e-7)
    assert found[1] == pytest.approx(0.2572, abs=5e-5)
    model = sm.NegativeBinomial(y, D, offset=log_service)
    near = np.append([-6.59, 0.285, 0.171], 0.246)  # from its own start it does not converge
    theirs = model.fit(near, disp=0, method="newton", tol=1e-10, cov_type="HC0").bse[:3]
    found = of(NegativeBinomial(), T(D), T(y), "HC0", offset=T(log_service)).standard_errors()
    np.testing.assert_allclose(found, theirs, rtol=1e-6)


def test_a_link_that_is_not_canonical_as_statsmodels() -> None:
    """Poisson noise with the identity link: the observed Hessian y / mu^2, not the expected 1 / mu."""
    D, y = np.column_stack((np.ones(10), np.arange(1.0, 11))), np.array([2.0, 3, 6, 7, 8, 9, 10, 12, 15, 20])
    family = sm.families.Poisson(link=sm.families.links.Identity())
    with pytest.warns(DomainWarning, match="Identity"):  # a rate may become negative
        theirs = sm.GLM(y, D, family=family).fit(tol=1e-14, maxiter=200, cov_type="HC0").bse
    found = of(Poisson(link="identity"), T(D), T(y), "HC0").standard_errors()
    np.testing.assert_allclose(found, theirs, rtol=1e-9)


def difference(f: Callable[[Array], Array], v: Array) -> Array:
    """d f / d v, the last axis, by central differences of the fourth order."""
    ends = [STEP * one for one in np.eye(len(v))]
    found = [(8 * (f(v + h) - f(v - h)) - (f(v + 2 * h) - f(v - 2 * h))) / (12 * STEP) for h in ends]
    return np.stack(found, axis=-1)


def log_density(noise: Noise, y: Array, eta: Array, scale: float) -> Array:
    if isinstance(noise, StudentT):
        return np.asarray(stats.t.logpdf((y - eta) / scale, noise.df) - np.log(scale))
    return np.asarray(stats.nbinom.logpmf(y, 1 / scale, 1 / (1 + scale * np.exp(eta))))


@pytest.mark.parametrize("noise", [NegativeBinomial(), StudentT()], ids=lambda noise: noise.name)
def test_by_differences_of_scipys_densities(noise: Noise) -> None:
    D, y, log_service = ships()
    y, w = y if noise.counts else np.log(y + 1), np.tile([1.0, 2], 17)
    answer = solved(LinearProblem.of(noise, T(D), T(y), T(log_service), T(w)))
    assert answer.scale is not None
    v = np.append(answer.theta.numpy(), np.log(answer.scale))

    def rows(v: Array) -> Array:
        return w * log_density(noise, y, D @ v[:3] + log_service, np.exp(v[3]))

    S, H = difference(rows, v), difference(lambda v: difference(rows, v).sum(axis=0), v)
    right = np.linalg.inv(H) @ S.T @ S @ np.linalg.inv(H)
    found = of(noise, T(D), T(y), "HC0", T(w), T(log_service)).covariance()
    np.testing.assert_allclose(found, right[:3, :3], rtol=1e-6)


def factors(noise: Noise, D: Tensor, w: Tensor, theta: Tensor, method: str) -> Tensor:
    """What the scores of each row are multiplied by: the leverage is that of the fit by least squares."""
    n, P = D.shape
    c = w if noise.location_scale else w * noise.information(D @ theta)
    h = c * ((D @ torch.linalg.inv((D.T * c) @ D)) * D).sum(dim=1)
    power = {"HC0": 0.0, "HC1": 0.0, "HC2": -0.5, "HC3": -1.0}[method]
    return (1 - h) ** power * (np.sqrt(n / (n - P)) if method == "HC1" else 1.0)


@pytest.mark.parametrize("name", SMOOTH)
def test_of_the_likelihood_written_out(name: str) -> None:
    """By autograd of the weighted nll of theta and log scale, for each noise that finds them together, also one that
    has nothing but a density; and for links whose observed Hessian is not the expected one."""
    noise = SMOOTH[name]
    D, y = example(noise, n=60) if noise.scale_name else example(Poisson(link="log"), n=60)
    y = y + 3 if noise.counts else y  # an identity link needs rates above zero
    w = 1.0 + (torch.arange(60) % 3).double()
    answer = solved(LinearProblem.of(noise, D, y, None, w))
    v = answer.theta if answer.scale is None else torch.cat((answer.theta, torch.tensor([answer.scale]).double().log()))

    def rows(v: Tensor) -> Tensor:
        at = noise if noise.scale_name is None else noise.with_scale(v[3].exp())
        return w * at.nll(D @ v[:3], y)

    bread, S = torch.linalg.inv(hessian(lambda v: rows(v).sum(), v)), jacobian(rows, v)
    for method in ROBUST:
        S_k = factors(noise.with_scale(answer.scale), D, w, answer.theta, method)[:, None] * S
        right = (bread @ S_k.T @ S_k @ bread)[:3, :3]
        np.testing.assert_allclose(of(noise, D, y, method, w).covariance(), right, rtol=1e-6, err_msg=method)


@every_noise
def test_members_side_by_side(noise: Noise) -> None:
    """K problems at once, each with its own scale, as each of them alone."""
    D, y = (torch.stack(part) for part in zip(*(example(noise, seed) for seed in range(3))))
    problems = LinearProblems.of(noise, D, y, None, None)
    answers = solved_batch(problems)
    for method in ("information", *ROBUST):
        found = batched_standard_errors(problems, answers, method)
        alone = [of(noise, D[k], y[k], method).standard_errors() for k in range(3)]
        np.testing.assert_allclose(found, alone, rtol=1e-7, err_msg=method)


def test_a_dispersion_that_vanishes() -> None:
    """Counts that vary less than Poisson's: its sandwich."""
    D = example(NegativeBinomial())[0]
    y = 2 + (torch.arange(len(D)) % 3).double()
    for method in ROBUST:
        found, poisson = (of(noise, D, y, method).standard_errors() for noise in (NegativeBinomial(), Poisson()))
        np.testing.assert_allclose(found, poisson, rtol=1e-6)


@pytest.mark.soak
def test_the_spread_of_answers_where_errors_are_skewed() -> None:
    """200 data sets of 100 rows: the mean variance over that of the answers is 1 within 4 standard errors, of
    sqrt((4 - 1) / 200); at a scale that is taken for known, that of the constant is one half."""
    rng, noise = np.random.default_rng(0), StudentT()
    D = np.column_stack((np.ones(100), rng.normal(size=100)))
    answers, variances, known = [], [], []
    for _ in range(200):
        problem = LinearProblem.of(noise, T(D), T(D.sum(axis=1) + rng.exponential(size=100) ** 1.5))
        answer = solved(problem)
        answers.append(answer.theta.numpy())
        variances.append(uncertainty(problem, answer, "HC0").standard_errors() ** 2)
        given = LinearProblem.of(noise.with_scale(answer.scale), T(D), T(problem.y))
        known.append(uncertainty(given, answer, "HC0").standard_errors() ** 2)
    spread = np.var(answers, axis=0, ddof=1)
    np.testing.assert_allclose(np.log(np.mean(variances, axis=0) / spread), 0, atol=0.5)
    assert np.mean(known, axis=0)[0] / spread[0] < np.exp(-0.5)
