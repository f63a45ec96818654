"""The solvers for streams by themselves, and against programs that are not ours."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
import torch
from scipy.optimize import linprog

from noiseworks.noise import Gaussian, Laplace, NegativeBinomial, Noise, Poisson
from noiseworks.solvers.chunked import solve_chunked
from noiseworks.solvers.linear_problem import LinearProblem
from noiseworks.solvers.sufficient_statistics import Gathered, Sketch, Triangle

N, P = 3_000, 4


def design(rng: np.random.Generator) -> np.ndarray:
    return np.column_stack((np.ones(N), rng.normal(size=(N, P - 1))))


def stream(noise: Noise, D: np.ndarray, y: np.ndarray, m: int = 400, memory: int = 1 << 24):
    """Blocks of 700 rows; the names of the passes that were made."""
    weights, offset, made = np.ones(len(y)), np.zeros(len(y)), []

    def rows(what):
        made.append(what)
        for low in range(0, len(y), 700):
            part = slice(low, low + 700)
            yield LinearProblem(noise, D[part], y[part], offset[part], weights[part])

    triangle = Triangle(D.shape[1] + 2)
    for block in rows("sums"):
        triangle.add(np.column_stack((block.D, np.ones(len(block.y)), block.y)))
    which = np.random.default_rng(0).choice(len(y), m, replace=False)
    sample = LinearProblem(noise, D[which], y[which], offset[which], weights[which])
    return rows, Sketch(triangle.R.numpy(), len(y), sample, memory), made


def test_the_triangle_of_longley_has_the_certified_digits():
    """NIST's Longley (condition 5e9): the first two certified coefficients, to the digits that QR leaves."""
    data = sm.datasets.longley.load().data
    D = sm.add_constant(data.drop(columns="TOTEMP")).to_numpy(dtype=float)
    y = data["TOTEMP"].to_numpy(dtype=float)
    rows, sketch, made = stream(Gaussian(), D, y, m=16)
    answer = solve_chunked(Gaussian(), rows, sketch)
    assert made == ["sums"]
    assert answer.theta[0].item() == pytest.approx(-3482258.63459582, rel=1e-8)
    assert answer.theta[1].item() == pytest.approx(15.0618722713733, rel=1e-7)
    # residual standard deviation 304.854073561965 with 16 - 7 degrees of freedom
    assert answer.scale * np.sqrt(16 / 9) == pytest.approx(304.854073561965, rel=1e-8)


def test_poisson_is_that_of_statsmodels_in_five_passes():
    rng = np.random.default_rng(1)
    D = design(rng)
    y = rng.poisson(np.exp(D @ [0.5, 0.3, -0.4, 0.2])).astype(float)
    noise = Poisson(link="log")
    rows, sketch, made = stream(noise, D, y)
    answer = solve_chunked(noise, rows, sketch)
    reference = sm.GLM(y, D, family=sm.families.Poisson()).fit(tol=1e-14, maxiter=100).params
    np.testing.assert_allclose(answer.theta.numpy(), reference, rtol=1e-9)
    assert len(made) <= 5


def test_negative_binomial_is_that_of_statsmodels():
    rng = np.random.default_rng(2)
    D = design(rng)
    mu = np.exp(D @ [0.5, 0.3, -0.4, 0.2])
    y = rng.poisson(mu * rng.gamma(2.0, 0.5, N)).astype(float)
    rows, sketch, _ = stream(NegativeBinomial(), D, y)
    answer = solve_chunked(NegativeBinomial(), rows, sketch)
    fit = sm.NegativeBinomial(y, D).fit(disp=0, method="newton", maxiter=200, tol=1e-12)
    np.testing.assert_allclose([*answer.theta.tolist(), answer.scale], fit.params, rtol=1e-6)


def test_laplace_is_that_of_a_linear_program():
    rng = np.random.default_rng(3)
    D = design(rng)[:, :3]
    y = D @ [1.0, 2.0, -1.0] + rng.standard_t(2, size=N)
    rows, sketch, made = stream(Laplace(), D, y, m=1_200)
    answer = solve_chunked(Laplace(), rows, sketch)
    cost = np.concatenate((np.zeros(6), np.ones(2 * N)))
    equal = np.hstack((D, -D, np.eye(N), -np.eye(N)))
    best = linprog(cost, A_eq=equal, b_eq=y, bounds=(0, None), method="highs")
    assert np.abs(y - D @ answer.theta.numpy()).sum() == pytest.approx(best.fun, rel=1e-9)
    assert answer.scale == pytest.approx(best.fun / N, rel=1e-9)
    assert "signs" in made


@pytest.mark.parametrize("shift", [0.5, 3.0])
def test_rows_on_the_wrong_side_of_a_bad_sample_are_found(shift):
    """The sample's fit is off by many standard errors: signs are guessed wrong, few enough to be repaired or not."""
    rng = np.random.default_rng(4)
    D = design(rng)[:, :2]
    y = D @ [0.0, 1.0] + rng.laplace(size=N)
    rows, sketch, made = stream(Laplace(), D, y, m=1_200)
    good = solve_chunked(Laplace(), rows, sketch)
    assert made == ["sums", "rows near the fit", "signs"]
    moved = replace(sketch, sample=replace(sketch.sample, y=sketch.sample.y + shift))
    bad = solve_chunked(Laplace(), rows, moved)
    np.testing.assert_allclose(bad.theta.numpy(), good.theta.numpy(), rtol=1e-9)
    assert bad.scale == pytest.approx(good.scale, rel=1e-12)
    assert made.count("rows near the fit") > 2  # more are kept
    assert (made[-2:] == ["signs", "signs"]) == (shift == 0.5)  # the last few are added


def test_a_sample_without_events_leaves_the_constant_as_the_start():
    rng = np.random.default_rng(5)
    D = design(rng)
    y = rng.poisson(np.exp(D @ [-4.0, 0.5, 0.5, 0.5])).astype(float)
    rows, sketch, _ = stream(Poisson(link="log"), D, y)
    none = sketch.sample.y == 0
    few = LinearProblem(
        sketch.sample.noise, *(getattr(sketch.sample, k)[none] for k in ("D", "y", "offset", "weights"))
    )
    answer = solve_chunked(Poisson(link="log"), rows, Sketch(sketch.small, N, few, sketch.memory))
    reference = sm.GLM(y, D, family=sm.families.Poisson()).fit(tol=1e-14, maxiter=100).params
    np.testing.assert_allclose(answer.theta.numpy(), reference, rtol=1e-9)


def test_the_identity_link_solves_its_likelihood_equations():
    """sum_i (1 - y_i / mu_i) D_i = 0, mu = D theta > 0; the likelihood is concave."""
    rng = np.random.default_rng(6)
    D = np.column_stack((np.ones(N), rng.uniform(size=(N, 2))))
    y = rng.poisson(D @ [0.5, 2.0, 1.0]).astype(float)
    noise = Poisson(link="identity")
    rows, sketch, _ = stream(noise, D, y)
    mu = D @ solve_chunked(noise, rows, sketch).theta.numpy()
    assert (mu > 0).all()
    np.testing.assert_allclose(D.T @ (1 - y / mu) / N, 0, atol=1e-11)


def test_gathered_rows_stay_in_order_beyond_what_was_expected():
    gathered, rng = Gathered(3, expected=10), np.random.default_rng(0)
    X, y = rng.normal(size=(5_000, 2)), rng.normal(size=5_000)
    for low in range(0, 5_000, 700):
        gathered.add(X[low : low + 700], y[low : low + 700])
    np.testing.assert_array_equal(gathered.rows, np.column_stack((X, y)))


def test_triangles_of_blocks_are_that_of_all_rows():
    rows = torch.from_numpy(np.random.default_rng(7).normal(size=(20_000, 5)))
    triangle = Triangle(5)
    for block in rows.split(9_000):
        triangle.add(block.numpy())
    np.testing.assert_allclose(triangle.R.T @ triangle.R, rows.T @ rows, rtol=1e-12, atol=1e-9)
