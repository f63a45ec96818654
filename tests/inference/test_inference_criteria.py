"""Likelihood criteria as R counts them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_inference_standard_errors import STACKLOSS
from test_solvers_likelihood_fit import BREAKS, warpbreaks
from test_solvers_properties import every_noise, example

from noiseworks.inference import criteria
from noiseworks.noise import Gaussian, Laplace, LogNormal, NegativeBinomial, Noise, Poisson
from noiseworks.solvers.linear_problem import LinearProblem
from noiseworks.solvers.solve import solved

T = torch.from_numpy
W = np.tile([1.0, 2, 3], 18)


def of(noise: Noise, D: torch.Tensor, y: np.ndarray, weights: np.ndarray | None = None) -> dict[str, float]:
    """log_likelihood, aic, bic, deviance_explained and what else there is."""
    problem = LinearProblem.of(noise, D, T(y), None, None if weights is None else T(weights))
    answer = solved(problem)
    nll = noise.with_scale(answer.scale).nll(D @ answer.theta, T(y)).numpy()
    return criteria(problem, answer, float(np.average(nll, weights=weights)))


def check(found: dict[str, float], right: list[float]) -> None:
    """logLik, AIC, BIC, R-squared or deviance explained."""
    names = ("log_likelihood", "aic", "bic", "deviance_explained")
    np.testing.assert_allclose([found[name] for name in names], right, rtol=1e-9)


def test_warpbreaks_as_r() -> None:
    """With w <- rep(c(1, 2, 3), 18) and tight as in test_inference_standard_errors.py:

    m <- glm(breaks ~ wool + tension, poisson, warpbreaks, control = tight), also with weights = w, and glm.nb
    c(logLik(m), AIC(m), BIC(m), 1 - deviance(m) / m$null.deviance); deviance(m)
    sum(residuals(m, "pearson")^2) / m$df.residual
    """
    plain = of(Poisson(), warpbreaks(), BREAKS)
    check(plain, [-242.527983208978867, 493.055966417957734, 501.011902604214811, 0.292496472734661])
    assert plain["deviance"] == pytest.approx(210.391888762453846, rel=1e-10)
    assert plain["overdispersion"] == pytest.approx(4.26152188396443, rel=1e-10)
    weighted = of(Poisson(), warpbreaks(), BREAKS, W)
    check(weighted, [-479.978126905116312, 967.956253810232624, 975.912189996489701, 0.350292481189957])
    assert weighted["deviance"] == pytest.approx(406.561921118270106, rel=1e-10)
    dispersed = of(NegativeBinomial(), warpbreaks(), BREAKS)
    right = [-199.381903889003524, 408.763807778007049, 418.708728010828395]
    np.testing.assert_allclose([dispersed[name] for name in ("log_likelihood", "aic", "bic")], right, rtol=1e-10)
    assert dispersed["deviance"] == pytest.approx(53.722570702335247, rel=1e-6)  # R's theta has as many digits
    assert dispersed["deviance_explained"] == pytest.approx(0.288103127620403, rel=1e-6)


def test_stackloss_as_r() -> None:
    """s <- lm(stack.loss ~ ., stackloss); c(logLik(s), AIC(s), BIC(s), summary(s)$r.squared)

    Likewise with weights = rep(c(1, 2, 3), 7); stack.loss ~ . - 1; logLik(rq(stack.loss ~ ., data = stackloss)), whose
    AIC does not count the scale. For log y R leaves out the sum of log y.
    """
    D, y = T(np.column_stack((np.ones(21), STACKLOSS[:, 1:]))), STACKLOSS[:, 0].copy()
    plain = [-52.287795502399774, 114.575591004799549, 119.798203193416668, 0.913576904460682]
    check(of(Gaussian(), D, y), plain)
    weighted = [-54.5563332176934, 119.1126664353868, 124.3352786240039, 0.8932198635830]
    check(of(Gaussian(), D, y, W[:21]), weighted)
    check(of(Gaussian(), D, y, 5 * W[:21]), weighted)
    short = of(Gaussian(), D[:, 1:].contiguous(), y)
    assert short["deviance_explained"] == pytest.approx(0.9650988775044798, rel=1e-10)
    assert short["log_likelihood"] == pytest.approx(-57.6245795167719663, rel=1e-10)
    median = of(Laplace(), D, y)
    assert median["log_likelihood"] == pytest.approx(-50.1527221366489329, rel=1e-10)
    assert median["aic"] == pytest.approx(108.3054442732978657 + 2, rel=1e-10)
    r = np.abs(y - np.median(y)).sum()
    assert median["deviance_explained"] == pytest.approx(1 - 42.0811594202899 / r, rel=1e-10)  # sum(abs(resid(q)))
    logs = of(LogNormal(), D, y)
    assert logs["log_likelihood"] == pytest.approx(of(Gaussian(), D, np.log(y))["log_likelihood"] - np.log(y).sum())


@every_noise
def test_of_a_nested_model(noise: Noise) -> None:
    """The constant explains nothing, more columns explain more, and each column is a parameter."""
    D, y = example(noise)
    constant, some, all_ = (of(noise, D[:, :k].contiguous(), y.numpy()) for k in (1, 2, 3))
    assert constant["deviance_explained"] == pytest.approx(0, abs=1e-9)
    assert 0 < all_["deviance_explained"] < 1
    assert all_["log_likelihood"] > some["log_likelihood"] > constant["log_likelihood"]
    scale = noise.scale_name is not None
    assert [found["num_parameters"] for found in (constant, some, all_)] == [1 + scale, 2 + scale, 3 + scale]
    given = of(noise.with_scale(0.5), D, y.numpy())
    assert given["num_parameters"] == 3
    assert ("deviance" in given) == noise.counts


@every_noise
def test_a_perfect_fit_explains_all(noise: Noise) -> None:
    y = np.array([1.0, 4.0, 2.0, 7.0, 7.0])
    found = of(noise, torch.eye(4, dtype=torch.float64)[[0, 1, 2, 3, 3]], y)
    assert found["deviance_explained"] == pytest.approx(1, abs=1e-9)
