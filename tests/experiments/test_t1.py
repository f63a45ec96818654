"""T1: what its measure gives, and its theory by other means."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

from noiseworks.config.experiment import load
from noiseworks.noise import Contaminated, Gaussian
from noiseworks.paths import experiments_folder
from noiseworks_experiments.parts.absolute import slope_variance

t1 = load(experiments_folder() / "t1_loss.py")


def measured(column, mistake):
    settings = {"seed": 2, "replicates": 6, "num_observations": 30, "column": column, "mistake": mistake}
    return t1.measure(SimpleNamespace(measure="outlier", **settings))


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


@pytest.mark.parametrize(("kind", "ratio"), [("clean", 1.0), ("bad", 10.0)])
def test_variances_are_those_of_the_noise(kind, ratio):
    """Of squared loss sigma^2 by draws; for many rows that of absolute loss tends to 1 / (4 f(0)^2 n)."""
    noise = Contaminated(share=t1.SHARE, ratio=ratio)
    draws = noise.sample(torch.zeros(10**6, dtype=torch.float64), torch.Generator().manual_seed(0))
    assert t1.variance("squared", kind) == pytest.approx(draws.var().item() / (t1.N - 2), rel=0.02)
    zero = torch.zeros(1, dtype=torch.float64)
    density = noise.nll(zero, zero).neg().exp().item()
    share = t1.SHARE if kind == "bad" else 0.0
    many = slope_variance(lambda e: (1 - share) * stats.norm.cdf(e) + share * stats.norm.cdf(e / ratio), 10**5)
    assert 10**5 * many == pytest.approx(1 / (4 * density**2), rel=1e-3)


def test_slopes_have_these_variances():
    found = t1.measure(SimpleNamespace(measure="contaminated", seed=4, replicates=40, samples=200))
    assert len(found) == 4
    for name, squares in found.items():
        due = t1.variance(*name.split("/"))
        assert abs(squares.mean() - due) < 4 * squares.std() / np.sqrt(len(squares))
        assert abs(squares.mean() - due * 18 / 20) > 4 * squares.std() / np.sqrt(len(squares)) or "bad" in name


def test_without_the_half():
    """scale^2 = 1 / 2 makes the Gaussian nll r^2 but for a constant."""
    y, zero = torch.tensor([0.0, 1.0, -3.0], dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    whole = Gaussian(scale=t1.WHOLE).nll(zero, y)
    np.testing.assert_allclose(whole - whole[0], y.square(), rtol=1e-12)
    half = Gaussian(scale=t1.HALF).nll(zero, y)
    np.testing.assert_allclose(half - half[0], stats.norm.logpdf(0) - stats.norm.logpdf(y.numpy()), rtol=1e-12)
