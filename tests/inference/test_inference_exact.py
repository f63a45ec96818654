"""Standard errors and criteria of `optimizer=exact`: in the units of the data, whatever was standardized on the way."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import stats
from train_helpers import LINEAR, NOISES, member, problem, table, with_extras

from noiseworks.exact import Exact, solve_problem
from noiseworks.fit import solve_exactly
from noiseworks.model import Constant, Linear, Quadratic
from noiseworks.noise import Gaussian, NegativeBinomial, Poisson
from noiseworks.problem import make_problem
from noiseworks.runs.artifacts import coefficients, final_metrics, replicates
from noiseworks.runs.printed_table import summary

MODELS = {
    "linear": LINEAR,
    "no intercept": Linear(intercept=False, init_scale=0.0),
    "constant": Constant(intercept=True, init_scale=0.0),
    "quadratic": Quadratic(intercept=True, init_scale=0.0),
}


def exact(*problems, noise=None, method="auto"):
    noise = problems[0].noise if noise is None else noise
    members = [replace(member(of, noise=noise), make_optimizer=Exact(standard_errors=method)) for of in problems]
    return solve_exactly(members, [solve_problem(of, noise) for of in problems])


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("name", ["gaussian", "lognormal", "laplace", "student_t", "poisson", "negative_binomial"])
def test_standardized_or_not(name, model):
    found = [exact(problem(NOISES[name], model, 0.0, standardize=standardize)) for standardize in (True, False)]
    torch.testing.assert_close(found[0].standard_errors, found[1].standard_errors, rtol=1e-5, atol=1e-10)
    torch.testing.assert_close(found[0].intervals, found[1].intervals, rtol=1e-5, atol=1e-8)
    assert (found[0].standard_errors > 0).all()
    for key in ("log_likelihood", "aic", "bic", "deviance_explained"):
        left, right = (of.metrics[f"exact/{key}"].item() for of in found)
        assert left == pytest.approx(right, rel=1e-6, abs=1e-9)


def test_as_the_textbook():
    """RSS / (n - p) (A'WA)^-1 of the rows as they are, with weights and offset; its Gaussian log-likelihood."""
    of = with_extras(Gaussian(), 3)
    part = of.parts["train"]
    w, A = part.weights.numpy(), np.c_[part.X.numpy(), np.ones(len(part))]
    inverse = np.linalg.inv((A.T * w) @ A)
    target = (part.y - part.offset).numpy()
    r = target - A @ (inverse @ (A.T @ (w * target)))
    n, p = A.shape
    found = exact(of)
    errors = np.sqrt((w * r**2).sum() / (n - p) * np.diag(inverse))
    np.testing.assert_allclose(found.standard_errors[0], errors, rtol=1e-9)
    reach = stats.t.ppf(0.975, n - p) * errors
    theta = inverse @ (A.T @ (w * target))
    np.testing.assert_allclose(found.intervals[0], np.column_stack((theta - reach, theta + reach)), rtol=1e-9)
    answer = coefficients(of, found)
    assert answer["level"] == 0.95
    assert list(answer["intervals"]) == list(answer["coefficients"])
    np.testing.assert_allclose(answer["intervals"]["x0"], [theta[0] - reach[0], theta[0] + reach[0]], rtol=1e-9)
    variance = (w * r**2).sum() / n / w  # of each row
    likelihood = -0.5 * (np.log(2 * math.pi * variance) + r**2 / variance).sum()
    assert found.metrics["exact/log_likelihood"].item() == pytest.approx(likelihood, rel=1e-10)
    assert found.errors_by == "iid"


@pytest.mark.parametrize("noise", [Gaussian(), NegativeBinomial()])
def test_a_given_scale(noise):
    """Gaussian: it moves nothing, and an estimated scale is reported. A dispersion stays, and is no parameter."""
    of = problem(noise)
    free, given = exact(of), exact(of, noise=noise.with_scale(0.3))
    assert free.metrics["exact/num_parameters"] == 5
    if noise.separable:
        torch.testing.assert_close(given.standard_errors, free.standard_errors)
    else:
        assert given.metrics["exact/num_parameters"] == 4
        assert given.scale.item() == 0.3


def test_the_method_is_asked_for():
    of = problem(Poisson())
    auto, robust = exact(of), exact(of, method="HC3")
    assert (auto.errors_by, robust.errors_by) == ("information", "HC3")
    assert not torch.allclose(auto.standard_errors, robust.standard_errors, rtol=1e-3)


def test_what_cannot_be_estimated_is_null():
    """Two columns say the same; the constant and the third column have their errors."""
    X = torch.randn(40, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64) + 3
    y = X.sum(1) + torch.sin(torch.arange(40.0))
    of = make_problem(table(torch.column_stack((X, 2 * X[:, 0])), y), Gaussian(), LINEAR, 0.0, 0)
    found = exact(of)
    errors = coefficients(of, found)["standard_errors"]
    assert (errors["x0"], errors["x2"]) == (None, None)
    alone = exact(make_problem(table(X, y), Gaussian(), LINEAR, 0.0, 0))
    right = dict(zip(["x0", "x1", "intercept"], alone.standard_errors[0].tolist()))
    assert [errors["x1"], errors["intercept"]] == pytest.approx([right["x1"], right["intercept"]], rel=1e-9)
    text = summary("title", of, found, final_metrics(found))
    lines = [line.split()[2:] for line in text.splitlines() if line.startswith("  x")]
    assert lines[0] == lines[2] == ["none", "none", "none"]
    low, high = coefficients(of, found)["intervals"]["x1"]
    assert lines[1] == [f"{right['x1']:.6g}", f"{low:.6g}", f"{high:.6g}"]
    assert coefficients(of, found)["intervals"]["x0"] is None


def test_replicates_have_their_own():
    """The mean of their coefficients has the spread of the replicates, not the error of one of them."""
    problems = [problem(Gaussian(), replicate=k) for k in range(3)]
    found = exact(*problems)
    answer = coefficients(problems[0], found)
    assert (answer["standard_errors"], answer["intervals"], answer["level"]) == (None, None, None)
    columns = replicates(problems[0], found)
    for j, term in enumerate(problems[0].terms):
        np.testing.assert_array_equal(columns[f"standard_error/{term}"], found.standard_errors[:, j])
        np.testing.assert_array_equal(columns[f"interval_low/{term}"], found.intervals[:, j, 0])
        np.testing.assert_array_equal(columns[f"interval_high/{term}"], found.intervals[:, j, 1])
    alone = exact(problems[1])
    torch.testing.assert_close(found.take(1, 2).standard_errors, alone.standard_errors)
    torch.testing.assert_close(found.take(1, 2).intervals, alone.intervals)
    assert found.take(1, 2).errors_by == "iid"
    assert "standard error (mean)" in summary("title", problems[0], found, final_metrics(found))


def test_the_table_says_what_is_taken_for_granted():
    """Counts that vary as if they were drawn twice."""
    of = problem(Poisson(), noise=NegativeBinomial(dispersion=1.0), val_fraction=0.0, num_examples=200)
    found = exact(of)
    metrics = final_metrics(found)
    text = summary("title", of, found, metrics)
    assert "standard errors by information: the noise model is right" in text
    assert f"AIC {metrics['exact/aic']:.6g}, BIC {metrics['exact/bic']:.6g}" in text
    assert f"the counts vary {metrics['exact/overdispersion']:.2g} times as much as poisson noise says" in text
    robust = exact(of, method="HC3")
    assert "times as much" not in summary("title", of, robust, final_metrics(robust))
