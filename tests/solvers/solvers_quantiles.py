"""Quantile regressions: data that are hard for them, the fit under test, and HiGHS as the judge."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from noiseworks.noise import Laplace
from noiseworks.solvers.linear_problem import LinearProblem
from noiseworks.solvers.quantile.least_absolute import least_absolute
from noiseworks.solvers.solution import Solution

Array = NDArray[np.float64]
Case = tuple[Array, Array, Array]  # D (n, P), y (n,), w (n,)


def problem(D: Array, y: Array, w: Array | None = None) -> LinearProblem:
    w = np.ones(len(y)) if w is None else w
    return LinearProblem(Laplace(), D, y, np.zeros(len(y)), w / w.mean())


def fit(D: Array, y: Array, w: Array | None = None, tau: float = 0.5) -> Solution:
    return least_absolute(problem(D, y, w), tau)


def check(t: Array, tau: float) -> Array:
    """rho_tau."""
    return np.where(t > 0, tau * t, (tau - 1) * t)


def value(D: Array, y: Array, w: Array, theta: Array, tau: float) -> float:
    return float(w @ check(y - D @ theta, tau))


def best(D: Array, y: Array, w: Array, tau: float) -> float:
    """The primal program by HiGHS: min sum w (tau u + (1 - tau) v), D theta + u - v = y, in units of D and y.

    Evaluated at HiGHS's theta, so that its tolerances cannot make it look too good.
    """
    n, P = D.shape
    unit, scale = np.abs(y).max() or 1.0, np.maximum(np.abs(D).max(axis=0), 1e-300)
    cost = np.concatenate((np.zeros(P), tau * w, (1 - tau) * w)) / w.max()
    bounds = [(None, None)] * P + [(0, None)] * (2 * n)
    found = linprog(cost, A_eq=np.hstack((D / scale, np.eye(n), -np.eye(n))), b_eq=y / unit, bounds=bounds)
    assert found.status == 0, found.message
    return value(D, y, w, found.x[:P] * unit / scale, tau)


def plain(rng: np.random.Generator, n: int = 60, P: int = 4) -> Case:
    D = np.column_stack((np.ones(n), rng.normal(size=(n, P - 1))))
    return D, D.sum(axis=1) + rng.laplace(size=n), np.ones(n)


def with_noise(draw: Callable[[np.random.Generator, int], Array]) -> Callable[[np.random.Generator], Case]:
    def case(rng: np.random.Generator) -> Case:
        D, _, w = plain(rng)
        return D, D.sum(axis=1) + draw(rng, len(D)), w

    return case


def ties(rng: np.random.Generator) -> Case:
    _, y, w = plain(rng)
    return np.column_stack((np.ones(60), rng.integers(0, 3, size=(60, 3)))).astype(float), y.round(), w


def duplicated(rng: np.random.Generator) -> Case:
    D, y, _ = plain(rng, 20)
    rows = rng.integers(0, 20, size=60)
    return D[rows], y[rows], np.ones(60)


def zero_residuals(rng: np.random.Generator) -> Case:
    D, y, w = plain(rng)
    return D, np.where(rng.random(60) < 0.6, D.sum(axis=1), y), w


def no_counts(rng: np.random.Generator) -> Case:
    D, y, w = plain(rng)
    return D, np.where(rng.random(60) < 0.6, 0.0, y), w


def collinear(rng: np.random.Generator) -> Case:
    D, y, w = plain(rng)
    return np.column_stack((D, D[:, 1] + 2 * D[:, 2], 3 * D[:, 0])), y, w


def huge_offset(rng: np.random.Generator) -> Case:
    D, y, w = plain(rng)
    return D, y.round(2) + 1e8, w


def scales(rng: np.random.Generator) -> Case:
    D, y, w = plain(rng)
    return D * 10.0 ** np.array([0, -8, 8, 3]), y * 1e8, w


def small_y(rng: np.random.Generator) -> Case:
    D, y, w = plain(rng)
    return D, y * 1e-8, w


def as_many_rows_as_columns(rng: np.random.Generator) -> Case:
    return plain(rng, 4)


def one_row_more(rng: np.random.Generator) -> Case:
    return plain(rng, 5)


def fewer_rows_than_columns(rng: np.random.Generator) -> Case:
    return plain(rng, 3, 6)


def weights(rng: np.random.Generator) -> Case:
    D, y, _ = plain(rng)
    return D, y, rng.exponential(size=60) ** 2 + 1e-3


def tiny_weights(rng: np.random.Generator) -> Case:
    D, y, w = plain(rng)
    w[rng.random(60) < 0.3] = 1e-8
    return D, y, w


def all_equal(rng: np.random.Generator) -> Case:
    D, y, w = plain(rng)
    return D, np.full_like(y, 3.3), w


def rare_column(rng: np.random.Generator) -> Case:
    D, y, w = plain(rng)
    return np.column_stack((D, np.arange(60) < 3)).astype(float), y, w


def cauchy(rng: np.random.Generator, n: int) -> Array:
    return rng.standard_cauchy(size=n) ** 3


def outliers(rng: np.random.Generator, n: int) -> Array:
    return np.where(np.arange(n) < 3, 1e9, rng.laplace(size=n))


CASES: dict[str, Callable[[np.random.Generator], Case]] = {
    "plain": plain,
    "heavy tails": with_noise(cauchy),
    "outliers": with_noise(outliers),
    "ties": ties,
    "duplicated rows": duplicated,
    "zero residuals": zero_residuals,
    "mostly zero": no_counts,
    "collinear": collinear,
    "huge offset": huge_offset,
    "scales": scales,
    "small y": small_y,
    "n = P": as_many_rows_as_columns,
    "n = P + 1": one_row_more,
    "n < P": fewer_rows_than_columns,
    "weights": weights,
    "tiny weights": tiny_weights,
    "all equal": all_equal,
    "rare column": rare_column,
}
