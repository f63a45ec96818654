"""How members end: diverged, stopped early, or at the last epoch."""

import re

import pytest
import torch
from train_helpers import (
    AVERAGED,
    CONSTANT,
    NOISES,
    largest_difference,
    member,
    numbers,
    problem,
    rows_of,
    settings,
)

from noiseworks.errors import UserError
from noiseworks.fit import check_trainable, train
from noiseworks.model import Linear
from noiseworks.noise import Gaussian, Poisson
from noiseworks.streams import generator
from noiseworks.train.module import LinearRegression
from noiseworks.train.monitor import Watch
from noiseworks.train.schedules import ConstantRate
from soaked import every

RANDOM = Linear(intercept=True, init_scale=0.5)
AVERAGED_FROM_START = ConstantRate(averaging=True, averaging_start=0.0)


def first_failure(one, dtype, epochs):
    """The first step at which the loss, or after which theta, is not finite; squared loss, plain loop."""
    D, y, *_ = rows_of(one.problem)
    D, y = D.to(dtype), y.to(dtype)
    theta = one.problem.model.initial(3, generator(one.seed, "init", one.replicate)).to(dtype)
    g, step = generator(one.seed, "order", one.replicate), 0
    for _ in range(epochs):
        for rows in torch.randperm(len(y), generator=g).split(one.problem.data.batch_size):
            error = D[rows] @ theta - y[rows]
            theta = theta - one.lr * D[rows].T @ error / len(rows)
            if not torch.isfinite((error.square() / 2).sum()):
                return step, "train/loss"
            if not torch.isfinite(theta).all():
                return step, "the parameters"
            step += 1
    raise AssertionError("it does not diverge")


@pytest.mark.parametrize("precision", ["32-true", "64-true"])
@pytest.mark.parametrize("schedule", [CONSTANT, AVERAGED], ids=["last", "averaged"])
def test_two_of_six_diverge(precision, schedule, monkeypatch):
    """They leave at their own steps, in different blocks and epochs; the others end as without them."""
    monkeypatch.setattr("noiseworks.data.minibatches.BLOCK_STEPS", 3)
    of, epochs = problem(Gaussian(), RANDOM, batch_size=4), 40
    rates = [0.05, 100.0, 0.1, 0.02, 1e5, 0.07]
    members = [member(of, lr=lr, seed=s, schedule=schedule) for s, lr in enumerate(rates)]
    outcome = train(members, settings(max_epochs=epochs, precision=precision))
    assert sorted(outcome.failures) == [1, 4]
    if schedule is CONSTANT:
        for k in (1, 4):
            step, what = first_failure(members[k], settings(precision=precision).dtype, epochs)
            assert outcome.failures[k].startswith(f"{what} stopped being finite at step {step};")
    for k in (1, 4):
        assert torch.isfinite(outcome.theta[k]).all()
        assert all(values[k].isnan() for values in outcome.metrics.values())
        assert outcome.scale[k].isnan()
    rest = [0, 2, 3, 5]
    healthy = train([members[k] for k in rest], settings(max_epochs=epochs, precision=precision))
    for position, k in enumerate(rest):
        gap, what = largest_difference(numbers(outcome, k), numbers(healthy, position))
        assert gap <= (1e-12 if precision == "64-true" else 1e-6), what


@pytest.mark.parametrize("name", NOISES)
def test_an_absurd_rate_fails_for_every_noise(name):
    """Whatever overflows first; a neighbour is not disturbed. Averages of the bad one stay numbers too."""
    of = problem(NOISES[name], RANDOM, batch_size=9)
    bad = member(of, lr=1e308, schedule=AVERAGED_FROM_START)
    good = member(of, lr=0.05, seed=1, schedule=AVERAGED_FROM_START)
    outcome = train([bad, good], settings(max_epochs=4))
    assert re.match(r"(train/loss|the parameters) stopped being finite at step \d+;", outcome.failures[0])
    assert list(outcome.failures) == [0]
    assert torch.isfinite(outcome.theta).all()
    gap, what = largest_difference(numbers(outcome, 1), numbers(train([good], settings(max_epochs=4)), 0))
    assert gap <= 1e-9, what


def test_when_all_diverge_training_stops():
    of, shown = problem(Gaussian(), batch_size=9), []
    outcome = train(
        [member(of, lr=1e200, seed=s) for s in range(3)], settings(max_epochs=100), watch=Watch(live=shown.append)
    )
    assert len(outcome.failures) == 3
    assert len(shown) == 1  # epoch
    assert outcome.metrics["val/nll"].isnan().all()


def test_poisson_identity_out_of_its_domain():
    """eta = 0 at the start, where the rate must be positive: refused by the loss at step 0; a rate too large leaves
    the domain later."""
    noise = Poisson(link="identity")
    raw = train([member(problem(noise, standardize=False))], settings())
    assert raw.failures[0].startswith("train/loss stopped being finite at step 0;")
    assert torch.equal(raw.theta, torch.zeros_like(raw.theta))
    of = problem(noise, batch_size=9)
    outcome = train([member(of, lr=3.0), member(of, lr=0.02)], settings(max_epochs=20))
    assert list(outcome.failures) == [0]
    step = int(re.search(r"train/loss stopped being finite at step (\d+);", outcome.failures[0])[1])
    assert step > 0


def test_poisson_clamp_that_starts_where_it_is_flat():
    """Every rate is clamped at eta = 0: no failure, and no step either."""
    outcome = train(
        [member(problem(Poisson(link="clamp"), standardize=False), lr=lr) for lr in (0.01, 10.0)], settings()
    )
    assert not outcome.failures
    assert torch.equal(outcome.theta, torch.zeros_like(outcome.theta))
    assert outcome.metrics["train/nll"].isfinite().all()


# Early stopping


def simulate(values, patience, min_delta=0.0):
    """(epochs run, best epoch) by the rule of the configuration: `patience` epochs without a better val/nll."""
    best, at, since = float("inf"), None, 0
    for epoch, value in enumerate(values):
        better = value < best - min_delta
        best, at, since = (value, epoch, 0) if better else (best, at, since + 1)
        if since >= patience:
            return epoch + 1, at
    return len(values), at


@pytest.fixture
def sizes(monkeypatch):
    """Rows of module.theta after each epoch."""
    seen, original = [], LinearRegression.on_train_epoch_start

    def note(self):
        seen.append(len(self.theta))
        return original(self)

    monkeypatch.setattr(LinearRegression, "on_train_epoch_start", note)
    return seen


def impatient(name="gaussian", **changes):
    """8 members with large steps, whose validation loss goes up and down."""
    problems = [problem(NOISES[name], RANDOM, batch_size=4, seed=s) for s in range(2)]
    return [member(problems[k % 2], lr=0.05 * (k + 1), seed=k, **changes) for k in range(8)]


@pytest.mark.parametrize(("patience", "min_delta"), [(1, 0.0), (3, 0.0), (3, 0.05)])
@pytest.mark.parametrize("name", ["gaussian", "laplace", "poisson", "student_t"])
def test_patience_keeps_the_best_epoch(name, patience, min_delta, sizes):
    members, epochs = impatient(name), 15
    free = train(members, settings(max_epochs=epochs), keep_path=True)
    sizes.clear()
    limited = settings(max_epochs=epochs, patience=patience, min_delta=min_delta)
    outcome = train(members, limited)
    curve = torch.stack([values for _, values in free.curves["val/nll"]])
    ends = [simulate(curve[:, k].tolist(), patience, min_delta) for k in range(8)]
    assert len({run for run, _ in ends}) > 1  # else the test tests little
    for k, (run, best) in enumerate(ends):
        assert outcome.metrics["trainer/epochs"][k].item() == run
        assert outcome.metrics["trainer/steps"][k].item() == 10 * run
        expected = free.path[10 * (best + 1) - 1, k]
        torch.testing.assert_close(outcome.coefficients[k], expected, rtol=1e-9, atol=1e-11)
        assert outcome.metrics["val/nll"][k].item() == pytest.approx(curve[best, k].item(), rel=1e-9)
    assert sizes == [sum(run > epoch for run, _ in ends) for epoch in range(max(run for run, _ in ends))]


@pytest.mark.parametrize("make", every(2, [torch.optim.Adam, torch.optim.SGD]))
@pytest.mark.parametrize("name", NOISES)
def test_members_that_stop_early_are_as_alone(name, make):
    noise = NOISES[name]
    problems = [problem(noise, RANDOM, batch_size=4, seed=s) for s in range(2)]
    members = [member(problems[k % 2], make, 0.05 * (k + 1), k, schedule=(CONSTANT, AVERAGED)[k % 2]) for k in range(4)]
    limited = settings(max_epochs=8, patience=1)
    together = train(members, limited)
    for k, one in enumerate(members):
        gap, what = largest_difference(numbers(together, k), numbers(train([one], limited), 0))
        assert gap <= 1e-8, what


def test_stopping_and_diverging_in_one_fit(sizes):
    of = problem(Gaussian(), RANDOM, batch_size=4)
    members = [member(of, lr=lr, seed=k) for k, lr in enumerate((0.3, 1e6, 0.01, 0.5))]
    outcome = train(members, settings(max_epochs=12, patience=2))
    assert list(outcome.failures) == [1]
    assert sizes[0] == 4
    assert sizes[-1] < 3
    for k in (0, 2, 3):
        alone = train([members[k]], settings(max_epochs=12, patience=2))
        gap, what = largest_difference(numbers(outcome, k), numbers(alone, 0))
        assert gap <= 1e-12, what


def test_the_curve_of_losses_is_thinned_and_keeps_its_ends():
    of = problem(Gaussian(), batch_size=4)
    outcome = train([member(of)], settings(max_epochs=7), curve_points=8)  # 70 steps: every ninth
    assert [step for step, _ in outcome.curves["train/loss"]] == [*range(0, 70, 9), 69]
    assert [step for step, _ in outcome.curves["val/nll"]] == [10 * epoch - 1 for epoch in range(1, 8)]


# What is refused before training


def test_a_batch_larger_than_the_rows_is_all_of_them():
    larger, all_ = (train([member(problem(Gaussian(), batch_size=size))], settings()) for size in (41, 40))
    assert torch.equal(larger.theta, all_.theta)
    assert larger.metrics["trainer/steps"] == all_.metrics["trainer/steps"] == settings().max_epochs


def test_patience_needs_validation_rows():
    with pytest.raises(UserError, match=r"trainer\.patience=2 .*data\.val_fraction"):
        check_trainable(member(problem(Gaussian(), val_fraction=0.0)), settings(patience=2))


@pytest.mark.parametrize(("key", "value"), [("precision", "16"), ("max_epochs", 0), ("patience", 0)])
def test_impossible_settings_are_refused(key, value):
    with pytest.raises(UserError, match=rf"trainer\.{key}={value}"):
        settings(**{key: value})


def test_a_device_that_is_not_there_is_refused():
    with pytest.raises(UserError, match=r"trainer\.accelerator=tpu"):
        settings(accelerator="tpu").lightning([])
