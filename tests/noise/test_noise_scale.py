"""The scale: its maximum-likelihood value, scales given as tensors, and the change of units."""

import numpy as np
import pytest
import torch
from noise_distributions import etas, f64, positive_only, some_y
from scipy.optimize import minimize_scalar

import noiseworks.noise.base

TRUE = 0.7
K, N = 3, 200


def assert_close(actual, expected, rtol=1e-12, atol=0.0):
    torch.testing.assert_close(actual, expected, rtol=rtol, atol=atol)


@pytest.fixture
def data(scaled):
    """eta and y (K, N) of the model itself."""
    generator = torch.Generator().manual_seed(3)
    eta = 1 + torch.randn((K, N), generator=generator, dtype=torch.float64)
    return eta, scaled.with_scale(TRUE).sample(eta, generator)


def total(noise, scale, eta, y, weights=1.0):
    return (weights * noise.with_scale(scale).nll(eta, y)).sum().item()


def test_no_other_scale_is_more_likely(scaled, data):
    eta, y = data[0][0], data[1][0]
    best = scaled.fit_scale(eta, y).item()
    assert all(total(scaled, best, eta, y) < total(scaled, best * factor, eta, y) for factor in (0.99, 1.01))


def test_scipy_finds_the_same_scale(scaled, data):
    eta, y = data[0][0], data[1][0]
    with_weights = torch.linspace(0.1, 3, N, dtype=torch.float64)
    for weights in (torch.ones_like(y), with_weights):
        found = minimize_scalar(
            lambda t, weights=weights: total(scaled, float(np.exp(t)), eta, y, weights), bracket=(-1, 0), tol=1e-9
        )
        assert scaled.fit_scale(eta, y, weights).item() == pytest.approx(np.exp(found.x), rel=1e-7)


def test_the_truth_is_recovered(scaled):
    """Within five standard errors 1 / sqrt(n I): I is measured as the mean curvature of nll in log scale."""
    n, h = 20_000, 1e-3
    generator = torch.Generator().manual_seed(4)
    eta = 1 + torch.randn(n, generator=generator, dtype=torch.float64)
    y = scaled.with_scale(TRUE).sample(eta, generator)
    low, middle, high = (total(scaled, TRUE * np.exp(k * h), eta, y) for k in (-1, 0, 1))
    error = 1 / np.sqrt((low - 2 * middle + high) / h**2)
    assert abs(np.log(scaled.fit_scale(eta, y).item() / TRUE)) < 5 * error


def test_members_side_by_side_are_those_alone(scaled, data):
    eta, y = data
    together = scaled.fit_scale(eta, y)
    assert together.shape == (K,)
    assert_close(together, torch.stack([scaled.fit_scale(eta[k], y[k]) for k in range(K)]))
    one_y = scaled.fit_scale(eta, y[0])
    assert_close(one_y, torch.stack([scaled.fit_scale(eta[k], y[0]) for k in range(K)]))


def test_many_members_take_no_more_steps_than_one(scaled, monkeypatch):
    """A member that has arrived must stay there while the others walk; else 57 steps are taken instead of 6."""
    steps = []
    derivatives = noiseworks.noise.base._derivatives
    monkeypatch.setattr(noiseworks.noise.base, "_derivatives", lambda *a: steps.append(a) or derivatives(*a))
    generator = torch.Generator().manual_seed(6)
    eta = 1 + torch.randn((500, 50), generator=generator, dtype=torch.float64)
    y = scaled.with_scale(TRUE).sample(eta, generator)
    together = scaled.fit_scale(eta, y)
    assert len(steps) < 15
    assert_close(scaled.fit_scale(eta.float(), y.float()).double(), together, rtol=1e-4)


def test_weight_two_is_two_rows(scaled, data):
    eta, y = data[0][0], data[1][0]
    weights = torch.ones_like(y)
    weights[:50] = 2
    doubled = scaled.fit_scale(torch.cat([eta, eta[:50]]), torch.cat([y, y[:50]]))
    assert_close(scaled.fit_scale(eta, y, weights), doubled)
    assert_close(scaled.fit_scale(eta, y, 7 * weights), doubled)
    weights[50:] = 0
    assert_close(scaled.fit_scale(eta, y, weights), scaled.fit_scale(eta[:50], y[:50]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("at_zero", [True, False])
def test_perfect_fit_has_a_scale(scaled, dtype, at_zero):
    eta = torch.zeros(5, dtype=dtype) if at_zero else torch.tensor([0.1, 0.5, 1.0, 2.0, 3.0], dtype=dtype)
    y = scaled.with_scale(1e-9).mean(eta) if scaled.counts else scaled.inverse_transform(eta)
    scale = scaled.fit_scale(eta, y)
    nll = scaled.with_scale(scale).nll(eta, y)
    assert scale.dtype == dtype
    assert 0 < scale.item() < 1e-6 or nll.abs().max() < 1e-6  # rounding hides a spread of less than a tick
    assert nll.isfinite().all()


def test_fit_scale_follows_the_units(location_scale):
    """Ten times the residuals, ten times the scale."""
    eta = torch.zeros(6, dtype=torch.float64)
    z = f64([-3.0, -1.1, 0.2, 0.4, 1.7, 2.2])
    for factor in (1e-6, 10.0, 1e6):
        small, large = location_scale.inverse_transform(z / 100), location_scale.inverse_transform(z / 100 * factor)
        if large.isfinite().all() and (large > 0).all() >= positive_only(location_scale):
            assert_close(location_scale.fit_scale(eta, large), factor * location_scale.fit_scale(eta, small), rtol=1e-8)


def test_without_a_scale_there_is_none_to_fit(shipped):
    if shipped.scale_name is None:
        eta = etas(shipped)
        assert shipped.fit_scale(eta, shipped.mean(eta)) is None
        assert shipped.with_scale(3.0) is shipped
        assert shipped.scale_value is None


def test_tensor_scale_is_the_scalar_one_in_each_row(scaled):
    scales = f64([0.3, 1.0, 2.5]).unsqueeze(-1)
    together, eta = scaled.with_scale(scales), etas(scaled.with_scale(1.0))
    y = some_y(scaled, eta)[3]
    for k in range(K):
        one = scaled.with_scale(scales[k].item())
        assert_close(together.nll(eta, y)[k], one.nll(eta, y))
        assert_close(together.nll(eta.expand(K, -1), y)[k], one.nll(eta, y))
        assert_close(together.score(eta, y)[k], one.score(eta, y))
        assert_close(together.mean(eta).expand(K, -1)[k], one.mean(eta))
        assert_close(together.information(eta).expand(K, -1)[k], one.information(eta))


def test_transform_has_an_inverse(noise):
    y = some_y(noise, etas(noise))
    assert_close(noise.inverse_transform(noise.transform(y)), y)


@pytest.mark.parametrize(("shift", "stretch"), [(0.6, 2.0), (-1.5, 0.25)])
def test_nll_follows_the_units(additive, shift, stretch):
    """y' = T^-1((T(y) - shift) / stretch) has density p(y) |dy / dy'|; eta and scale move as T(y) does."""
    eta = etas(additive)
    y = some_y(additive, eta).contiguous().requires_grad_()
    new_y = additive.inverse_transform((additive.transform(y) - shift) / stretch)
    (slope,) = torch.autograd.grad(new_y.sum(), y)
    scale = 1.0 if additive.scale_value is None else additive.scale_value
    wide = additive.with_scale(stretch * scale).nll(shift + stretch * eta, y)
    assert_close(wide - additive.nll(eta, new_y), -slope.log(), rtol=1e-10, atol=1e-10)
