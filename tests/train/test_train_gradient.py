"""The closed-form gradient of a minibatch, by autograd and by hand."""

import numpy as np
import pytest
import torch
from train_helpers import NOISES, member, problem, rows_of, settings

from noiseworks.fit import train
from noiseworks.model import Linear, Quadratic, TwoLayer
from noiseworks.noise import Gaussian
from noiseworks.streams import generator
from noiseworks.train.module import Minibatch

K, B, D = 3, 7, 4


def normal(g, *shape):
    return torch.randn(shape, generator=g, dtype=torch.float64)


def minibatch(noise, model=None, extras=True, scale=True):
    """K members with rows, weights, offsets and scales of their own."""
    g = torch.Generator().manual_seed(5)
    model = model or Linear(intercept=True, init_scale=0.0)
    design = model.design(normal(g, K, B, D))
    theta = 0.3 * normal(g, K, model.num_parameters(D))
    offset, weights = (0.2 * normal(g, K, B), 0.5 + torch.rand((K, B), generator=g).double()) if extras else (None,) * 2
    if getattr(noise, "link", None) == "identity":
        offset = (0.0 if offset is None else offset) + torch.full((K, B), 9.0, dtype=torch.float64)
    eta = model.eta(theta, design) + (0.0 if offset is None else offset)
    y = noise.with_scale(0.7).sample(eta, g)
    if scale:
        noise = noise.with_scale(torch.tensor([[0.5], [1.0], [2.0]], dtype=torch.float64))
    return Minibatch(model, noise, 0.1 + torch.rand((K, 1), generator=g).double(), design, y, offset, weights), theta


def by_autograd(batch, theta):
    """Nothing of Minibatch but its fields."""
    leaf = theta.clone().requires_grad_()
    total = 0.0
    for k in range(K):
        noise = batch.noise
        if isinstance(noise.scale_value, torch.Tensor):
            noise = noise.with_scale(noise.scale_value[k].item())
        eta = batch.D[k] @ leaf[k]
        if batch.offset is not None:
            eta = eta + batch.offset[k]
        weights = 1.0 if batch.weights is None else batch.weights[k]
        total = total + batch.factor[k, 0] * (weights * noise.nll(eta, batch.y[k])).sum()
    return torch.autograd.grad(total, leaf)[0]


@pytest.mark.parametrize("scale", [True, False], ids=["scale given", "no scale"])
@pytest.mark.parametrize("extras", [True, False], ids=["weights and offset", "plain"])
@pytest.mark.parametrize("name", NOISES)
def test_closed_form_is_autograd(name, extras, scale):
    batch, theta = minibatch(NOISES[name], extras=extras, scale=scale)
    torch.testing.assert_close(batch.gradient(theta), by_autograd(batch, theta), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("name", NOISES)
def test_loss_and_gradient_agree_by_finite_differences(name):
    """Central differences of step h are h^2 off; 1e-5 squared, over a curvature of order one."""
    batch, theta = minibatch(NOISES[name], Quadratic(intercept=True, init_scale=0.0))
    gradient, h = batch.gradient(theta), 1e-5
    for p in range(theta.shape[1]):
        step = torch.zeros_like(theta)
        step[:, p] = h
        difference = (batch.loss(theta + step) - batch.loss(theta - step)) / (2 * h)
        torch.testing.assert_close(difference, gradient[:, p], rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("name", NOISES)
def test_a_minibatch_alone_is_its_row(name):
    batch, theta = minibatch(NOISES[name])
    for k in range(K):
        alone = batch.alone(k)
        torch.testing.assert_close(alone.gradient(theta[k : k + 1])[0], batch.gradient(theta)[k], rtol=1e-13, atol=0)
        torch.testing.assert_close(alone.loss(theta[k : k + 1])[0], batch.loss(theta)[k], rtol=1e-13, atol=0)


@pytest.mark.parametrize("name", NOISES)
def test_weight_two_is_two_copies_of_the_row(name):
    """The factor belongs to the sum, so it stays."""
    batch, theta = minibatch(NOISES[name])
    batch.weights = torch.ones_like(batch.weights)
    batch.weights[:, 2] = 2.0
    rows = [0, 1, 2, 2, 3, 4, 5, 6]
    twice = Minibatch(
        batch.model, batch.noise, batch.factor, batch.D[:, rows], batch.y[:, rows], batch.offset[:, rows], None
    )
    torch.testing.assert_close(batch.gradient(theta), twice.gradient(theta), rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(batch.loss(theta), twice.loss(theta), rtol=1e-12, atol=0)


@pytest.mark.parametrize("intercept", [True, False])
def test_two_layers_by_hand(intercept):
    """eta = u'(W z + a) + b, no activation, squared loss: with s_i = eta_i - y_i and h_i = W z_i + a,
    d/dW = u (sum s_i z_i)', d/du = sum s_i h_i, d/da = u sum s_i, d/db = sum s_i."""
    model = TwoLayer(intercept=intercept, init_scale=1.0, width=3, activation=None)
    batch, theta = minibatch(Gaussian(), model, extras=False, scale=False)
    gradient = batch.gradient(theta)
    for k in range(K):
        Z, y, t = batch.D[k].numpy(), batch.y[k].numpy(), theta[k].numpy()
        W, u = t[: 3 * D].reshape(3, D), t[3 * D : 3 * D + 3]
        a, b = (t[-4:-1], t[-1]) if intercept else (np.zeros(3), 0.0)
        H = Z @ W.T + a
        s = H @ u + b - y
        pieces = [np.outer(u, s @ Z).ravel(), s @ H] + ([u * s.sum(), [s.sum()]] if intercept else [])
        expected = batch.factor[k].item() * np.concatenate(pieces)
        np.testing.assert_allclose(gradient[k].numpy(), expected, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("name", NOISES)
@pytest.mark.parametrize("activation", [None, "relu", "square", "tanh"])
def test_two_layers_by_finite_differences(name, activation):
    model = TwoLayer(intercept=True, init_scale=1.0, width=3, activation=activation)
    batch, theta = minibatch(NOISES[name], model)
    gradient, h = batch.gradient(theta), 1e-6
    assert not batch.eta.requires_grad
    for p in range(theta.shape[1]):
        step = torch.zeros_like(theta)
        step[:, p] = h
        difference = (batch.loss(theta + step) - batch.loss(theta - step)) / (2 * h)
        torch.testing.assert_close(difference, gradient[:, p], rtol=1e-5, atol=1e-6)


def test_the_update_of_the_chapter():
    """D2L 3.1, (3.1.11): w <- w - lr / |B| sum x (w'x + b - y), b <- b - lr / |B| sum (w'x + b - y); numpy, with w
    and b apart, on minibatches of 9 from 40 rows."""
    of = problem(Gaussian(), batch_size=9, standardize=False)
    outcome = train([member(of, lr=0.1, seed=4, replicate=1)], settings(max_epochs=2), keep_path=True)
    X, y = of.parts["train"].X.numpy(), of.parts["train"].y.numpy()
    w, b, g, step = np.zeros(3), 0.0, generator(4, "order", 1), 0
    for _ in range(2):
        order = torch.randperm(40, generator=g).numpy()
        for start in range(0, 40, 9):
            rows = order[start : start + 9]
            error = X[rows] @ w + b - y[rows]
            w, b = w - 0.1 / len(rows) * X[rows].T @ error, b - 0.1 / len(rows) * error.sum()
            np.testing.assert_allclose(outcome.path[step, 0].numpy(), [*w, b], rtol=1e-11, atol=1e-12)
            step += 1
    assert step == len(outcome.path) == 10


def test_rows_in_units_of_the_fit():
    """y' = (y - y_center) / y_spread, so that the working likelihood differs from that of the data by a constant."""
    for noise in NOISES.values():
        of = problem(noise)
        D, y, offset, _ = rows_of(of)
        theta = torch.tensor([0.2, -0.1, 0.05, 0.1], dtype=torch.float64)
        spread = of.scaling.y_spread
        in_fit = noise.with_scale(0.6).nll(D @ theta + offset, y)
        in_data = noise.with_scale(0.6 * spread if noise.location_scale else 0.6)
        shift = in_data.nll(of.eta(theta, of.parts["train"]), of.parts["train"].y) - in_fit
        other = in_data.nll(of.eta(-theta, of.parts["train"]), of.parts["train"].y)
        other = other - noise.with_scale(0.6).nll(D @ -theta + offset, y)
        torch.testing.assert_close(shift, other, rtol=1e-9, atol=1e-10)
