"""Uncertainty on the member axis: the bootstrap, and formulas for many answers at once."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
import torch

from noiseworks.errors import UserError
from noiseworks.exact import Exact
from noiseworks.inference import Bootstrap, bootstrap, uncertainty
from noiseworks.inference.uncertainty import batched_standard_errors
from noiseworks.noise import AsymmetricLaplace, Gaussian, Huber, Laplace, LogNormal, Noise, Poisson
from noiseworks.solvers.batched import solved_batch
from noiseworks.solvers.linear_problem import LinearProblem, LinearProblems
from noiseworks.solvers.solve import solve, solved

T = torch.from_numpy
METHODS = ["iid", "information", "HC0", "HC1", "HC2", "HC3"]


def problem(noise: Noise, n: int = 60, weights: np.ndarray | None = None, extra: bool = False) -> LinearProblem:
    rng = np.random.default_rng(0)
    D = np.column_stack((np.ones(n), rng.normal(size=n), *([np.arange(n) < 2] if extra else [])))
    eta = T(1 + D[:, 1] / 2)
    y = noise.with_scale(0.7).sample(eta, torch.Generator().manual_seed(1))
    return LinearProblem.of(noise, T(D.astype(float)), y, None, None if weights is None else T(weights))


def of(made: LinearProblem, replicates: int, seed: int = 0) -> Bootstrap:
    return bootstrap(made, solved(made), replicates, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("noise", [Gaussian(), LogNormal(), Poisson(), Laplace(), Huber()], ids=str)
def test_replicates_are_fits_of_rows_drawn_again(noise: Noise) -> None:
    """Each the answer for the rows that were drawn, written out; with weights of their own and an offset."""
    rng = np.random.default_rng(2)
    w = rng.uniform(0.5, 2, size=60)
    made = problem(noise, weights=w)
    found, draw = of(made, 8), torch.Generator().manual_seed(0)
    for theta in found.theta:
        rows = torch.randint(60, (60,), generator=draw).numpy()
        alone = solve(noise, T(made.D[rows]), T(made.y[rows]), T(made.offset[rows]), T(w[rows]))
        np.testing.assert_allclose(theta, alone.theta, rtol=1e-7)
    L = np.array([[1.0, 2.0], [0.0, 1.0]])
    ends = np.percentile(found.theta @ L.T, [5, 95], axis=0).T
    np.testing.assert_allclose(found.intervals(np.zeros(2), L, 0.9), ends, rtol=1e-12)
    np.testing.assert_allclose(found.covariance(L), np.cov(found.theta @ L.T, rowvar=False), rtol=1e-10)
    np.testing.assert_allclose(found.standard_errors(L), (found.theta @ L.T).std(axis=0, ddof=1), rtol=1e-10)
    assert found.method == "bootstrap"
    assert found.failed == 0


def test_the_mean_has_its_closed_form() -> None:
    """The bootstrap variance of a mean is sum (y - ybar)^2 / n^2. A standard deviation of R = 4000 nearly normal draws
    is off by more than 4 / sqrt(2 R) = 4.5 % once in 16,000 seeds."""
    y = torch.randn(50, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    made = LinearProblem.of(Gaussian(), torch.ones(50, 1, dtype=torch.float64), y, None, None)
    assert of(made, 4000).standard_errors()[0] == pytest.approx(y.std(correction=0).item() / 50**0.5, rel=0.045)


def test_same_seed_same_draws_in_any_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    made = problem(Gaussian())
    whole = of(made, 10)
    monkeypatch.setattr(import_module("noiseworks.inference.bootstrap"), "BLOCK", 150)
    np.testing.assert_allclose(of(made, 10).theta, whole.theta, rtol=1e-12)
    assert np.abs(of(made, 10, seed=1).theta - whole.theta).max() > 1e-3


def test_replicates_without_an_answer_are_counted() -> None:
    """A column of two rows: a replicate misses both with probability (1 - 2/n)^n, about e^-2 = 0.135; of 400 between
    0.05 and 0.25, five standard deviations (0.017) away."""
    found = of(problem(Gaussian(), extra=True), 400)
    assert 20 < found.failed < 100
    assert len(found.theta) == 400 - found.failed
    counts = problem(Poisson(), extra=True)
    counts.y[:2] = 0.0, 3.0  # a replicate with the first row alone is separated
    assert of(counts, 100).failed > found.failed / 4
    with pytest.raises(UserError, match="the rows are too few for a bootstrap"):
        of(LinearProblem.of(Gaussian(), torch.eye(5, dtype=torch.float64)[:, :4], torch.arange(5.0), None, None), 3)


def test_short_rank_keeps_what_can_be_estimated() -> None:
    made = problem(Gaussian())
    twice = LinearProblem.of(Gaussian(), T(np.column_stack((made.D, made.D[:, 1]))), T(made.y), None, None)
    found, plain = of(twice, 20), of(made, 20)
    assert np.isnan(found.intervals(np.zeros(3))[1:]).all()
    total = np.array([[0.0, 1, 1]])
    np.testing.assert_allclose(
        found.intervals(np.zeros(3), total), plain.intervals(np.zeros(2), np.array([[0.0, 1]])), rtol=1e-9
    )
    assert found.failed == 0


@pytest.mark.parametrize("value", [1, 0, 2.5, True, "many"])
def test_replicates_are_a_whole_number_from_2(value: object) -> None:
    with pytest.raises(UserError, match=f"bootstrap={value} is not possible; it must be a whole number from 2"):
        Exact(bootstrap=value)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"standard_errors=jackknife .* HC3, bootstrap"):
        Exact(standard_errors="jackknife")


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("noise", [Gaussian(), LogNormal(), Poisson(), Laplace(), AsymmetricLaplace(tau=0.3)], ids=str)
def test_many_standard_errors_are_those_of_each(noise: Noise, method: str, shared: bool) -> None:
    rng = np.random.default_rng(4)
    D = np.concatenate((np.ones((5, 40, 1)), rng.normal(size=(5, 40, 2))), axis=2)
    D = D[0] if shared else D
    eta = np.broadcast_to(D @ np.array([1.0, 0.5, -0.3]), (5, 40)).copy()
    y = noise.with_scale(0.7).sample(T(eta), torch.Generator().manual_seed(1))
    if method == "iid" and noise.counts:
        return
    problems = LinearProblems.of(noise, T(D), y, None, None)
    many = batched_standard_errors(problems, solved_batch(problems), method)
    for k in range(5):
        one = problems.one(k)
        np.testing.assert_allclose(many[k], uncertainty(one, solved(one), method).standard_errors(), rtol=1e-7)
