"""Ridge answers: closed forms, scikit-learn, the stationarity of the penalized objective for every noise, limits."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from sklearn.linear_model import PoissonRegressor
from test_solvers_properties import NOISES, example

from noiseworks.errors import UserError
from noiseworks.noise import Gaussian, LogNormal, NegativeBinomial, Noise, Poisson, StudentT
from noiseworks.solvers.solve import solve

T = torch.from_numpy
PENALIZED = np.array([False, True, True])
RIDGED = {name: noise for name, noise in NOISES.items() if noise.quantile_level is None}
every_noise = pytest.mark.parametrize("noise", RIDGED.values(), ids=RIDGED)


def closed(D: np.ndarray, y: np.ndarray, w: np.ndarray, ridge: float, penalized: np.ndarray) -> np.ndarray:
    """(D'WD / n + ridge I)^-1 D'Wy / n for weights of mean one."""
    n, w = len(y), w / w.mean()
    return np.linalg.solve((D.T * w) @ D / n + ridge * np.diag(penalized.astype(float)), (D.T * w) @ y / n)


def rows(seed: int, n: int, P: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    D = np.column_stack((np.ones(n), rng.normal(size=(n, P - 1)) * np.geomspace(0.1, 10, P - 1)))
    return D, D @ rng.normal(size=P) + rng.normal(size=n), rng.uniform(0.5, 2, n), rng.normal(size=n)


@pytest.mark.parametrize(("n", "P"), [(50, 4), (5, 9), (30_000, 40)], ids=["tall", "wide", "by the Gram matrix"])
@pytest.mark.parametrize("noise", [Gaussian(), Gaussian(scale=3.0), LogNormal()])
def test_least_squares_has_a_closed_form(noise: Noise, n: int, P: int) -> None:
    D, y, w, offset = rows(1, n, P)
    penalized = np.arange(P) != 0
    right = closed(D, y - offset, w, 0.3, penalized)
    y = noise.inverse_transform(T(y / P))  # P: exp(y) stays a number
    answer = solve(noise, T(D), y, T(offset / P), T(w), ridge=0.3, penalized=T(penalized))
    np.testing.assert_allclose(answer.theta * P, right, rtol=1e-9, atol=1e-10)
    residual = noise.transform(y).numpy() - offset / P - D @ answer.theta.numpy()
    maximum = np.sqrt(np.average(residual**2, weights=w))
    assert answer.scale == pytest.approx(noise.scale_value or maximum, rel=1e-9)
    assert answer.gradient <= 1e-9


def test_poisson_as_scikit_learn() -> None:
    """Its objective is the same: mean half deviance plus alpha / 2 times the squared norm, without the intercept."""
    rng = np.random.default_rng(2)
    X, w = rng.normal(size=(200, 4)), rng.uniform(0.5, 2, 200)
    y = rng.poisson(np.exp(X @ [0.5, -0.2, 0.1, 0.3] + 0.4)).astype(float)
    right = PoissonRegressor(alpha=0.2, solver="newton-cholesky", tol=1e-12).fit(X, y, w)
    D, penalized = np.column_stack((X, np.ones(200))), T(np.array([True] * 4 + [False]))
    answer = solve(Poisson(), T(D), T(y), weights=T(w), ridge=0.2, penalized=penalized)
    np.testing.assert_allclose(answer.theta, [*right.coef_, right.intercept_], rtol=1e-9)


@every_noise
@pytest.mark.parametrize("wide", [False, True])
def test_the_penalized_objective_is_stationary(noise: Noise, wide: bool) -> None:
    """By autograd; with a copy of each column, as many solutions fit, and the penalty shares a weight among them."""
    D, y = example(noise)
    offset, w = 0.1 * torch.sin(torch.arange(len(y)).double()), 0.5 + (torch.arange(len(y)) % 3).double()
    D, penalized = (torch.cat((D, D[:, 1:]), 1), [0.0, 1, 1, 1, 1]) if wide else (D, [0.0, 1, 1])
    mask = torch.tensor(penalized, dtype=torch.float64)
    answer = solve(noise, D, y, offset, w, ridge=0.2, penalized=mask.bool())
    counted = noise.with_scale(1.0 if isinstance(noise, Gaussian) else answer.scale)
    theta = answer.theta.clone().requires_grad_()
    loss = (w / w.mean() * counted.nll(D @ theta + offset, y)).mean() + 0.1 * (mask * theta**2).sum()
    slope = torch.autograd.grad(loss, theta)[0]
    torch.testing.assert_close(slope, torch.zeros_like(slope), rtol=0, atol=1e-9)
    assert answer.gradient <= 1e-9
    if wide:
        torch.testing.assert_close(answer.theta[1:3], answer.theta[3:], rtol=1e-7, atol=1e-9)


@every_noise
def test_it_tends_to_the_answer_of_minimum_norm(noise: Noise) -> None:
    """With all of theta penalized: the distance is of the order of the ridge."""
    D, y = example(noise)
    mix = torch.tensor([[1.0, 0, 0, 0.5], [0, 1.0, 0, -1.0], [0, 0, 1.0, 2.0]], dtype=torch.float64)
    limit = solve(noise, D @ mix, y)
    distances = [float((solve(noise, D @ mix, y, ridge=ridge).theta - limit.theta).norm()) for ridge in (1e-4, 1e-6)]
    assert distances[0] <= 0.01
    assert distances[1] == pytest.approx(distances[0] / 100, rel=0.02)


@pytest.mark.parametrize("noise", [Poisson(), NegativeBinomial(dispersion=0.5), Poisson(link="softplus")])
def test_more_columns_than_rows(noise: Noise) -> None:
    """As from the columns turned to their five directions, in which a ridge on all of theta is the same ridge."""
    rng = np.random.default_rng(3)
    D, y = rng.normal(size=(5, 9)), np.array([1.0, 4.0, 2.0, 7.0, 0.0])
    left, size, right = np.linalg.svd(D, full_matrices=False)
    narrow = solve(noise, T(left * size), T(y), ridge=0.1)
    np.testing.assert_allclose(solve(noise, T(D), T(y), ridge=0.1).theta, right.T @ narrow.theta.numpy(), rtol=1e-8)


def test_a_penalty_makes_a_separated_optimum_finite() -> None:
    D = T(np.column_stack((np.ones(6), [0, 0, 0, 1, 1, 1])).astype(float))
    y = T(np.array([1.0, 2, 3, 0, 0, 0]))
    with pytest.raises(UserError, match="in 3 rows, the first of them row 4"):
        solve(Poisson(), D, y)
    for ridge in (0.01, 1e-7):  # the second leaves rates so small that they are looked into
        theta = solve(Poisson(), D, y, ridge=ridge, penalized=torch.tensor([False, True])).theta
        assert 3 * torch.exp(theta.sum()).item() / 6 == pytest.approx(-ridge * theta[1].item(), rel=1e-6)
    with pytest.raises(UserError, match="in 3 rows, the first of them row 4"):
        solve(Poisson(), D, y, ridge=0.01, penalized=torch.tensor([True, False]))


def test_an_outlier_does_not_lead_astray() -> None:
    """The start is robust: a tenth of the rows a thousand away moves little, though the likelihood is not convex."""
    D, y, *_ = rows(4, 200, 3)
    spoilt = y + 1000 * (np.arange(200) % 10 == 0)
    solved = partial(solve, StudentT(), T(D), ridge=1e-3, penalized=T(PENALIZED))
    np.testing.assert_allclose(solved(T(spoilt)).theta, solved(T(y)).theta, atol=0.5)


def test_misfits_are_named() -> None:
    D, y = example(Gaussian())
    for ridge in (-1.0, float("nan"), float("inf"), "much", True):
        with pytest.raises(UserError, match=f"ridge={ridge} is no penalty; it must be a number of at least 0"):
            solve(Gaussian(), D, y, ridge=ridge)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"penalized must have the shape \(3,\), one for each column; it is \(2,\)"):
        solve(Gaussian(), D, y, ridge=1.0, penalized=torch.ones(2))
    with pytest.raises(UserError, match=r"ridge=0.5 does not go with laplace noise: .*noise=huber"):
        solve(NOISES["laplace"], D, y, ridge=0.5)
