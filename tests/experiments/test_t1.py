"""T1: what its measure gives, and its theory by other means."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

from noiseworks.config.experiment import load
from noiseworks.noise import Contaminated, Gaussian
from noiseworks.paths import experiments_folder

t1 = load(experiments_folder() / "t1_loss.py")


def measured(column, mistake):
    return t1.measure(SimpleNamespace(seed=2, replicates=6, num_observations=30, column=column, mistake=mistake))


def test_squared_loss_follows_and_absolute_loss_does_not():
    near, far = measured("label", 100.0), measured("label", 1000.0)
    np.testing.assert_allclose(far["squared"], 10 * near["squared"], rtol=1e-9)
    np.testing.assert_allclose(far["squared"], far["formula"], rtol=1e-9)
    np.testing.assert_allclose(far["absolute"], near["absolute"], atol=1e-12)


def test_a_wrong_feature_spoils_both():
    far = measured("feature", 1000.0)
    assert min(far["squared"].min(), far["absolute"].min()) > 0.4  # the slope was about 1


def test_the_measure_by_hand():
    """The same samples, by numpy's own least squares."""
    rng = np.random.default_rng(2)
    x, e = rng.normal(size=(2, 6, 30))
    y = 1 + x + e
    before = [np.polyfit(x[k], y[k], 1)[0] for k in range(6)]
    y[:, 0] += 10
    after = [np.polyfit(x[k], y[k], 1)[0] for k in range(6)]
    np.testing.assert_allclose(measured("label", 10.0)["squared"], np.abs(np.subtract(after, before)), rtol=1e-9)


@pytest.mark.parametrize("ratio", [1.0, 10.0])
def test_variances_are_those_of_the_noise(ratio):
    noise = Contaminated(share=t1.SHARE, ratio=ratio)
    zero = torch.zeros(1, dtype=torch.float64)
    density = noise.nll(zero, zero).neg().exp().item()
    assert t1.variance("absolute", ratio) == pytest.approx(1 / (4 * density**2), rel=1e-12)
    draws = noise.sample(torch.zeros(10**6, dtype=torch.float64), torch.Generator().manual_seed(0))
    assert t1.variance("squared", ratio) == pytest.approx(draws.var().item() * t1.N / (t1.N - t1.D - 2), rel=0.02)
    assert t1.variance("absolute", 1.0) == pytest.approx(np.pi / 2)


def test_least_squares_has_that_variance():
    """n sigma^2 / (n - d - 2): the mean of the diagonal of the inverse of a Wishart matrix, with a constant fitted."""
    rng = np.random.default_rng(3)
    X = rng.normal(size=(4000, 20, 4))
    X -= X.mean(axis=1, keepdims=True)
    diagonal = np.diagonal(np.linalg.inv(X.mT @ X), axis1=1, axis2=2).mean(axis=1)
    assert abs(diagonal.mean() - 1 / (20 - 4 - 2)) < 4 * diagonal.std() / np.sqrt(4000)


def test_without_the_half():
    """scale^2 = 1 / 2 makes the Gaussian nll r^2 but for a constant."""
    y, zero = torch.tensor([0.0, 1.0, -3.0], dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    whole = Gaussian(scale=t1.WHOLE).nll(zero, y)
    np.testing.assert_allclose(whole - whole[0], y.square(), rtol=1e-12)
    half = Gaussian(scale=t1.HALF).nll(zero, y)
    np.testing.assert_allclose(half - half[0], stats.norm.logpdf(0) - stats.norm.logpdf(y.numpy()), rtol=1e-12)
