"""Trajectories against a plain torch loop: one parameter, that optimizer with its true learning rate, autograd."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from train_helpers import (
    AVERAGED,
    CONSTANT,
    COSINE,
    LBFGS,
    NOISES,
    member,
    problem,
    rows_of,
    settings,
    with_extras,
)

from noiseworks.fit import train
from noiseworks.model import Linear, TwoLayer
from noiseworks.noise import Gaussian, Poisson, StudentT
from noiseworks.problem import Stream, make_problem
from noiseworks.streams import generator
from noiseworks.train.optimizers import LINEAR_IN_LR, MinibatchSGD
from noiseworks.train.schedules import InverseSqrt


@pytest.fixture(autouse=True)
def _double_by_default():
    """As Lightning has it while it trains with 64-true: NAdam and ASGD keep numbers of the default type."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


EPOCHS, START = 3, Linear(intercept=True, init_scale=0.5)
DECAY = InverseSqrt(averaging=False, averaging_start=0.5, decay_steps=4.0)
RATES = {torch.optim.Adadelta: 0.9, torch.optim.SGD: 0.1, MinibatchSGD: 0.1, torch.optim.Adagrad: 0.1}
OPTIMIZERS = {kind.__name__: kind for kind in (MinibatchSGD, *LINEAR_IN_LR, torch.optim.Rprop, torch.optim.ASGD)} | {
    "SGD momentum": partial(torch.optim.SGD, momentum=0.9, weight_decay=0.01),
    "SGD nesterov": partial(torch.optim.SGD, momentum=0.8, nesterov=True),
    "SGD dampened": partial(torch.optim.SGD, momentum=0.8, dampening=0.3),
    "Adam decayed": partial(torch.optim.Adam, weight_decay=0.1, betas=(0.8, 0.99)),
    "Adam amsgrad": partial(torch.optim.Adam, amsgrad=True),
    "AdamW decayed": partial(torch.optim.AdamW, weight_decay=0.3),
    "RMSprop centered": partial(torch.optim.RMSprop, centered=True, momentum=0.5),
    "Adagrad decayed": partial(torch.optim.Adagrad, lr_decay=0.1),
}


def order(one, n, epochs=EPOCHS):
    """The minibatches' row numbers, step by step."""
    g = generator(one.seed, "order", one.replicate)
    data = one.problem.data
    for _ in range(epochs):
        rows = torch.randint(n, (n,), generator=g) if data.order == "replacement" else torch.randperm(n, generator=g)
        yield from rows.split(data.batch_size)


def plain_loop(one, batches, total, nll, step_unit=1.0, start=None):
    """theta after every step. `nll(eta, y)` per example, in units of the fit."""
    D, y, offset, weights = rows_of(one.problem)
    model = one.problem.model
    if start is None:
        start = model.initial(len(one.problem.examples.features), generator(one.seed, "init", one.replicate))
    theta = torch.nn.Parameter(start.clone())
    optimizer = one.make_optimizer([theta])
    path = []
    for step, rows in enumerate(batches):
        optimizer.param_groups[0]["lr"] = one.lr * one.schedule.factor(torch.tensor([step]), total).item()

        def loss(rows=rows):
            optimizer.zero_grad()
            eta = model.eta(theta[None], D[rows][None])[0] + offset[rows]
            value = step_unit * (weights[rows] * nll(eta, y[rows])).sum() / weights[rows].sum()
            value.backward()
            return value

        optimizer.step(loss)
        path.append(theta.detach().clone())
    return torch.stack(path)


def squared(eta, y):
    return (eta - y).square() / 2


def steps(of, epochs=EPOCHS):
    return epochs * -(-len(of.parts["train"]) // of.data.batch_size)


def assert_paths(members, nll, step_unit=1.0, tolerance=1e-10, epochs=EPOCHS):
    """outcome.path holds coefficients, in units of the data: those of the loop are converted by the model."""
    outcome = train(members, settings(max_epochs=epochs), keep_path=True)
    assert not outcome.failures
    for k, one in enumerate(members):
        of = one.problem
        expected = plain_loop(one, order(one, len(of.parts["train"]), epochs), steps(of, epochs), nll, step_unit)
        torch.testing.assert_close(outcome.theta[k], expected[-1], rtol=tolerance, atol=tolerance)
        coefficients = of.model.coefficients(expected, of.scaling)
        torch.testing.assert_close(outcome.path[:, k], coefficients, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_takes_the_steps_of_its_own_torch_loop(name):
    make = OPTIMIZERS[name]
    lr = RATES.get(make, 0.02)
    problems = [problem(Gaussian(), START, seed=s, batch_size=9, standardize=False) for s in (1, 2)]
    schedules = [CONSTANT, COSINE, DECAY]
    members = [member(problems[k % 2], make, lr * (1 + k), 5 + k, k, schedules[k % 3]) for k in range(4)]
    assert_paths(members, squared)


@pytest.mark.parametrize("kind", [torch.optim.SGD, torch.optim.AdamW, torch.optim.ASGD], ids=lambda kind: kind.__name__)
def test_every_member_takes_the_steps_of_its_own_settings(kind):
    of = problem(Gaussian(), START, batch_size=9, standardize=False)
    settings = [{"weight_decay": k / 5} | ({"momentum": 0.4 * k} if kind is torch.optim.SGD else {}) for k in range(3)]
    assert_paths([member(of, partial(kind, **own), 0.02, k) for k, own in enumerate(settings)], squared)


def test_lbfgs_takes_the_steps_of_its_own_torch_loop():
    """All rows in every step. The tolerance allows for the line search, which passes rounding on to its steps."""
    problems = [changed_batch(problem(Poisson(), START, seed=s)) for s in (1, 2)]
    makes = [partial(LBFGS, max_iter=3), partial(LBFGS, max_iter=5, history_size=2)]
    members = [member(problems[k], makes[k], lr, 3, k) for k, lr in enumerate((0.5, 1.0))]
    outcome = train(members, settings(max_epochs=2), keep_path=True)
    for k, one in enumerate(members):
        unit = 1 / rows_of(one.problem)[1].mean().item()
        expected = plain_loop(one, order(one, 40, 2), 2, Poisson().nll, unit)
        torch.testing.assert_close(outcome.theta[k], expected[-1], rtol=1e-8, atol=1e-8)
        assert len(outcome.path) == 2


def changed_batch(of):
    """Its batch_size is all 40 training rows, which is what LBFGS is given in any case."""
    return make_problem(replace(of.data, batch_size=40), of.noise, of.model, 0.2, 0)


def test_lbfgs_takes_all_rows_whatever_the_batch_size():
    small = problem(Poisson(), START, batch_size=3)
    ones = [train([member(of, LBFGS, 1.0)], settings(max_epochs=4)) for of in (small, changed_batch(small))]
    assert torch.equal(ones[0].theta, ones[1].theta)
    assert ones[0].metrics["trainer/steps"].item() == 4
    assert ones[0].metrics["param/relative_error"].item() < 1e-6


@pytest.mark.parametrize("order_of_rows", ["shuffle", "replacement"])
def test_weights_and_offsets_enter_the_steps(order_of_rows):
    of = with_extras(Gaussian(), 1, START, batch_size=9, order=order_of_rows)
    assert of.parts["train"].offset is not None
    assert of.parts["train"].weights is not None
    assert_paths([member(of, torch.optim.Adam, 0.02, seed=s) for s in (0, 3)], squared)


def test_stream_takes_fresh_examples_in_every_step():
    of = problem(Gaussian(), START, batch_size=8, order="stream")
    one = member(of, lr=0.1, seed=9, replicate=2)
    outcome = train([one], settings(max_epochs=2))
    stream, theta = Stream(of, generator(9, "order", 2)), START.initial(3, generator(9, "init", 2))
    for _ in range(2):
        D, y, _ = stream.draw(40)  # 40 training rows make an epoch of 5 minibatches
        for rows in torch.arange(40).split(8):
            theta = theta - 0.1 * D[rows].T @ (D[rows] @ theta - y[rows]) / 8
    torch.testing.assert_close(outcome.theta[0], theta, rtol=1e-10, atol=1e-10)


def test_poisson_steps_count_in_units_of_the_mean_count():
    """Standardized, the gradient is divided by the Fisher information of the constant fit: with the log link, the
    mean of y over the training rows."""
    of = problem(Poisson(), batch_size=9, true_intercept=3.0)
    y = of.parts["train"].y
    assert_paths([member(of, lr=0.3, schedule=COSINE)], lambda eta, y: eta.exp() - y * eta, 1 / y.mean().item())
    raw = problem(Poisson(), batch_size=9, standardize=False)
    assert_paths([member(raw, lr=0.01)], lambda eta, y: eta.exp() - y * eta)


def test_student_t_takes_the_scale_of_each_epoch_and_its_information():
    """The scale is estimated again after each epoch; a step is divided by (df + 1) / ((df + 3) scale^2)."""
    noise = StudentT(df=3.0)
    of = problem(noise, batch_size=9)
    one = member(of, lr=0.2, seed=2)
    outcome = train([one], settings())
    D, y, *_ = rows_of(of)
    batches, theta = list(order(one, 40)), torch.zeros(4, dtype=torch.float64)
    for epoch in range(EPOCHS):
        scale = noise.fit_scale(D @ theta, y).item()
        unit = (3 + 3) * scale**2 / (3 + 1)
        nll = noise.with_scale(scale).nll
        theta = plain_loop(one, batches[5 * epoch : 5 * epoch + 5], steps(of), nll, unit, theta)[-1]
    torch.testing.assert_close(outcome.theta[0], theta, rtol=1e-9, atol=1e-9)
    spread = of.scaling.y_spread
    torch.testing.assert_close(outcome.scale[0], noise.fit_scale(D @ theta, y) * spread, rtol=1e-9, atol=0)


@pytest.mark.parametrize("name", NOISES)
def test_a_given_scale_is_one_in_units_of_the_data(name):
    """The scale of the loss in units of the fit is scale / y_spread for location-scale noise, else the scale."""
    noise = NOISES[name]
    of = problem(noise, batch_size=9)
    members = [member(of, lr=0.05, seed=1, noise=noise.with_scale(s)) for s in (0.4, 0.9)]
    outcome = train(members, settings(max_epochs=2))
    for k, (one, scale) in enumerate(zip(members, (0.4, 0.9))):
        working = noise.with_scale(scale / of.scaling.y_spread.item() if noise.location_scale else scale)
        unit = 1.0
        if not (noise.location_scale and noise.separable):
            unit = 1 / working.information(torch.zeros(1) if noise.location_scale else of.scaling.y_center).item()
        expected = plain_loop(one, order(one, 40, 2), steps(of, 2), working.nll, unit)[-1]
        torch.testing.assert_close(outcome.theta[k], expected, rtol=1e-7, atol=1e-9)


def test_two_layer_steps():
    for activation in (None, "tanh", "relu", "square"):
        model = TwoLayer(intercept=True, init_scale=1.0, width=3, activation=activation)
        of = problem(Gaussian(), model, batch_size=9)
        outcome = train([member(of, torch.optim.Adam, 0.02, seed=s) for s in (1, 2)], settings(), keep_path=True)
        for k, seed in enumerate((1, 2)):
            one = member(of, torch.optim.Adam, 0.02, seed=seed)
            expected = plain_loop(one, order(one, 40), steps(of), squared)[-1]
            torch.testing.assert_close(outcome.theta[k], expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", ["Adam", "SGD momentum", "RMSprop", "MinibatchSGD", "ASGD", "NAdam"])
def test_members_that_leave_take_their_optimizer_state_with_them(name):
    """Member 1 of 3 diverges in the first epoch (its learning rate is absurd); the others keep theirs."""
    make, of = OPTIMIZERS[name], problem(Gaussian(), START, batch_size=9, standardize=False)
    good = [member(of, make, 0.02, s) for s in (0, 2)]
    outcome = train([good[0], member(of, make, 1e300, 1), good[1]], settings(max_epochs=4))
    assert list(outcome.failures) == [1]
    for k, one in zip((0, 2), good):
        expected = plain_loop(one, order(one, 40, 4), steps(of, 4), squared)[-1]
        torch.testing.assert_close(outcome.theta[k], expected, rtol=1e-10, atol=1e-10)


def test_averaged_members_beside_others():
    """Only those that ask for it are averaged."""
    of = problem(Gaussian(), START, batch_size=9, standardize=False)
    members = [member(of, lr=0.1, schedule=s) for s in (AVERAGED, DECAY, AVERAGED)]
    outcome = train(members, settings())
    expected = plain_loop(members[1], order(members[1], 40), steps(of), squared)
    torch.testing.assert_close(outcome.theta[1], expected[-1], rtol=1e-10, atol=1e-10)
    assert torch.equal(outcome.theta[0], outcome.theta[2])
    assert not torch.allclose(outcome.theta[0], outcome.theta[1], rtol=1e-3)
