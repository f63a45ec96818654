"""A member of three is what it would be alone (design.md, "Members"): every noise model and optimizer of conf/."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor
from train_helpers import (
    AVERAGED,
    CONF,
    CONSTANT,
    COSINE,
    NOISES,
    largest_difference,
    member,
    numbers,
    problem,
    settings,
)

from noiseworks.exact import Exact
from noiseworks.fit import solutions, solve_exactly, train
from noiseworks.model import Linear
from noiseworks.outcome import Outcome
from noiseworks.train.ensemble import Member

OPTIMIZERS: dict[str, Any] = {path.stem: instantiate(OmegaConf.load(path)) for path in CONF.glob("optimizer/*.yaml")}
OPTIMIZERS["sgd with momentum"] = partial(OPTIMIZERS.pop("sgd"), momentum=0.9, nesterov=True)
RANDOM = Linear(intercept=True, init_scale=0.5)


def members(noise: str, optimizer: str) -> list[Member]:
    """They differ in data, seed, learning rate, schedule and the noise's scale. 40 training rows: the last minibatch
    has 4."""
    made = []
    for k, schedule in enumerate((CONSTANT, COSINE, AVERAGED)):
        of = problem(NOISES[noise], RANDOM, seed=k, batch_size=9)
        one = member(of, lr=0.1, seed=k, replicate=k, schedule=schedule, noise=of.noise.with_scale(0.3 + 0.1 * k))
        make = OPTIMIZERS[optimizer]
        made.append(replace(one, make_optimizer=make if isinstance(make, Exact) else partial(make, lr=0.02 * (1 + k))))
    return made


def fitted(those: list[Member]) -> Outcome:
    if isinstance(those[0].make_optimizer, Exact):
        return solve_exactly(those, solutions(those))
    return train(those, settings(max_epochs=2))


def said(outcome: Outcome, k: int) -> dict[str, Tensor]:
    exact = {"standard errors": outcome.standard_errors, "intervals": outcome.intervals}
    return numbers(outcome, k) | {name: values[k] for name, values in exact.items() if values is not None}


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
@pytest.mark.parametrize("noise", sorted(path.stem for path in CONF.glob("noise/*.yaml")))
def test_as_alone(noise: str, optimizer: str) -> None:
    three = members(noise, optimizer)
    together = fitted(three)
    assert not together.failures
    for k, one in enumerate(three):
        gap, what = largest_difference(said(together, k), said(fitted([one]), 0))
        assert gap <= 1e-9, f"member {k}: {what} differs by {gap:.1e}"
