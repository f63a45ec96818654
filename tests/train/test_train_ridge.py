"""`optimizer.ridge` through the trainer: where weight decay ends, what is reported, and sweeps."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from train_helpers import CONSTANT, LINEAR, member, problem, settings, table, with_extras

from noiseworks.exact import Exact, SolutionCache, exact_problem, solve_problem
from noiseworks.fit import solve_exactly, train
from noiseworks.model import Constant, Linear
from noiseworks.noise import Gaussian, Noise, Poisson
from noiseworks.problem import make_problem
from noiseworks.runs.artifacts import coefficients
from noiseworks.runs.printed_table import summary
from noiseworks.solvers.solve import solved
from noiseworks.train.ensemble import Member
from soaked import every


def exact(of, ridge):
    return solve_exactly([replace(member(of), make_optimizer=Exact(ridge=ridge))], [solve_problem(of, of.noise, ridge)])


@pytest.mark.parametrize("noise", [Gaussian(), Poisson()], ids=["gaussian", "poisson"])
@pytest.mark.parametrize("intercept", every(2, [True, False]))
def test_weight_decay_ends_there(noise: Noise, intercept: bool) -> None:
    """All rows in each step. Weight decay takes the intercept, too: it is zero in a standardized Gaussian fit, and for
    Poisson the two differ, unless there is none. Standardized counts have their loss divided by their mean."""
    standardize = isinstance(noise, Gaussian)
    of = problem(noise, Linear(intercept=intercept, init_scale=0.0), 0.0, batch_size=50, standardize=standardize)
    sgd = partial(torch.optim.SGD, lr=0.2 if isinstance(noise, Gaussian) else 0.05, weight_decay=0.3)
    trained = train([Member(of, noise, sgd, CONSTANT, 0, 0)], settings(max_epochs=800)).theta[0]
    distance = float((trained - solve_problem(of, noise, 0.3).theta).norm())
    assert distance > 1e-3 if intercept and isinstance(noise, Poisson) else distance < 1e-9
    everything = replace(exact_problem(of, noise, 0.3), penalized=None)
    torch.testing.assert_close(trained, solved(everything).theta, rtol=0, atol=1e-9)


def test_standardized_weights_are_penalized_and_the_intercept_is_not() -> None:
    """The closed form in standardized columns, brought back by hand."""
    rng = np.random.default_rng(1)
    X = rng.normal(size=(40, 3)) * [1.0, 100, 0.01] + [5.0, -3, 1]
    y = X @ [1.0, 0.02, 50] + rng.normal(size=40) + 10
    of = make_problem(table(torch.from_numpy(X), torch.from_numpy(y)), Gaussian(), LINEAR, 0.0, 0)
    outcome = exact(of, 0.5)
    Z, t = (X - X.mean(0)) / X.std(0), (y - y.mean()) / y.std()
    slopes = np.linalg.solve(Z.T @ Z / 40 + 0.5 * np.eye(3), Z.T @ t / 40) * y.std() / X.std(0)
    np.testing.assert_allclose(outcome.coefficients[0], [*slopes, y.mean() - X.mean(0) @ slopes], rtol=1e-10)
    residual = y - outcome.coefficients[0, 3].item() - X @ outcome.coefficients[0, :3].numpy()
    assert outcome.scale[0].item() == pytest.approx(np.sqrt(np.mean(residual**2)), rel=1e-10)


@pytest.mark.parametrize("noise", [Gaussian(), Poisson()], ids=["gaussian", "poisson"])
def test_what_is_reported(noise: Noise) -> None:
    """No standard errors, no count of parameters; the likelihood and the deviance are those of the penalized answer."""
    of = with_extras(noise, 0, standardize=True)
    plain, ridged = exact(of, 0.0), exact(of, 0.4)
    assert ridged.standard_errors.isnan().all()
    assert ridged.intervals.isnan().all()
    assert not {"exact/aic", "exact/bic", "exact/overdispersion", "exact/num_parameters"} & set(ridged.metrics)
    for name in ("log_likelihood", "deviance_explained"):
        assert ridged.metrics[f"exact/{name}"] < plain.metrics[f"exact/{name}"]
    told = summary("title", of, ridged, {name: values[0].item() for name, values in ridged.metrics.items()})
    assert "no standard errors: optimizer.ridge draws the coefficients to zero" in told
    assert "AIC" not in told
    assert set(coefficients(of, ridged)["standard_errors"].values()) == {None}


def test_a_constant_alone_is_not_penalized() -> None:
    of = problem(Gaussian(), Constant(intercept=True, init_scale=0.0), 0.0)
    torch.testing.assert_close(exact(of, 5.0).coefficients, exact(of, 0.0).coefficients)


def test_a_sweep_keeps_them_apart() -> None:
    """Each its own answer, one problem though it is; the same ridge shares it."""
    of = problem(Gaussian())
    ridges = [0.0, 0.1, 1.0, 0.1]
    found = SolutionCache().of([(of, of.noise)] * 4, ridges)
    for answer, ridge in zip(found, ridges):
        torch.testing.assert_close(answer.theta, solve_problem(of, of.noise, ridge).theta)
    assert found[1] is found[3]
