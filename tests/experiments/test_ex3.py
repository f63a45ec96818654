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
    np.testing.assert_allclose(ex3.features(x) @ ex3.truth(rank), expected, rtol=1e-12)


def test_features_are_those_of_the_model():
    model = QuadraticModel(intercept=True, init_scale=0.0)
    x = np.random.default_rng(0).normal(size=(5, 4))
    assert model.terms(["x0", "x1", "x2", "x3"]) == ex3.NAMES
    np.testing.assert_allclose(ex3.features(x), model.design(torch.from_numpy(x)).numpy(), rtol=1e-12)


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
    assert ex3.new_examples(n) == pytest.approx(15 / n + (561 - 15) / n**2)


def test_the_error_on_new_examples_by_simulation():
    """E[tr((F'F)^-1 E[f f'])] at n = 400, where what the formula leaves out is a tenth of what the margin allows."""
    rng, n = np.random.default_rng(2), 400
    F = np.stack([ex3.features(rng.normal(size=(n, 4))) for _ in range(1500)])
    found = np.trace(np.linalg.solve(F.mT @ F, ex3.moments()), axis1=1, axis2=2)
    error = found.std() / math.sqrt(len(found))
    assert abs(found.mean() - ex3.new_examples(n)) < 6 * error + 3e-4
    assert abs(found.mean() - 15 / n) > 12 * error + 3e-4  # p / n holds for the rows' own x


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
    assert torch.linalg.matrix_rank(jacobian).item() == ex3.free(rank)


def test_the_best_start_is_chosen_by_training_error():
    run = type("Run", (), {"params": {"data.samples": "2"}, "copies": {"train/rmse": np.array([3.0, 1.0, 2.0, 4.0])}})
    np.testing.assert_array_equal(ex3.best_starts(run, np.array([10.0, 11.0, 12.0, 13.0])), [12.0, 11.0])
