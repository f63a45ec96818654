from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch
from solvers_nist import CERTIFIED, data

from noiseworks.noise import Gaussian, LogNormal
from noiseworks.solvers.solve import solve

T = torch.from_numpy

# Correct digits against NIST's certified values, a digit below what was measured: 14.1 13.5 14.7 15.3 14.6 7.9 13.8
# 12.9 13.5 12.8 9.5. Filip's are lost before the solver is called: see test_filip_as_float64. Residuals are taken in
# 80 bits; where a long double is a double, the harder ones have fewer digits.
DIGITS = {
    "norris": 13, "pontius": 12, "noint1": 13, "noint2": 14, "longley": 13, "filip": 7,
    "wampler1": 12, "wampler2": 12, "wampler3": 12, "wampler4": 11, "wampler5": 9,
}  # fmt: skip


def rational(D: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Least squares of the float64 numbers as they are, by normal equations in exact arithmetic."""
    rows = [[Fraction(float(v)) for v in row] + [Fraction(float(t))] for row, t in zip(D, y)]
    P = D.shape[1]
    M = [[sum(row[i] * row[j] for row in rows) for j in range(P + 1)] for i in range(P)]
    for i in range(P):
        M[i] = [v / M[i][i] for v in M[i]]
        for k in range(P):
            if k != i:
                M[k] = [a - M[k][i] * b for a, b in zip(M[k], M[i])]
    return np.array([float(M[i][P]) for i in range(P)])


def digits(found: torch.Tensor, right: list[float] | np.ndarray) -> float:
    error = np.abs(found.numpy() - right) / np.abs(right)
    return float(-np.log10(error.max() + 1e-17))


@pytest.mark.parametrize("name", CERTIFIED)
def test_nist_certified_values(name: str) -> None:
    D, y = data(name)
    answer = solve(Gaussian(), T(D), T(y.astype(float)))
    assert answer.rank == D.shape[1]
    assert digits(answer.theta, CERTIFIED[name]) >= DIGITS[name]


def test_filip_as_float64() -> None:
    """Powers up to x^10, rounded to float64, have another least-squares fit than NIST's: they agree to 8 digits.

    Of those rounded numbers the answer has 10 digits.
    """
    D, y = data("filip")
    exact = rational(D, y)
    assert digits(T(exact), CERTIFIED["filip"]) < 9
    assert digits(solve(Gaussian(), T(D), T(y)).theta, exact) >= 9.5


def test_scale_is_the_root_mean_square_residual() -> None:
    """NIST's residual standard deviations are over n - P."""
    for name, n, P, certified in (("longley", 16, 7, 304.854073561965), ("wampler3", 21, 6, 2360.14502379268)):
        D, y = data(name)
        scale = solve(Gaussian(), T(D), T(y)).scale
        assert scale == pytest.approx(certified * np.sqrt((n - P) / n), rel=1e-11)


def test_a_given_scale_is_returned() -> None:
    D, y = data("norris")
    assert solve(Gaussian(scale=3.0), T(D), T(y)).scale == 3.0


def test_lognormal_is_least_squares_of_log_y() -> None:
    rng = np.random.default_rng(0)
    D, y, offset = rng.normal(size=(30, 3)), rng.lognormal(size=30), rng.normal(size=30)
    answer = solve(LogNormal(), T(D), T(y), offset=T(offset))
    np.testing.assert_allclose(answer.theta, np.linalg.lstsq(D, np.log(y) - offset)[0], rtol=1e-12)
    residual = np.log(y) - offset - D @ answer.theta.numpy()
    assert answer.scale == pytest.approx(np.sqrt(np.mean(residual**2)), rel=1e-12)


@pytest.mark.parametrize("shape", [(5, 9), (40, 6), (3, 200)])
def test_short_rank_gives_the_minimum_norm(shape: tuple[int, int]) -> None:
    """As numpy's pseudo-inverse, which has the same definition; rank 4, or 3 of n = 3."""
    rng = np.random.default_rng(1)
    n, P = shape
    D, y = rng.normal(size=(n, min(n, 4))) @ rng.normal(size=(min(n, 4), P)), rng.normal(size=n)
    answer = solve(Gaussian(), T(D), T(y))
    assert answer.rank == min(n, 4)
    np.testing.assert_allclose(answer.theta, np.linalg.pinv(D, rcond=1e-12) @ y, rtol=1e-9, atol=1e-12)


def test_minimum_norm_is_that_of_the_coordinates_given() -> None:
    """Column 2 is 1000 times column 1: theta_2 = 1000 theta_1, however the columns are scaled on the way."""
    rng = np.random.default_rng(2)
    x, y = rng.normal(size=20), rng.normal(size=20)
    answer = solve(Gaussian(), T(np.column_stack((x, 1000 * x))), T(y))
    slope = (x @ y) / (x @ x)
    np.testing.assert_allclose(answer.theta, np.array([1, 1000]) * slope / (1 + 1000**2), rtol=1e-12)


def test_a_column_of_zeros_and_no_columns() -> None:
    y = T(np.array([1.0, 2.0, 6.0]))
    answer = solve(Gaussian(), T(np.array([[1.0, 0.0]] * 3)), y)
    np.testing.assert_allclose(answer.theta, [3.0, 0.0], rtol=1e-15)
    assert answer.rank == 1
    nothing = solve(Gaussian(), y[:, None][:, :0], y)
    assert nothing.theta.shape == (0,)
    assert nothing.scale == pytest.approx(np.sqrt(41 / 3))


def test_nearly_collinear_is_not_collinear() -> None:
    """Columns that differ by 1e-9 of their size are two columns; by a rounding error, one."""
    rng = np.random.default_rng(3)
    x, other, y = rng.normal(size=50), rng.normal(size=50), rng.normal(size=50)
    near = np.column_stack((x, x + 1e-9 * other))
    assert solve(Gaussian(), T(near), T(y)).rank == 2
    assert digits(solve(Gaussian(), T(near), T(y)).theta, rational(near, y)) >= 9
    assert solve(Gaussian(), T(np.column_stack((x, x * (1 + 2e-16)))), T(y)).rank == 1


def test_blocks_of_rows_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    """A long design is factored a block at a time and refined in float64."""
    rng = np.random.default_rng(4)
    D, y, w = rng.normal(size=(500, 3)) * [1, 1e6, 1e-6], rng.normal(size=500), rng.uniform(0.5, 2, size=500)
    whole = solve(Gaussian(), T(D), T(y), weights=T(w))
    monkeypatch.setattr("noiseworks.solvers.design.BLOCK", 100)
    monkeypatch.setattr("noiseworks.solvers.least_squares.EXTENDED", 0)
    np.testing.assert_allclose(solve(Gaussian(), T(D), T(y), weights=T(w)).theta, whole.theta, rtol=1e-12)
