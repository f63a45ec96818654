"""Quantile regression of many rows: the sub-sample, the rows added up, and their repair."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from solvers_quantiles import Array, Case, fit, problem, value

from noiseworks.solvers.design import gram_design
from noiseworks.solvers.quantile import preprocessing as tortoise
from noiseworks.solvers.quantile.check_function import fit_lines
from noiseworks.solvers.quantile.crossover import Vertex
from noiseworks.solvers.quantile.least_absolute import at_vertex

N = 20_000


def columns(rng: np.random.Generator) -> Array:
    return np.column_stack((np.ones(N), rng.normal(size=(N, 4))))


def noisy(draw: Callable[[np.random.Generator], Array]) -> Callable[[np.random.Generator], Case]:
    def case(rng: np.random.Generator) -> Case:
        D = columns(rng)
        return D, D.sum(axis=1) + draw(rng), np.ones(N)

    return case


def rare_column(rng: np.random.Generator) -> Case:
    D = columns(rng)
    y = D.sum(axis=1) + rng.laplace(size=N)
    return np.column_stack((D, rng.permutation(N) < 7)), y, np.ones(N)


def far_rows(rng: np.random.Generator) -> Case:
    D = np.exp(2 * columns(rng))
    return D, D.sum(axis=1) + rng.laplace(size=N), np.ones(N)


def sorted_rows(rng: np.random.Generator) -> Case:
    D, e = columns(rng), np.sort(rng.laplace(size=N))
    return D, D.sum(axis=1) + e, np.ones(N)


def uneven_weights(rng: np.random.Generator) -> Case:
    D = columns(rng)
    w = np.where(rng.random(N) < 0.3, 1e-8, rng.exponential(size=N) ** 3)
    return D, D.sum(axis=1) + rng.laplace(size=N) * np.exp(D[:, 1]), w


def integers(rng: np.random.Generator) -> Case:
    D = columns(rng).round()
    return D, (D.sum(axis=1) + rng.laplace(size=N)).round(), np.ones(N)


def collinear(rng: np.random.Generator) -> Case:
    D = columns(rng)
    return np.column_stack((D, D[:, 1] - D[:, 2])), D.sum(axis=1) + rng.laplace(size=N), np.ones(N)


def scales(rng: np.random.Generator) -> Case:
    D = columns(rng)
    return D * 10.0 ** np.array([0, -8, 8, 3, -3]), 1e8 * (D.sum(axis=1) + rng.laplace(size=N)), np.ones(N)


CASES = {
    "plain": noisy(lambda rng: rng.laplace(size=N)),
    "heavy tails": noisy(lambda rng: rng.standard_cauchy(size=N) ** 3),
    "outliers": noisy(lambda rng: np.where(np.arange(N) < 3, 1e12, rng.laplace(size=N))),
    "offset": noisy(lambda rng: 1e9 + rng.laplace(size=N)),
    "mostly zero residuals": noisy(lambda rng: np.where(rng.random(N) < 0.6, 0.0, rng.laplace(size=N))),
    "no noise": noisy(lambda rng: np.zeros(N)),
    "rare column": rare_column,
    "far rows": far_rows,
    "sorted": sorted_rows,
    "weights": uneven_weights,
    "integers": integers,
    "collinear": collinear,
    "scales": scales,
}


@pytest.fixture
def sizes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The rows of each fit that the preprocessing asks for, the one or two that stand for the rest included."""
    seen: list[int] = []

    def spied(A: Array, y: Array, w: Array, tau: float) -> Vertex:
        seen.append(len(A))
        return fit_lines(A, y, w, tau)

    monkeypatch.setattr(tortoise, "fit_lines", spied)
    return seen


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("tau", [0.5, 0.05])
def test_as_good_as_all_rows_at_once(case: str, tau: float, sizes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    D, y, w = CASES[case](np.random.default_rng(0))
    tall = fit(D, y, w, tau)
    assert (len(sizes) > 0) == (case != "no noise")
    assert sizes[:1] < [N / 2]
    monkeypatch.setattr("noiseworks.solvers.quantile.least_absolute.MANY", N + 1)
    small = fit(D, y, w, tau)
    mine, other = (value(D, y, w, answer.theta.numpy(), tau) for answer in (tall, small))
    assert mine == pytest.approx(other, rel=1e-10, abs=1e-13 * w.sum() * np.abs(y).max())
    assert tall.gradient <= 1e-9
    assert tall.rank == small.rank
    assert tall.unique == small.unique


@pytest.mark.parametrize("case", ["plain", "weights", "integers", "far rows", "scales"])
def test_the_certificate_is_of_all_rows(case: str) -> None:
    D, y, w = CASES[case](np.random.default_rng(1))
    posed, tau = problem(D, y, w), 0.3
    design, found = at_vertex(posed, tau)
    A, w = design.orthogonal(), posed.weights
    assert found.x.max() <= tau * (1 + 1e-9)
    assert found.x.min() >= (tau - 1) * (1 + 1e-9)
    np.testing.assert_allclose(A.T @ (w * found.x), 0, atol=1e-9 * np.sqrt(N))
    np.testing.assert_allclose(found.residual[found.basis], 0, atol=1e-12 * np.abs(y).max())
    np.testing.assert_array_equal(found.x[found.residual > 1e-9 * np.abs(y).max()], tau)


def test_few_rows_are_kept_and_once(sizes: list[int]) -> None:
    """4 N sqrt(r / m) with m = (r N)^(2/3), and the two that stand for the rest."""
    D, y, w = CASES["plain"](np.random.default_rng(0))
    fit(D, y, w)
    assert sizes == [int(4 * N * np.sqrt(5 / int((5 * N) ** (2 / 3)))) + 2]


@pytest.mark.parametrize("band", [1.0, 0.02])
def test_wrong_signs_are_repaired(band: float, sizes: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """A band too narrow: a few rows are added, or with too many wrong the band is doubled; the answer is the same."""
    D, y, w = CASES["plain"](np.random.default_rng(0))
    expected = fit(D, y, w).theta
    sizes.clear()
    monkeypatch.setattr(tortoise, "BAND", band)
    answer = fit(D, y, w)
    np.testing.assert_allclose(answer.theta, expected, rtol=1e-11)
    assert answer.gradient <= 1e-9
    assert len(sizes) > 1
    assert (max(sizes) > 1.9 * sizes[0]) == (band < 1)


def test_the_factor_from_the_gram_matrix() -> None:
    """R'R = D'WD / n in units of the columns; too close to collinear for it, and to be told from it: no answer."""
    rng = np.random.default_rng(0)
    D, w = columns(rng) * np.array([1, 1e-6, 1e6, 1, 1]), rng.random(N)
    design = gram_design(D, w, D[:, 1])
    assert design is not None
    Z = D / design.scale
    np.testing.assert_allclose(design.R.T @ design.R, (Z * w[:, None]).T @ Z / N, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(design.theta(design.target), np.eye(5)[1], atol=1e-10)
    near = np.column_stack((D, D[:, 3] + 1e-6 * rng.normal(size=N)))
    assert gram_design(near, w, D[:, 1]) is None
    assert gram_design(np.column_stack((D, np.zeros(N))), w, D[:, 1]) is None
    assert gram_design(D * 1e200, w, D[:, 1]) is None
