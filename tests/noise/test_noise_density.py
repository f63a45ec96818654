"""Normalization, mean, score and information of every noise model, from its nll alone."""

import torch
from noise_distributions import etas, f64, law, some_y

from noiseworks.noise import Noise
from noiseworks.noise.poisson import STRAIGHT_LINKS


def assert_close(actual, expected, rtol, atol=0.0):
    torch.testing.assert_close(actual, expected, rtol=rtol, atol=atol)


def test_masses_sum_to_one(noise):
    for eta in etas(noise):
        assert_close(law(noise, eta)[1].sum(), f64(1.0), rtol=1e-10)


def test_mean_is_the_integral_of_y(noise):
    for eta in etas(noise):
        y, mass = law(noise, eta)
        assert_close((y * mass).sum(), noise.mean(eta), rtol=1e-10, atol=1e-10)


def test_information_is_the_mean_squared_score(noise):
    for eta in etas(noise):
        information = noise.information(eta)
        if information is not None:
            y, mass = law(noise, eta)
            assert_close((noise.score(eta.expand_as(y), y).square() * mass).sum(), information, rtol=1e-10)


def test_score_is_zero_on_average(noise):
    for eta in etas(noise):
        y, mass = law(noise, eta)
        assert_close((noise.score(eta.expand_as(y), y) * mass).sum(), f64(0.0), rtol=0, atol=1e-10)


def test_score_is_the_derivative_by_autograd(noise):
    eta = etas(noise)
    y = some_y(noise, eta)
    eta = eta.expand_as(y)
    assert_close(noise.score(eta, y), Noise.score(noise, eta, y), rtol=1e-11, atol=1e-11)


def test_score_is_the_derivative_by_differences(noise):
    """Five points: the error is h^4 / 30 times the fifth derivative, plus the rounding of nll over h."""
    eta = etas(noise)
    y = some_y(noise, eta)
    eta = eta.expand_as(y)
    h = 1e-3 * eta.abs().clamp_max(1) * (noise.scale_value or 1.0)
    f = [noise.nll(eta + k * h, y) for k in (-2, -1, 1, 2)]
    assert_close(noise.score(eta, y), (f[0] - 8 * f[1] + 8 * f[2] - f[3]) / (12 * h), rtol=1e-7, atol=1e-7)


def test_inverse_mean_inverts_mean(noise):
    eta = etas(noise)
    assert_close(noise.inverse_mean(noise.mean(eta)), eta, rtol=1e-12, atol=1e-12)
    mu = f64([1e-3, 0.5, 7.0, 300.0])
    assert_close(noise.mean(noise.inverse_mean(mu)), mu, rtol=1e-12, atol=1e-13)


def test_score_points_back_from_far_out(shipped):
    """Also where mu or its slope underflows or overflows: a step that went too far can come back. (Below the domain of
    the identity link there is no nll, and a clamp is flat there.)"""
    for dtype in (torch.float32, torch.float64):
        below, above = torch.tensor([-120.0, -900.0], dtype=dtype), torch.tensor([60.0, 95.0], dtype=dtype)
        for eta in (below, above) if getattr(shipped, "link", "") not in STRAIGHT_LINKS else (above,):
            y = torch.tensor([2.0, 3.0], dtype=dtype)
            assert not shipped.nll(eta, y).isnan().any()
            assert shipped.score(eta, y).sign().equal((eta - y).sign())
