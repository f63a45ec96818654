"""A member's result is the same as if it had been trained alone (design.md, "Members"): a dozen members that differ in
all that may differ. Every noise model and optimizer, three members each: test_train_together.py."""

from functools import partial

import pytest
import torch
from train_helpers import (
    AVERAGED,
    CONSTANT,
    COSINE,
    LBFGS,
    NOISES,
    largest_difference,
    member,
    numbers,
    problem,
    settings,
    with_extras,
)

from noiseworks.fit import train
from noiseworks.model import Constant, Linear, Quadratic, TwoLayer
from noiseworks.train.optimizers import MinibatchSGD
from noiseworks.train.schedules import InverseSqrt
from soaked import every

SGD, K = torch.optim.SGD, 12
OPTIMIZERS = {
    "minibatch_sgd": (MinibatchSGD, 0.1),
    "sgd": (SGD, 0.1),
    "momentum": (partial(SGD, momentum=0.9, nesterov=True, weight_decay=0.01), 0.02),
    "adam": (torch.optim.Adam, 0.05),
    "adamw": (partial(torch.optim.AdamW, weight_decay=0.1), 0.05),
}
SCHEDULES = [CONSTANT, COSINE, AVERAGED, InverseSqrt(averaging=False, averaging_start=0.5, decay_steps=5.0)]
RANDOM = Linear(intercept=True, init_scale=0.5)
# 40 training rows in minibatches of 9: the last has 4.


def unlike(problems, make, lr, scale=True):
    """K members that differ in seed, replicate, learning rate, schedule and scale of the noise, going round the
    problems."""
    members = []
    for k in range(K):
        of = problems[k % len(problems)]
        noise = of.noise.with_scale(0.3 + 0.05 * k) if scale else of.noise
        members.append(member(of, make, lr * (1 + k / K), k // 2, k % 3, SCHEDULES[k % len(SCHEDULES)], noise))
    return members


def assert_same_as_alone(members, tolerance=1e-9, bits=False, keep_path=False, **changes):
    """Compares everything the outcome says: theta, coefficients, scale, metrics, curves. Of many members every fifth
    is trained alone."""
    together = train(members, settings(**changes), keep_path=keep_path)
    assert not together.failures
    for k in range(0, len(members), 5 if len(members) > 6 else 1):
        alone = train([members[k]], settings(**changes), keep_path=keep_path)
        gap, what = largest_difference(numbers(together, k), numbers(alone, 0))
        assert gap <= tolerance, f"member {k}: {what} differs by {gap:.1e}"
        if bits:
            assert torch.equal(together.theta[k], alone.theta[0])


def product():
    """Gaussian and Poisson with all optimizers, the others with one of them in turn; the rest is soak."""
    names = list(OPTIMIZERS)
    for i, name in enumerate(NOISES):
        for j, optimizer in enumerate(names):
            now = name in ("gaussian", "poisson") or j == i % len(names)
            yield pytest.param(name, optimizer, marks=[] if now else pytest.mark.soak)


SOME = ["gaussian", "laplace", "poisson", "student_t"]
some_in_ci = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[] if name in SOME else pytest.mark.soak) for name in NOISES]
)


@pytest.mark.parametrize(("name", "optimizer"), list(product()))
def test_members_with_data_of_their_own(name, optimizer):
    """Data seeds and noise levels differ; members 8 to 11 share the data of others, with other seeds. Parameters are
    even the same bit by bit on the CPU for the noise models of the chapter, which is more than is promised."""
    noise, levels = NOISES[name], [0.3 + 0.1 * i for i in range(8)]
    problems = [problem(noise, RANDOM, seed=i, batch_size=9, noise=noise.with_scale(s)) for i, s in enumerate(levels)]
    assert_same_as_alone(unlike(problems, *OPTIMIZERS[optimizer]), bits=name in ("gaussian", "laplace"), max_epochs=2)


@some_in_ci
def test_members_with_the_same_data_and_an_estimated_scale(name):
    """One problem for all: evaluation is one product; the scale of the loss is estimated after each epoch."""
    shared = [problem(NOISES[name], RANDOM, batch_size=9)]
    assert_same_as_alone(unlike(shared, *OPTIMIZERS["momentum"], scale=False)[:4])


@pytest.mark.parametrize("name", every(2, NOISES))
def test_offsets_and_weights_of_members(name):
    problems = [with_extras(NOISES[name], seed, RANDOM, batch_size=9) for seed in range(3)]
    assert_same_as_alone(unlike(problems, *OPTIMIZERS["momentum"])[:6], max_epochs=2)


@pytest.mark.parametrize("order", ["replacement", "stream"])
@pytest.mark.parametrize("name", ["gaussian", "poisson"])
def test_orders_other_than_shuffle(name, order):
    problems = [problem(NOISES[name], RANDOM, seed=i, order=order, batch_size=9) for i in range(3)]
    assert_same_as_alone(unlike(problems, *OPTIMIZERS["adam"])[:6], max_epochs=2)


@some_in_ci
def test_lbfgs(name):
    """Each member has an optimizer of its own, whose line search turns rounding into other step lengths."""
    problems = [problem(NOISES[name], RANDOM, seed=i, noise=NOISES[name].with_scale(0.3)) for i in range(3)]
    assert_same_as_alone(unlike(problems, LBFGS, 0.5)[:5], max_epochs=2)


@pytest.mark.parametrize(
    "model",
    [
        Constant(intercept=True, init_scale=0.3),
        Linear(intercept=False, init_scale=0.3),
        Quadratic(intercept=True, init_scale=0.3),
        TwoLayer(intercept=True, init_scale=1.0, width=4, activation=None),
        TwoLayer(intercept=True, init_scale=1.0, width=4, activation="tanh"),
        TwoLayer(intercept=False, init_scale=1.0, width=4, activation="relu"),
    ],
    ids=lambda m: f"{type(m).__name__}{'' if m.intercept else ' no intercept'} {getattr(m, 'activation', '')}",
)
def test_models(model):
    problems = [problem(NOISES["gaussian"], model, seed=i) for i in range(3)]
    assert_same_as_alone(unlike(problems, *OPTIMIZERS["adam"])[:6], max_epochs=2)


@pytest.mark.parametrize("optimizer", [*OPTIMIZERS, "lbfgs"])
@pytest.mark.parametrize("name", every(2, ["gaussian", "laplace", "poisson", "student_t"]))
def test_single_precision(name, optimizer):
    make, lr = OPTIMIZERS.get(optimizer, (LBFGS, 0.5))
    problems = [problem(NOISES[name], RANDOM, seed=i, batch_size=9) for i in range(2)]
    assert_same_as_alone(unlike(problems, make, lr)[:4], 1e-5, precision="32-true", max_epochs=2)


def test_initial_values_of_different_size():
    """model.init_scale changes no shape, so members may differ in it."""
    models = [Linear(intercept=True, init_scale=s) for s in (0.0, 0.1, 2.0)]
    members = [member(problem(NOISES["gaussian"], m, seed=4), lr=1e-9, seed=7) for m in models]
    outcome = train(members, settings(max_epochs=1))
    assert outcome.theta[0].norm() < 1e-6
    torch.testing.assert_close(outcome.theta[2], 20 * outcome.theta[1], rtol=1e-6, atol=0)
    assert_same_as_alone(members, max_epochs=1)


def test_initial_values_have_the_stated_spread():
    """3 features: standard deviation init_scale / sqrt(3). The mean of 400 * 4 squares is within 5 standard errors,
    sqrt(2 / 1600) = 3.5 % each."""
    of = problem(NOISES["gaussian"], Linear(intercept=True, init_scale=0.6))
    outcome = train([member(of, lr=1e-12, seed=s) for s in range(400)], settings(max_epochs=1))
    assert outcome.theta.square().mean().item() == pytest.approx(0.36 / 3, rel=0.18)


def test_paths_of_members():
    problems = [problem(NOISES["laplace"], RANDOM, seed=i, batch_size=9) for i in range(3)]
    assert_same_as_alone(unlike(problems, *OPTIMIZERS["adam"]), keep_path=True)


def test_blocks_smaller_than_an_epoch(monkeypatch):
    """With more members a block holds fewer minibatches; where blocks end must not matter."""
    problems = [problem(NOISES["gaussian"], RANDOM, seed=i, batch_size=3) for i in range(3)]
    members = unlike(problems, *OPTIMIZERS["momentum"])
    whole = train(members, settings(), keep_path=True)
    monkeypatch.setattr("noiseworks.data.minibatches.BLOCK_STEPS", 4)
    cut = train(members, settings(), keep_path=True)
    for k in range(K):
        gap, what = largest_difference(numbers(cut, k), numbers(whole, k))
        assert gap <= 1e-12, what


def test_evaluation_in_chunks(monkeypatch):
    """Members are evaluated a few at a time where their predictions would not fit."""
    members = unlike([problem(NOISES["student_t"], RANDOM, seed=i) for i in range(3)], *OPTIMIZERS["adam"])
    whole = train(members, settings())
    monkeypatch.setattr("noiseworks.train.ensemble.CHUNK", 100)  # of 40 training rows: two members
    cut = train(members, settings())
    for k in range(K):
        gap, what = largest_difference(numbers(cut, k), numbers(whole, k))
        assert gap <= 1e-9, what
