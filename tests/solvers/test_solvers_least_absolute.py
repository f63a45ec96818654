from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from noiseworks.noise import Laplace
from noiseworks.solvers.solve import solve
from published_tables import STACKLOSS

T = torch.from_numpy


def test_stackloss_as_quantreg() -> None:
    """R 4, quantreg 5.94:

    coef(rq(stack.loss ~ ., data = stackloss, tau = .5))
    coef(rq(stack.loss ~ ., data = stackloss, tau = .5, weights = rep(1:3, 7)))
    """
    D, y = T(np.column_stack((np.ones(21), STACKLOSS[:, 1:]))), T(STACKLOSS[:, 0].copy())
    plain = [-39.6898550724637929, 0.8318840579710135, 0.5739130434782647, -0.0608695652173913]
    weighted = [-39.7314702308627190, 0.8335358444714457, 0.5662211421628189, -0.0595382746051027]
    np.testing.assert_allclose(solve(Laplace(), D, y).theta, plain, rtol=1e-12)
    weights = T(np.tile([1.0, 2.0, 3.0], 7))
    np.testing.assert_allclose(solve(Laplace(), D, y, weights=weights).theta, weighted, rtol=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_zero_is_a_subgradient(seed: int) -> None:
    """Optimal if and only if some s has s_i = w_i sign(r_i) where r_i is not 0, |s_i| <= w_i where it is, and D's = 0.

    A linear program of its own finds the s that is nearest to feasible. Integer data, ties and units of 1e6 included.
    """
    rng = np.random.default_rng(seed)
    n, P = int(rng.integers(8, 60)), int(rng.integers(1, 5))
    D, w = np.column_stack((np.ones(n), rng.normal(size=(n, P - 1)))), rng.integers(1, 4, size=n).astype(float)
    y = D.sum(axis=1) + rng.standard_cauchy(size=n)
    if seed % 2:
        D, y = D.round(), y.round()
    y = y * 10.0 ** (seed - 6)
    answer = solve(Laplace(), T(D), T(y), weights=T(w))
    r = y - D @ answer.theta.numpy()
    zero = np.abs(r) <= 1e-12 * np.abs(y).max()
    assert zero.sum() >= answer.rank
    right = -D.T @ (w * np.where(zero, 0, np.sign(r)))
    # min t: |D_zero' s - right| <= t, |s| <= w
    free = D[zero].T
    ones = np.ones((P, 1))
    rows = np.vstack((np.hstack((free, -ones)), np.hstack((-free, -ones))))
    bounds = [*((-v, v) for v in w[zero]), (0, None)]
    found = linprog(np.eye(zero.sum() + 1)[-1], rows, np.concatenate((right, -right)), bounds=bounds)
    assert found.status == 0
    assert found.fun <= 1e-6 * n
    assert answer.gradient <= 1e-9
    assert answer.scale == pytest.approx(np.average(np.abs(r), weights=w), rel=1e-12)


def test_the_median() -> None:
    y = T(np.array([1.0, 2.0, 3.0, 7.0, 1e9]))
    assert solve(Laplace(), torch.ones(5, 1, dtype=torch.float64), y).theta.item() == 3.0


def test_minimum_norm_of_a_doubled_column() -> None:
    D, y = T(np.column_stack((np.ones(21), STACKLOSS[:, 1:]))), T(STACKLOSS[:, 0].copy())
    once, twice = solve(Laplace(), D, y).theta, solve(Laplace(), torch.cat((D, 3 * D[:, 1:2]), 1), y)
    assert twice.rank == 4
    # a + 3 b = theta_1 with least a^2 + b^2
    np.testing.assert_allclose(twice.theta, [once[0], once[1] / 10, once[2], once[3], 3 * once[1] / 10], rtol=1e-9)


def test_digits_survive_an_awkward_level() -> None:
    """y near 1e9 with a spread of one: what the linear program sees is the spread alone."""
    rng = np.random.default_rng(5)
    D, e = np.column_stack((np.ones(51), rng.normal(size=51))), rng.laplace(size=51).round(3)
    near, far = (solve(Laplace(), T(D), T(e + level)).theta for level in (0.0, 1e9))
    np.testing.assert_allclose(far - T(np.array([1e9, 0.0])), near, atol=1e-6)
