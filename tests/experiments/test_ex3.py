"""Exercise 3: the theory against closed forms, simulation, and the data set."""

import math

import numpy as np
import pytest
import torch

from noiseworks.config.experiment import load
from noiseworks.data.synthetic import QuadraticForm
from noiseworks.model import Quadratic as QuadraticModel
from noiseworks.noise import Gaussian
from noiseworks.paths import experiments_folder
from noiseworks_experiments.parts import ex3_theory

ex3 = load(experiments_folder() / "ex3_quadratic.py")


def data(**changes) -> QuadraticForm:
    common = {"seed": 0, "batch_size": 10, "order": "shuffle", "val_fraction": 0.0, "test_fraction": 0.0}
    common |= {"standardize": False, "allow_fractions": False}
    synthetic = {"num_examples": 50, "num_features": 4, "correlation": 0.0, "rank": None, "true_weights": [0.5] * 4}
    synthetic |= {"true_intercept": 1.0, "signal": 1.0, "noise": Gaussian()}
    return QuadraticForm(**{**common, **synthetic, "form_rank": 2, "curvature": 1.0, "samples": None, **changes})


@pytest.mark.parametrize("rank", [1, 2, 3, 4])
def test_truth_is_that_of_the_data(rank):
    x = np.random.default_rng(rank).normal(size=(20, 4))
    expected = data(form_rank=rank).truth(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(ex3_theory.features(x) @ ex3.truth(rank), expected, rtol=1e-12)


def test_features_are_those_of_the_model():
    model = QuadraticModel(intercept=True, init_scale=0.0)
    x = np.random.default_rng(0).normal(size=(5, 4))
    assert model.terms(["x0", "x1", "x2", "x3"]) == ex3.NAMES
    np.testing.assert_allclose(ex3_theory.features(x), model.design(torch.from_numpy(x)).numpy(), rtol=1e-12)


def test_moments_of_normal_features():
    """E x^2 = 1, E x^4 = 3, E x_i^2 x_j^2 = 1."""
    at, moments = {name: k for k, name in enumerate(ex3.NAMES)}, ex3.moments()
    assert moments[at["x0"], at["x0"]] == pytest.approx(1)
    assert moments[at["x1^2"], at["x1^2"]] == pytest.approx(3)
    assert moments[at["x0^2"], at["x1^2"]] == pytest.approx(1)
    assert moments[at["x0*x1"], at["x0*x1"]] == pytest.approx(1)
    assert moments[at["x0"], at["x0^2"]] == pytest.approx(0, abs=1e-12)


def test_the_fourth_moment_has_a_closed_form():
    """|g|^2 = 1 + d/2 + |x|^4 / 2 by Hermite's polynomials; E|x|^4 = d (d + 2), E|x|^8 = d (d + 2)(d + 4)(d + 6)."""
    d, n = 4, 200
    fourth = (1 + d / 2) ** 2 + (1 + d / 2) * d * (d + 2) + d * (d + 2) * (d + 4) * (d + 6) / 4
    assert fourth == 561
    length = (ex3_theory.whitened() ** 2).sum(0)
    assert ex3_theory.nodes()[1] @ length**2 == pytest.approx(fourth)
    assert ex3.new_examples(n) == pytest.approx(15 / n + (561 - 15) / n**2 + 7320 / n**3)


def test_the_error_on_new_examples_by_simulation():
    """E[tr((F'F)^-1 E[f f'])] at n = 200; the formula leaves out terms of order 1 / n^4, a tenth of the margin."""
    rng, n = np.random.default_rng(2), 200
    F = np.stack([ex3_theory.features(rng.normal(size=(n, 4))) for _ in range(1500)])
    found = np.trace(np.linalg.solve(F.mT @ F, ex3.moments()), axis1=1, axis2=2)
    error = found.std() / math.sqrt(len(found))
    assert abs(found.mean() - ex3.new_examples(n)) < 6 * error + 5e-4
    for wrong in ex3.wrong_on_new().values():
        assert abs(found.mean() - wrong) > 12 * error + 5e-4


def test_what_an_affine_function_misses():
    rng, n = np.random.default_rng(3), 200
    X = rng.normal(size=(3000, n, 4))
    missed = np.einsum("rni,ij,rnj->rn", X, ex3.form(2), X) - np.trace(ex3.form(2))
    design = np.concatenate([X, np.ones((3000, n, 1))], axis=2)
    noisy = (missed + rng.normal(size=missed.shape))[..., None]
    off = np.linalg.solve(design.mT @ design, design.mT @ noisy)
    found = 2 + (off**2).sum((1, 2))  # E[f f'] = I for (x, 1), and the form is uncorrelated with both
    assert abs(found.mean() - ex3.best_affine(2, n)) < 6 * found.std() / math.sqrt(3000) + 0.01


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_free_numbers_are_the_rank_of_the_derivative(rank):
    """Of (u, w, a, b) -> coefficients, at random parameters of width `rank`."""

    def coefficients(theta: torch.Tensor) -> torch.Tensor:
        W, u, a, b = theta[: 4 * rank].reshape(rank, 4), theta[4 * rank : 5 * rank], theta[5 * rank : -1], theta[-1:]
        form = W.T @ (u[:, None] * W)
        return torch.cat([form.flatten(), 2 * W.T @ (u * a), (u * a * a).sum() + b])

    theta = torch.randn(6 * rank + 1, generator=torch.Generator().manual_seed(rank), dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(coefficients, theta)
    assert torch.linalg.matrix_rank(jacobian).item() == ex3_theory.free(rank)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_the_units_of_the_truth_are_the_truth(rank):
    x = np.random.default_rng(rank).normal(size=(30, 4))
    u, W, a = ex3_theory.units(rank)
    values = (x @ W.T + a) ** 2 @ u
    expected = ex3_theory.features(x) @ ex3.truth(rank)
    assert np.ptp(values - expected) < 1e-12  # b takes up a constant
    assert len(u) == rank


def test_the_derivative_by_differences():
    x, rank, step = np.random.default_rng(0).normal(size=(6, 4)), 2, 1e-6
    u, W, a = ex3_theory.units(rank)
    theta = np.concatenate([u, W.ravel(), a, [0.0]])

    def network(theta):
        u, W, a, b = theta[:2], theta[2:10].reshape(2, 4), theta[10:12], theta[12]
        return (x @ W.T + a) ** 2 @ u + b

    expected = [(network(theta + step * e) - network(theta - step * e)) / (2 * step) for e in np.eye(13)]
    np.testing.assert_allclose(ex3_theory.derivative(x, rank), np.array(expected).T, atol=1e-8)


@pytest.mark.parametrize(("rank", "first"), [(1, 6 / 200), (2, 10 / 200)])
def test_squares_of_the_ranks_width_by_one_step_of_gauss_and_newton(rank, first):
    """From the truth, least squares on the derivative: its excess error is E[t'(T'T)^-1 t] with t the derivative."""
    rng, n = np.random.default_rng(3), 200
    x, weights = ex3_theory.nodes()
    _, s, V = np.linalg.svd(np.sqrt(weights)[:, None] * ex3_theory.derivative(x, rank), full_matrices=False)
    basis = V[: ex3_theory.free(rank)].T / s[: ex3_theory.free(rank)]
    T = np.stack([ex3_theory.derivative(rng.normal(size=(n, 4)), rank) @ basis for _ in range(2000)])
    found = np.trace(np.linalg.inv(T.mT @ T), axis1=1, axis2=2)
    assert abs(found.mean() - ex3_theory.of_width(rank, n)) < 6 * found.std() / math.sqrt(2000) + 5e-4
    assert abs(found.mean() - first) > 12 * found.std() / math.sqrt(2000)


def test_the_best_start_is_chosen_by_training_error():
    run = type("Run", (), {"params": {"data.samples": "2"}, "copies": {"train/rmse": np.array([3.0, 1.0, 2.0, 4.0])}})
    np.testing.assert_array_equal(ex3.best_starts(run, np.array([10.0, 11.0, 12.0, 13.0])), [12.0, 11.0])
