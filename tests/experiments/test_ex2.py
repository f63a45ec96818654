"""Exercise 2: what its measures give on small cases, and that a break of them is seen."""

from types import SimpleNamespace

import numpy as np
import pytest

from noiseworks.config.experiment import load
from noiseworks.paths import experiments_folder

ex2 = load(experiments_folder() / "ex2_affine.py")
LAYERS = {
    "seed": 3,
    "replicates": 2,
    "num_examples": 30,
    "num_features": 3,
    "num_steps": 40,
    "batch_size": 5,
    "lr": 0.05,
}


def layers(decayed: str, weight_decay: float = 0.1):
    cfg = SimpleNamespace(measure="layers", decayed=decayed, weight_decay=weight_decay, **LAYERS)
    return ex2.measure(cfg)["difference"]


@pytest.mark.parametrize("decayed", ["nothing", "everything"])
def test_the_two_layers_walk_together(decayed):
    assert layers(decayed).max() < ex2.ROUNDING


def test_decay_of_the_weights_alone_parts_them():
    assert layers("weights").min() > 0.01
    assert layers("weights", weight_decay=0.0).max() < ex2.ROUNDING


def centring(design: str):
    return ex2.measure(SimpleNamespace(measure="centring", design=design, seed=1, replicates=3))


@pytest.mark.parametrize("k", [2, 3, 7])
def test_the_shortest_answer_for_groups(k):
    found = centring(f"groups_{k}")
    np.testing.assert_allclose(found["together"], k / (k + 1), rtol=1e-12)
    np.testing.assert_allclose(found["centred"], 1, rtol=1e-12)
    np.testing.assert_allclose(found["predicted"], 0, atol=1e-12)  # of a group that is there


def test_more_columns_than_rows():
    found = centring("wide")
    assert found["fitted"].max() < ex2.SOLVED < 0.01 < found["predicted"].min()


def test_how_far_a_penalized_intercept_follows():
    """By the normal equations of 4000 samples; the formula leaves out terms of order (d / n)^2."""
    rng, n, d, ridge = np.random.default_rng(0), ex2.ROWS, ex2.FEATURES, ex2.RIDGE
    X = np.concatenate([rng.normal(size=(4000, n, d)), np.ones((4000, n, 1))], axis=2)
    shift = np.linalg.solve(X.mT @ X / n + ridge * np.eye(d + 1), X.mT @ np.ones((n, 1)) / n)[:, -1, 0]
    assert ex2.follows() == pytest.approx(shift.mean(), abs=1e-4)
    assert abs(1 / (1 + ridge) - shift.mean()) > 5e-4  # the formula without the mean of x is not it
