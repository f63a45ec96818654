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


def layers(decayed: str, weight_decay: float = 0.1, stepper: str = "sgd", form: str = "augmented"):
    own = {"measure": "layers", "decayed": decayed, "weight_decay": weight_decay, "stepper": stepper, "form": form}
    return ex2.measure(SimpleNamespace(**own, **LAYERS))["difference"]


@pytest.mark.parametrize("stepper", ["sgd", "adam"])
@pytest.mark.parametrize("decayed", ["nothing", "everything"])
def test_the_two_layers_walk_together(decayed, stepper):
    assert layers(decayed, stepper=stepper).max() < ex2.ROUNDING


@pytest.mark.parametrize("stepper", ["sgd", "adam"])
def test_decay_of_the_weights_alone_parts_them(stepper):
    assert layers("weights", stepper=stepper).min() > 0.01
    assert layers("weights", weight_decay=0.0, stepper=stepper).max() < ex2.ROUNDING


@pytest.mark.parametrize("stepper", ["sgd", "adam"])
def test_a_bias_beside_the_ones_parts_them(stepper):
    assert layers("nothing", stepper=stepper, form="both").min() > 0.01


def test_solutions_by_the_normal_equations(monkeypatch):
    cfg = SimpleNamespace(measure="solutions", seed=4, replicates=3, num_examples=50, num_features=2)
    found = ex2.measure(cfg)
    for name in ("augmented", "twice", "uneven", "same"):
        assert found[name].max() < ex2.ROUNDING
    assert found["alone"].min() > 1
    right = np.linalg.lstsq
    monkeypatch.setattr(np.linalg, "lstsq", lambda A, y, rcond: right(A, y + 1e-9, rcond=rcond))  # a break is seen
    assert ex2.measure(cfg)["augmented"].min() > ex2.ROUNDING


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
    """By the normal equations of 20,000 samples, within 5 standard errors."""
    rng, n, d, ridge = np.random.default_rng(0), ex2.ROWS, ex2.FEATURES, ex2.RIDGE
    X = np.concatenate([rng.normal(size=(20_000, n, d)), np.ones((20_000, n, 1))], axis=2)
    shift = np.linalg.solve(X.mT @ X / n + ridge * np.eye(d + 1), X.mT @ np.ones((n, 1)) / n)[:, -1, 0]
    error = shift.std() / len(shift) ** 0.5
    assert ex2.follows(ridge) == pytest.approx(shift.mean(), abs=5 * error)
    assert min(abs(theory - shift.mean()) for theory in ex2.wrong_shifts().values()) > 2 * ex2.FOLLOWED
