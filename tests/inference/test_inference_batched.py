"""Standard errors, intervals and criteria of many members: each as if it were alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from train_helpers import LINEAR, member, problem, synthetic, table, with_extras

from noiseworks import exact_inference as inferences
from noiseworks.errors import UserError
from noiseworks.exact import Exact, SolutionCache
from noiseworks.fit import solve_exactly
from noiseworks.model import Constant, Linear, Quadratic
from noiseworks.noise import AsymmetricLaplace, Gaussian, Huber, Laplace, LogNormal, Noise, Poisson
from noiseworks.outcome import Outcome
from noiseworks.problem import Problem, make_problem
from noiseworks.solvers.solution import Solution

NO_INTERCEPT = Linear(intercept=False, init_scale=0.0)
MODELS = {
    "linear": LINEAR,
    "no intercept": NO_INTERCEPT,
    "constant": Constant(intercept=True, init_scale=0.0),
    "quadratic": Quadratic(intercept=True, init_scale=0.0),
}
NOISES = [Gaussian(), LogNormal(), Laplace(), AsymmetricLaplace(tau=0.3), Poisson(), Poisson(link="softplus")]
METHODS = ["auto", "iid", "information", "HC0", "HC1", "HC2", "HC3"]
every_noise = pytest.mark.parametrize("noise", NOISES, ids=str)


def solved(problems: list[Problem], method: str = "auto") -> Outcome:
    make = Exact(standard_errors=method)
    members = [replace(member(of), make_optimizer=make, replicate=k) for k, of in enumerate(problems)]
    return solve_exactly(members, SolutionCache().of([(of, of.noise) for of in problems]))


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Those that are worked out one by one; the first of each shape, which names the method, is among them."""
    asked: list[object] = []
    one_by_one = inferences.Wanted.alone
    monkeypatch.setattr(inferences.Wanted, "alone", lambda self: asked.append(self) or one_by_one(self))
    return asked


def assert_same(many: Outcome, ones: Outcome) -> None:
    """To 1e-9; an interval, which may end near zero, to 1e-9 of the standard error and the coefficient."""
    assert many.standard_errors is not None
    assert ones.standard_errors is not None
    torch.testing.assert_close(many.standard_errors, ones.standard_errors, rtol=1e-9, atol=0, equal_nan=True)
    assert many.intervals is not None
    assert ones.intervals is not None
    size = (many.standard_errors + many.coefficients.abs()).unsqueeze(2)
    torch.testing.assert_close(many.intervals / size, ones.intervals / size, rtol=0, atol=1e-8, equal_nan=True)
    assert list(many.metrics) == list(ones.metrics)
    for name, values in many.metrics.items():
        if name.startswith("exact/") and name != "exact/gradient":
            torch.testing.assert_close(values, ones.metrics[name], rtol=1e-9, atol=1e-12, equal_nan=True, msg=name)
    assert many.errors_by == ones.errors_by
    assert many.failures == ones.failures


def assert_as_alone(
    problems: list[Problem], method: str, monkeypatch: pytest.MonkeyPatch, alone: list[object], expected: int | None
) -> Outcome:
    many = solved(problems, method)
    assert expected is None or len(alone) == expected
    with monkeypatch.context() as patch:
        patch.setattr(inferences, "FEW", len(problems))
        assert_same(many, solved(problems, method))
    return many


@every_noise
@pytest.mark.parametrize("method", METHODS)
def test_each_as_if_alone(noise: Noise, method: str, monkeypatch, alone) -> None:
    if method == "iid" and noise.counts:
        with pytest.raises(UserError, match="Standard errors by iid"):
            solved([problem(noise, replicate=k) for k in range(5)], method)
        return
    assert_as_alone([problem(noise, replicate=k) for k in range(6)], method, monkeypatch, alone, 1)


@every_noise
@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("standardize", [True, False])
def test_models(noise: Noise, name: str, standardize: bool, monkeypatch, alone) -> None:
    """A misfit: without the constant there may be no density at zero to be seen."""
    of = [problem(noise, MODELS[name], 0.0, k, standardize=standardize, num_examples=200) for k in range(5)]
    misfit = noise.quantile_level is not None and name == "no intercept"
    assert_as_alone(of, "auto", monkeypatch, alone, None if misfit else 1)


@every_noise
def test_an_offset(noise: Noise, monkeypatch, alone) -> None:
    def made(k: int, model: Linear) -> Problem:
        examples = with_extras(noise, k).data.given
        plain = replace(examples, weights=None)
        return make_problem(table(plain.X, plain.y, offset=plain.offset), noise, model, 0.0, 0)

    assert_as_alone([made(k, LINEAR) for k in range(5)], "auto", monkeypatch, alone, 1)
    alone.clear()
    misfit = noise.quantile_level is not None
    assert_as_alone([made(k, NO_INTERCEPT) for k in range(5)], "HC0", monkeypatch, alone, None if misfit else 1)


@every_noise
def test_no_features(noise: Noise, monkeypatch, alone) -> None:
    """A constant; and not even that."""

    def made(k: int, model: Linear) -> Problem:
        y = synthetic(noise, seed=k).examples(0).y
        return make_problem(table(torch.empty(len(y), 0), y), noise, model, 0.0, 0)

    assert_as_alone([made(k, LINEAR) for k in range(5)], "auto", monkeypatch, alone, 1)
    alone.clear()
    assert_as_alone([made(k, NO_INTERCEPT) for k in range(5)], "auto", monkeypatch, alone, 5)


def test_a_mixture(monkeypatch, alone) -> None:
    """Of eight members one has a column twice, one is a perfect fit, one has a column far from zero, one row of one
    has the leverage 1, and one has no answer: they are worked out alone."""
    g = torch.Generator().manual_seed(0)
    data = [torch.randn(30, 2, generator=g, dtype=torch.float64) for _ in range(8)]
    targets = [X.sum(1) + torch.randn(30, generator=g, dtype=torch.float64) for X in data]
    data[1][:, 1] = data[1][:, 0]
    targets[2] = 1 + data[2].sum(1)
    data[3][:, 0] += 1e6
    data[4][:, 1] = (torch.arange(30) == 7).double()
    targets[5][:] = 3.0
    of = [make_problem(table(X, y), Gaussian(), LINEAR, 0.0, 0) for X, y in zip(data, targets)]
    many = assert_as_alone(of, "HC3", monkeypatch, alone, 5)
    assert list(many.failures) == [5]
    assert many.standard_errors is not None
    assert torch.isnan(many.standard_errors[1, :2]).all()
    assert (many.standard_errors[2] == 0).all()
    assert torch.isnan(many.standard_errors[4]).all()


def test_weights_and_other_noise_one_by_one(monkeypatch, alone) -> None:
    assert_as_alone([with_extras(Gaussian(), k) for k in range(4)], "auto", monkeypatch, alone, 4)
    alone.clear()
    assert_as_alone([problem(Huber(), replicate=k) for k in range(4)], "auto", monkeypatch, alone, 4)


@pytest.mark.parametrize("noise", [Gaussian(), Laplace(), Poisson()], ids=str)
def test_few_rows(noise: Noise, monkeypatch, alone) -> None:
    """As many as columns: nothing is left to tell the noise."""
    of = [problem(noise, LINEAR, 0.0, k, num_examples=4) for k in range(5)]
    failures = solved(of, "information").failures
    assert len(alone) == 5 - len(failures)


def test_jobs_that_share_their_answer_share_its_errors(alone) -> None:
    """Two problems, three jobs each."""
    of = [make_problem(synthetic(Gaussian(), seed=k), Gaussian(), LINEAR, 0.0, 0) for k in range(2)]
    jobs = [replace(member(of[k % 2]), make_optimizer=Exact(), seed=k) for k in range(6)]
    answers: list[Solution | UserError] = SolutionCache().of([(job.problem, job.noise) for job in jobs])
    found = solve_exactly(jobs, answers)
    assert len(alone) == 2
    assert found.standard_errors is not None
    assert torch.equal(found.standard_errors[:2].repeat(3, 1), found.standard_errors)
