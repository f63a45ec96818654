"""Learning rates over the steps, averaged iterates, and the trajectory."""

import math

import numpy as np
import pytest
import torch
from train_helpers import CONSTANT, COSINE, LINEAR, member, problem, settings

from noiseworks.errors import UserError
from noiseworks.fit import train
from noiseworks.model import Linear
from noiseworks.noise import Gaussian
from noiseworks.train.schedules import ConstantRate, Cosine, InverseSqrt

STEPS = torch.tensor([0, 1, 50, 99])


def test_factors():
    decay = InverseSqrt(averaging=False, averaging_start=0.5, decay_steps=50.0)
    assert CONSTANT.factor(STEPS, 100).tolist() == [1, 1, 1, 1]
    expected = [1, 1 / math.sqrt(1.02), 1 / math.sqrt(2), 1 / math.sqrt(2.98)]
    assert decay.factor(STEPS, 100).tolist() == pytest.approx(expected, rel=1e-15)
    expected = [1, (1 + math.cos(0.01 * math.pi)) / 2, 0.5, (1 + math.cos(0.99 * math.pi)) / 2]
    assert COSINE.factor(STEPS, 100).tolist() == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("start", [-0.1, 1.0])
def test_averaging_start_is_a_share(start):
    with pytest.raises(UserError, match=f"schedule.averaging_start={start}"):
        ConstantRate(averaging=True, averaging_start=start)


def test_decay_steps_are_positive():
    with pytest.raises(UserError, match=r"schedule.decay_steps=0"):
        InverseSqrt(averaging=False, averaging_start=0.5, decay_steps=0.0)


@pytest.mark.parametrize("start", [0.0, 0.5, 0.63, 0.99])
@pytest.mark.parametrize("make", [ConstantRate, Cosine])
def test_the_average_is_the_mean_of_the_iterates(make, start, monkeypatch):
    """4 epochs of 5 steps; averaging starts within an epoch, and within a block (of 2 minibatches here)."""
    monkeypatch.setattr("noiseworks.data.minibatches.BLOCK_STEPS", 2)
    of = problem(Gaussian(), Linear(intercept=True, init_scale=1.0), batch_size=9)
    schedule = make(averaging=True, averaging_start=start)
    outcome = train([member(of, lr=0.2, schedule=schedule)], settings(max_epochs=4), keep_path=True)
    path = outcome.path[:, 0].numpy()
    assert len(path) == 20
    first = min(math.ceil(start * 20), 19)  # a share that leaves no step takes the last iterate
    expected = path[first:].mean(axis=0)
    np.testing.assert_allclose(outcome.coefficients[0].numpy(), expected, rtol=1e-12, atol=1e-13)


def test_the_trajectory_has_a_row_a_step_and_ends_at_the_answer():
    of = problem(Gaussian(), batch_size=9)
    outcome = train([member(of, lr=0.1, seed=s) for s in (0, 1)], settings(max_epochs=3), keep_path=True)
    assert outcome.path.shape == (15, 2, 4)
    assert torch.equal(outcome.path[-1], outcome.coefficients)
    assert train([member(of)], settings()).path is None


def test_averaging_helps_with_a_constant_rate():
    """The iterates at lr = 0.5 wander about the exact answer; their mean is at least twice as near in the median of
    20 orders (expected: some sqrt(steps averaged / steps remembered) = sqrt(150 / 4) = 6 times)."""
    of = problem(Gaussian(), LINEAR, num_examples=50, batch_size=4)
    errors = []
    for averaging in (True, False):
        schedule = ConstantRate(averaging=averaging, averaging_start=0.5)
        members = [member(of, lr=0.5, seed=s, schedule=schedule) for s in range(20)]
        errors.append(train(members, settings(max_epochs=30)).metrics["param/error"].median().item())
    assert errors[0] < errors[1] / 2
