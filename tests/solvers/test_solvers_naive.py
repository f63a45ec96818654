"""Least squares as textbooks write it: right at full rank, and honest about what happens below it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from noiseworks.errors import UserError
from noiseworks.exact import Exact
from noiseworks.noise import Gaussian, Laplace, LogNormal
from noiseworks.solvers.linear_problem import LinearProblem
from noiseworks.solvers.naive import METHODS, solve_by
from noiseworks.solvers.solve import solve, solved


def design(n: int = 30, P: int = 4, seed: int = 0) -> torch.Tensor:
    return torch.randn(n, P, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def problem(D, y, method, noise=None, **extra):
    return replace(LinearProblem.of(noise or Gaussian(), D, y, **extra), method=method)


@pytest.mark.parametrize("noise", [Gaussian(), LogNormal()])
@pytest.mark.parametrize("method", METHODS)
def test_right_at_full_rank(method, noise):
    D, y = design(), design(P=1, seed=1)[:, 0].exp()
    extra = {"offset": design(P=1, seed=2)[:, 0], "weights": design(P=1, seed=3)[:, 0].exp()}
    penalized = torch.tensor([True, True, True, False])
    for ridge in (0.0, 0.3):
        found = solved(problem(D, y, method, noise, ridge=ridge, penalized=penalized, **extra))
        exact = solve(noise, D, y, ridge=ridge, penalized=penalized, **extra)
        torch.testing.assert_close(found.theta, exact.theta, rtol=1e-11, atol=1e-12)
        assert found.scale == pytest.approx(exact.scale)
        assert found.gradient < 1e-12
        assert found.kind == method


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("method", METHODS)
def test_in_its_own_precision(method, dtype):
    A = design().numpy().astype(dtype)
    found = solve_by(method, A, A @ np.ones(4, dtype))
    assert found.dtype == dtype
    np.testing.assert_allclose(found, 1, atol=100 * np.finfo(dtype).eps)


def test_a_column_of_zeros_is_named():
    D = design()
    D[:, 2] = 0  # exactly singular, whatever is rounded
    y = design(P=1, seed=1)[:, 0]
    for method in ("inverse", "cholesky", "qr"):
        with pytest.raises(UserError, match=f"method={method} found.*30 rows, 4 columns and rank 3"):
            solved(problem(D, y, method))
    theta = solved(problem(D, y, "svd")).theta
    torch.testing.assert_close(theta, solve(Gaussian(), D, y).theta)
    assert theta[2] == 0


def test_more_columns_than_rows():
    D, y = design(3, 5), design(3, 1, 1)[:, 0]
    with pytest.raises(UserError, match="R is 3 x 5, not square"):
        solved(problem(D, y, "qr"))
    found = solved(problem(D, y, "svd", Gaussian(scale=1.0)))
    torch.testing.assert_close(found.theta, torch.linalg.pinv(D) @ y)


def test_garbage_is_returned_as_it_comes_and_told_by_its_gradient():
    """The last column is the sum of two others but for rounding: QR divides by that."""
    D = design()
    D[:, 3] = (D[:, 0] + D[:, 1]) / 3
    found = solved(problem(D, design(P=1, seed=1)[:, 0], "qr"))
    assert found.theta.norm() > 1e10
    assert found.rank == 3
    assert found.gradient > 1e-3


def test_the_ridge_repairs_every_method():
    D, y = design(3, 5), design(3, 1, 1)[:, 0]
    right = torch.linalg.solve(D.T @ D + 3 * 0.2 * torch.eye(5, dtype=torch.float64), D.T @ y)
    for method in METHODS:
        torch.testing.assert_close(solved(problem(D, y, method, ridge=0.2)).theta, right)


def test_other_noise_and_other_names_are_refused():
    with pytest.raises(UserError, match=r"method=qr is a way to least squares, and laplace noise is not that"):
        solved(problem(design(), design(P=1)[:, 0], "qr", Laplace()))
    with pytest.raises(UserError, match=r"optimizer.method=lu is unknown; it must be one of auto, inverse"):
        Exact(method="lu")
