"""Designs of many rows: from the Gram matrix where it is safe, never copied, from the answer of some of the rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from test_solvers_least_squares import digits, rational

from noiseworks.errors import UserError
from noiseworks.noise import Gaussian, Huber, NegativeBinomial, Noise, Poisson, StudentT
from noiseworks.solvers.design import TransformedDesign, gram_design, reduce, summed
from noiseworks.solvers.glm import _descent, sample_start, start
from noiseworks.solvers.likelihood import Likelihood, RidgePenalty
from noiseworks.solvers.linear_problem import LinearProblem
from noiseworks.solvers.newton import newton
from noiseworks.solvers.solve import solve

T = torch.from_numpy


@pytest.fixture
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every design counts as one of many numbers."""
    monkeypatch.setattr("noiseworks.solvers.least_squares.EXTENDED", 0)
    monkeypatch.setattr("noiseworks.solvers.location_scale.LARGE", 0)
    monkeypatch.setattr("noiseworks.solvers.design.WHOLE", 0)


def rows(n: int = 60_000) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Without random numbers, so that R has the same: D (n, 3), counts y, offset, weights.

    i <- 0:59999; x <- sin(i); z <- cos(i * 0.37) + 0.5 * x; e <- 0.3 * sin(i * 1.3); w <- 1 + (i %% 3) / 2
    y <- floor(exp(0.8 + 0.5 * x - 0.3 * z + e) * (-log((i * 0.618033988749895) %% 1 + 1e-9)))
    """
    i = np.arange(float(n))
    x, e = np.sin(i), 0.3 * np.sin(i * 1.3)
    z = np.cos(i * 0.37) + 0.5 * x
    y = np.floor(np.exp(0.8 + 0.5 * x - 0.3 * z + e) * -np.log((i * 0.618033988749895) % 1 + 1e-9))
    return T(np.column_stack((np.ones(n), x, z))), T(y), T(e), T(1 + (i % 3) / 2)


@pytest.mark.usefixtures("large")
def test_as_r() -> None:
    """R 4.2, tight <- list(epsilon = 1e-15, maxit = 100): coef of
    glm(y ~ x + z, poisson, offset = e, weights = w, control = tight)
    MASS::glm.nb(y ~ x + z, control = glm.control(epsilon = 1e-14, maxit = 100)), and 1 / theta
    glm(y + 1 ~ x + z, poisson(link = "identity"), weights = w, control = tight), which stops at 1e-9
    lm(y ~ x + z + I(x * z), weights = w)
    """
    D, y, e, w = rows()
    log = solve(Poisson(), D, y, e, w)
    np.testing.assert_allclose(log.theta, [0.561504013405472, 0.612944451318671, -0.366975516474559], rtol=1e-12)
    several = solve(NegativeBinomial(), D, y)
    np.testing.assert_allclose(several.theta, [0.582953455622969, 0.618810069572435, -0.370500381615867], rtol=1e-10)
    assert several.scale == pytest.approx(1.09406639931527, rel=1e-8)
    identity = solve(Poisson(link="identity"), D, y + 1, weights=w)
    np.testing.assert_allclose(identity.theta, [2.94031269033353, 1.10476364619633, -0.65939230500076], rtol=3e-9)
    product = torch.cat((D, D[:, 1:2] * D[:, 2:]), 1)
    right = [1.98741334240064, 1.16476914324252, -0.700325484193481, -0.188379117441592]
    np.testing.assert_allclose(solve(Gaussian(), product, y, weights=w).theta, right, rtol=1e-12)
    assert max(answer.gradient for answer in (log, several, identity)) <= 1e-12


@pytest.mark.parametrize(
    "noise",
    [Poisson(), Poisson(link="softplus"), NegativeBinomial(), NegativeBinomial(dispersion=0.7), Huber(), StudentT()],
)
def test_the_way_does_not_show(noise: Noise, monkeypatch: pytest.MonkeyPatch) -> None:
    """By QR from all rows at once; by the Gram matrix from some of the rows, in blocks and spans."""
    D, y, e, w = rows()
    monkeypatch.setattr("noiseworks.solvers.glm.MANY", 10**9)
    monkeypatch.setattr("noiseworks.solvers.location_scale.LARGE", 10**9)
    plain = solve(noise, D, y, e, w)
    monkeypatch.undo()
    monkeypatch.setattr("noiseworks.solvers.design.WHOLE", 0)
    monkeypatch.setattr("noiseworks.solvers.location_scale.LARGE", 0)
    there = solve(noise, D, y, e, w)
    torch.testing.assert_close(there.theta, plain.theta, rtol=1e-11, atol=1e-11)
    assert there.scale == (None if plain.scale is None else pytest.approx(plain.scale, rel=1e-9))


def ill_conditioned(condition: float, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    D = rng.normal(size=(n, 3))
    D = np.column_stack((D, D @ [1.0, -2.0, 0.5] + 10 / condition * rng.normal(size=n))) * [1.0, 1e5, 1e-5, 30.0]
    return D, D @ (1 / np.abs(D).max(axis=0)) + rng.normal(size=n)


@pytest.mark.usefixtures("large")
@pytest.mark.parametrize(("condition", "safe"), [(10.0, True), (1e3, True), (1e4, True), (1e6, False), (1e8, False)])
def test_least_squares_has_the_digits_of_qr(condition: float, safe: bool) -> None:
    """Against exact arithmetic. Residuals in float64 cost the condition number, for either way to begin."""
    D, y = ill_conditioned(condition)
    assert (gram_design(D, np.ones(len(y)), y) is not None) == safe
    answer = solve(Gaussian(), T(D), T(y))
    assert digits(answer.theta, rational(D, y)) >= 15 - np.log10(condition)
    assert answer.gradient <= 1e-10


def test_the_gram_matrix_declines_what_is_not_safe() -> None:
    D, y = ill_conditioned(10.0)
    ones = np.ones(len(y))
    for bad in (1e200 * D, 1e-200 * D, 0 * D, np.column_stack((D, D[:, :1])), np.column_stack((D, 1e-160 * y))):
        assert gram_design(bad, ones, y) is None
    assert gram_design(np.column_stack((D, D[:, :1])), ones, y, penalty=np.full(5, 0.1)) is not None


@pytest.mark.parametrize("penalty", [None, np.array([0.0, 1.0, 0.3, 2.0])])
def test_the_gram_matrix_has_the_factor_of_qr(penalty: np.ndarray | None) -> None:
    D, y = ill_conditioned(100.0)
    w = np.random.default_rng(6).uniform(0.5, 2, len(y))
    gram, right = gram_design(D, w, y, penalty), reduce(D, w, y, penalty)
    assert gram is not None
    for one in (gram, right):
        X = D[:, one.pivots] / one.scale
        added = 0 if penalty is None else np.diag((penalty / one.scale) ** 2)
        np.testing.assert_allclose(one.R.T @ one.R, (X.T * w) @ X / len(y) + added, rtol=1e-12, atol=1e-14)
    solved = [np.linalg.solve(one.R, one.target) / one.scale for one in (gram, right)]
    np.testing.assert_allclose(solved[0], solved[1], rtol=1e-8)


def test_blocks_are_the_columns_of_the_design(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kept whole, formed a block at a time, or (lazy) never formed."""
    D, y = ill_conditioned(100.0, 5000)
    design = reduce(D, np.ones(len(y)))
    whole = TransformedDesign.of(design)
    monkeypatch.setattr("noiseworks.solvers.design.WHOLE", 0)
    lazy = TransformedDesign.of(design)
    formed = TransformedDesign(lazy.D, lazy.back)
    assert (whole.lazy, whole.back, lazy.lazy) == (False, None, True)
    z, c = np.array([1.0, 2, 3, 4]), np.sin(np.arange(5000.0))
    A = design.orthogonal()
    for blocks in (whole, formed, lazy):
        assert blocks.shape == A.shape
        np.testing.assert_allclose(blocks.times(z), A @ z, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(blocks.turned(c), A.T @ c, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(blocks.rows(y > 0), A[y > 0], rtol=1e-9, atol=1e-9)
        parts = [block.gram(c[own]) for own, block in blocks.within()]
        np.testing.assert_allclose(sum(parts), (A.T * c) @ A, rtol=1e-9, atol=1e-9)
    assert not TransformedDesign.of(reduce(*(ill_conditioned(1e7)[0], np.ones(400)))).lazy


def test_threads_do_not_show() -> None:
    """Spans are the same however many threads there are: so are the last digits."""
    D, y, *_ = rows(300_000)
    threads, answers = torch.get_num_threads(), []
    try:
        for count in (1, 3):
            torch.set_num_threads(count)
            answers.append(solve(Poisson(), D, y).theta)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(*answers)
    seen = np.zeros(300_001)

    def part(span: slice) -> tuple[float]:
        seen[span] += 1
        return (float(span.stop - span.start),)

    assert summed(300_001, part) == (300_001.0,)
    assert (seen == 1).all()


def test_a_sample_is_near_the_answer() -> None:
    """In the orthogonal columns, whose information is about mean y, the errors are about sqrt(1 / (m mean y)) each;
    m is a fifth of the rows, and six standard errors are allowed."""
    D, y, e, w = rows()
    problem = LinearProblem.of(Poisson(), D, y, e, w)
    A = TransformedDesign.of(reduce(problem.D, problem.weights))
    v = sample_start(problem, A, False, start, -np.inf)
    assert v is not None
    right = newton(Likelihood.of(problem, A, False), v).v
    excess = float(np.average((problem.y - np.exp(A.times(right) + problem.offset)) ** 2, weights=problem.weights))
    error = np.sqrt(excess * 1.5 / 12_000) / problem.y.mean()
    assert 1e-6 < np.abs(v - right).max() < 6 * error


@pytest.mark.parametrize(
    "noise", [NegativeBinomial(), StudentT(), Poisson(), Poisson(link="softplus"), Huber(scale=0.8)]
)
def test_derivatives_are_those_of_the_value(noise: Noise, monkeypatch: pytest.MonkeyPatch) -> None:
    """By central differences, in blocks of 256 rows; the step costs about 1e-10 and 1e-6."""
    monkeypatch.setattr("noiseworks.solvers.design.CACHED", 1)
    D, y, e, w = (part.numpy() for part in rows(3000))
    joint = noise.scale_name is not None and noise.scale_value is None
    penalty = RidgePenalty(np.diag([0.0, 1.0, 0.5]), np.array([0.0, 0.3, -0.2]))
    problem = LinearProblem.of(noise, T(D), T(y), T(e), T(w))
    likelihood = Likelihood.of(problem, TransformedDesign(D), joint, penalty)
    v = np.array([0.4, 0.5, -0.2, -0.3])[: 3 + joint]
    value, gradient, hessian = likelihood.evaluate(v)
    assert value == pytest.approx(likelihood.value(v), rel=1e-14)
    steps = 1e-5 * np.eye(len(v))
    slopes = [(likelihood.value(v + h) - likelihood.value(v - h)) / 2e-5 for h in steps]
    np.testing.assert_allclose(gradient, slopes, atol=1e-8)
    curves = [(likelihood.evaluate(v + h)[1] - likelihood.evaluate(v - h)[1]) / 2e-5 for h in steps]
    if not isinstance(noise, Huber):  # whose second derivative jumps
        np.testing.assert_allclose(hessian, curves, atol=1e-8)


def test_a_row_that_the_first_linear_program_does_not_have() -> None:
    """All rows can go down but one, which then goes up."""
    moves = np.tile([-1.0, 0.5], (50_000, 1))
    moves[43_211] = [1.0, 0.0]
    assert (moves @ _descent(np.delete(moves, 43_211, axis=0))).max() == 1
    assert (moves @ _descent(moves) <= 1e-6).all()


@pytest.mark.usefixtures("large")
def test_separated_groups_are_found_among_many_rows() -> None:
    """Counts all zero in a group of 3,000 among 60,000 rows, twice in the design: rank-deficient, and no optimum."""
    D, y, *_ = rows()
    group = (torch.arange(60_000) % 20 == 7).double()
    y = y * (1 - group)
    wide = torch.cat((D, group[:, None], -group[:, None]), 1)
    for noise in (Poisson(), NegativeBinomial(dispersion=1.0), Poisson(link="softplus")):
        with pytest.raises(UserError, match=r"no finite optimum: .* in 3000 rows, the first of them row 8"):
            solve(noise, wide, y)


@pytest.mark.usefixtures("large")
def test_a_group_that_the_sample_may_not_see() -> None:
    """One count among the 40 rows of a group: most samples see none, and would send its rate to zero."""
    D, y, *_ = rows()
    group = (torch.arange(60_000) % 1500 == 7).double()
    y = torch.where(group > 0, 0.0, y)
    y[7] = 2.0
    answer = solve(Poisson(), torch.cat((D, group[:, None]), 1), y)
    fitted = torch.exp(torch.cat((D, group[:, None]), 1) @ answer.theta)
    assert float((fitted * group).sum()) == pytest.approx(2.0, rel=1e-10)
    assert answer.gradient <= 1e-12
