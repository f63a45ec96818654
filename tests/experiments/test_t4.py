"""Sizes of minibatches: the theory against simulation and limits, and the measure of copies on small cases."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from noiseworks import studies as study
from noiseworks.config.experiment import load
from noiseworks.paths import experiments_folder

t4 = load(experiments_folder() / "t4_batches.py")


def redundancy(**changes):
    settings = {"seed": 0, "replicates": 50, "num_rows": 32, "num_features": 3, "batch_size": 8, "lr": 0.4}
    return t4.measure(SimpleNamespace(**{"measure": "redundancy", **settings, **changes}))


@pytest.mark.parametrize(("size", "lr"), [(1, 0.02), (8, 0.2), (64, 0.9)])
def test_the_factor_of_a_step_by_simulation(size, lr):
    rng, R = np.random.default_rng(size), 4000
    X, e = rng.normal(size=(R, size, t4.D)), np.zeros((t4.D, 1))
    e[3] = 1.0
    left = ((e - lr / size * X.mT @ (X @ e)) ** 2).sum(axis=(1, 2))
    assert abs(left.mean() - t4.factor(size, lr)) < 5 * left.std() / math.sqrt(R)
    assert abs(left.mean() - (1 - lr) ** 2) > 5 * left.std() / math.sqrt(R)  # that of the mean gradient alone


@pytest.mark.parametrize("size", [1, 32, 500])
def test_the_best_step(size):
    best = t4.best_step(size)
    assert t4.factor(size, best) == pytest.approx((t4.D + 1) / (size + t4.D + 1))
    assert all(t4.factor(size, best * by) > t4.factor(size, best) for by in (0.99, 1.01))
    assert t4.factor(size, 2 * best) == pytest.approx(1)


def test_examples_to_the_tolerance():
    assert t4.examples(1e-6) == pytest.approx(32 * math.log(100), rel=1e-6)
    assert t4.examples(32) / t4.examples(1e-6) == pytest.approx(1 / math.log(2), rel=1e-6)
    assert t4.examples(32, 0.25) == pytest.approx(t4.examples(32, 0.75))


def test_copies_cost_full_batches_only():
    found = redundancy()
    for copies in t4.COPIES:
        np.testing.assert_array_equal(found[f"full/{copies}"], copies * found["full/1"])
    ratio = study.ratio_of_means(found["minibatch/16"], found["minibatch/1"])
    assert ratio.lo < 1 < ratio.hi
    assert (redundancy(lr=0.1)["full/1"] > found["full/1"]).all()


def test_a_full_batch_steps_as_its_matrix_says():
    settings = SimpleNamespace(replicates=1, num_features=2, lr=0.5)
    X = np.sqrt(2) * np.eye(2)[None]  # X'X / n = I: the error halves, 2^-8 is the first square below 0.01
    assert t4.steps(settings, lambda: X) == 4


def test_the_start_has_distance_one():
    copies = {f"coefficient/x{j}": np.zeros(3) for j in range(t4.D)}
    np.testing.assert_allclose(t4.squared_distance(SimpleNamespace(copies=copies)), 1.0)


def test_the_examples_are_read_from_what_is_left():
    """Half of the squared distance in 512 examples: 1 % after 512 log2(100)."""
    run = SimpleNamespace(copies={f"coefficient/x{j}": np.zeros(4) for j in range(t4.D)})
    j = np.arange(t4.D)
    w_true = (-1.0) ** j / (1 + j)
    w_true /= np.linalg.norm(w_true)
    for i in j:
        run.copies[f"coefficient/x{i}"] = np.full(4, (1 - math.sqrt(0.5)) * w_true[i])
    runs = {"t4_sizes": SimpleNamespace(one=lambda setting: run)}
    assert t4.looked_at(runs, "B32").estimate == pytest.approx(512 * math.log2(100))


def test_times_are_positive():
    assert min(t4.times(SimpleNamespace(seed=0), least=0.0).values()) > 0
