"""data.input_noise: drawn once it makes another data set, whose held-out rows stay clean; its errors."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from noiseworks.data.synthetic import Synthetic
from noiseworks.errors import UserError
from noiseworks.model import Linear
from noiseworks.noise import Gaussian
from noiseworks.problem import Problem, make_problem

COMMON: dict[str, Any] = {
    "seed": 0,
    "batch_size": 8,
    "order": "shuffle",
    "val_fraction": None,
    "test_fraction": 0.25,
    "standardize": False,
    "allow_fractions": False,
    "num_examples": 4000,
    "num_features": 3,
    "correlation": 0.0,
    "rank": None,
    "true_weights": None,
    "true_intercept": 1.0,
    "signal": 1.0,
    "noise": Gaussian(scale=0.5),
}
LINEAR = Linear(intercept=True, init_scale=0.0)


def made(replicate: int = 0, **changes: Any) -> Problem:
    return make_problem(Synthetic(**(COMMON | changes)), Gaussian(), LINEAR, 0.25, replicate)


@pytest.mark.parametrize("fresh", [False, True])
def test_held_out_rows_and_targets_stay_as_they_are(fresh):
    clean, noisy = made(), made(input_noise=0.3, input_noise_fresh=fresh)
    for name in ("val", "test"):
        assert torch.equal(clean.parts[name].X, noisy.parts[name].X)
    for name, part in clean.parts.items():
        assert torch.equal(part.y, noisy.parts[name].y)
    assert torch.equal(clean.parts["train"].X, noisy.parts["train"].X) is fresh
    assert (clean.examples.digest == noisy.examples.digest) is fresh


def test_noise_that_is_drawn_once():
    """6000 normal numbers: 5.2 standard errors of mean, scale and correlation; the column of ones gets none."""
    clean, noisy = made().parts["train"], made(input_noise=0.3).parts["train"]
    e = (noisy.X - clean.X) / 0.3
    assert e.mean().abs() < 5.2 / 6000**0.5
    assert (e.square().mean() - 1).abs() < 5.2 * (2 / 6000) ** 0.5
    assert torch.corrcoef(e.T).triu(1).abs().max() < 5.2 / 2000**0.5
    assert torch.equal(noisy.D[:, 3], torch.ones(2000, dtype=torch.float64))


def test_seeds():
    """The same noise for the same seed, and the same direction at every scale; another in another replicate."""
    first = made(input_noise=0.3)
    assert torch.equal(first.parts["train"].X, made(input_noise=0.3).parts["train"].X)
    e, half = (made(input_noise=s).parts["train"].X - made().parts["train"].X for s in (0.3, 0.15))
    torch.testing.assert_close(e, 2 * half)
    other = made(replicate=1, input_noise=0.3).parts["train"].X - made(replicate=1).parts["train"].X
    assert torch.corrcoef(torch.stack([e.flatten(), other.flatten()]))[0, 1].abs() < 5.2 / 6000**0.5


def test_standardization_is_that_of_what_training_sees():
    """Drawn once: of the noisy rows, of variance 1 + sigma^2. Fresh: of the clean ones."""
    spread = made(input_noise=1.0, standardize=True).scaling.x_spread
    torch.testing.assert_close(spread, torch.full((3,), 2**0.5, dtype=torch.float64), rtol=0.1, atol=0)
    fresh = made(input_noise=1.0, input_noise_fresh=True, standardize=True).scaling.x_spread
    assert torch.equal(fresh, made(standardize=True).scaling.x_spread)


@pytest.mark.parametrize("value", [-0.1, float("inf"), float("nan")])
def test_no_standard_deviation(value):
    with pytest.raises(UserError, match="is no standard deviation; it must be"):
        Synthetic(**(COMMON | {"input_noise": value}))
