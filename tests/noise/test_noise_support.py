"""What a noise model takes and what it refuses: values of y, parameters, shapes and dtypes."""

import math

import pytest
import torch
from noise_distributions import etas, f64, positive_only, some_y

from noiseworks.errors import UserError
from noiseworks.noise import Contaminated, Huber, LogNormal, NegativeBinomial, Poisson, StudentT


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_no_noise_gives_a_value_that_is_not_finite(shipped, value):
    y = f64([1.0, 2.0, value, value])
    with pytest.raises(UserError) as error:
        shipped.check_support(y, "price")
    assert str(error.value) == f"{shipped.name} noise needs finite values; price is {value:g} in row 3."


@pytest.mark.parametrize(
    ("model", "value", "needs"),
    [
        (Poisson(), -0.3, "counts of at least 0"),
        (NegativeBinomial(), -1.0, "counts of at least 0"),
        (LogNormal(), 0.0, "values above 0"),
        (LogNormal(), -2.0, "values above 0"),
    ],
)
def test_value_outside_the_support(model, value, needs):
    with pytest.raises(UserError) as error:
        model.check_support(f64([3.0, value, 1.0]), "y")
    assert str(error.value) == f"{model.name} noise needs {needs}; y is {value:g} in row 2."


def test_boundary_is_accepted(shipped):
    if shipped.counts:
        shipped.check_support(f64([0.0, 1.0, 1e9]))
        assert shipped.nll(etas(shipped), f64([0.0, 0.0, 0.0])).isfinite().all()
    elif positive_only(shipped):
        shipped.check_support(f64([1e-300, 1e300]))
    else:
        shipped.check_support(f64([-1e300, 0.0, 1e300]))
    shipped.check_support(f64([]))


@pytest.mark.parametrize("value", [0, 0.0, -1.0, math.nan, math.inf, "wide"])
def test_scale_must_be_above_zero(scaled, value):
    key = f"noise.{scaled.scale_name}={value} is no {scaled.scale_name} for {scaled.name} noise"
    with pytest.raises(UserError, match=key):
        scaled.with_scale(value)
    if value != "wide":
        with pytest.raises(UserError, match=f"noise.{scaled.scale_name}="):
            scaled.with_scale(f64([[1.0], [value]]))


@pytest.mark.parametrize("value", [0, -1.0, math.nan, math.inf, None, "four"])
@pytest.mark.parametrize(
    ("kind", "key"), [(StudentT, "df"), (Huber, "delta"), (Contaminated, "ratio"), (Contaminated, "share")]
)
def test_given_parameters_must_be_above_zero(kind, key, value):
    with pytest.raises(UserError, match=f"noise.{key}={value} is no {key} for {kind.name} noise"):
        kind(**{key: value})


def test_a_share_is_below_one():
    with pytest.raises(
        UserError, match=r"noise\.share=1 is no share for contaminated noise; it must be above 0 and bel"
    ):
        Contaminated(share=1)


@pytest.mark.parametrize("link", ["foo", None, "LOG"])
def test_unknown_link(link):
    with pytest.raises(UserError, match=f"noise.link={link} is no link of poisson noise; it has log, identity, soft"):
        Poisson(link=link)


def test_a_negative_rate_cannot_be_sampled():
    with pytest.raises(UserError, match=r"needs rates of at least 0; the rate is -0\.5 in row 2"):
        Poisson(link="identity").sample(f64([1.0, -0.5]), torch.Generator())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_shapes_and_dtypes(noise, dtype):
    y = some_y(noise, etas(noise))[:, :1].T.to(dtype)  # (1, 6) against eta (4, 6)
    eta = etas(noise)[1].to(dtype).expand(4, 6)
    for out in (noise.nll(eta, y), noise.score(eta, y), noise.mean(eta), noise.information(eta)):
        assert out is None or (out.shape == (4, 6) and out.dtype == dtype)
    assert noise.nll(eta[0], y[0]).shape == (6,)
    assert noise.nll(eta[0, 0], y[0, 0]).shape == ()


def test_float32_agrees_with_float64(noise):
    eta = etas(noise)
    y = some_y(noise, eta)
    eta = eta.expand_as(y)
    for name in ("nll", "score"):
        single = getattr(noise, name)(eta.float(), y.float()).double()
        torch.testing.assert_close(single, getattr(noise, name)(eta, y), rtol=1e-5, atol=2e-4 if noise.counts else 1e-5)


def test_neither_argument_is_changed(noise):
    eta = etas(noise)
    y = some_y(noise, eta)[2].clone()
    before = eta.clone(), y.clone()
    noise.nll(eta, y), noise.score(eta, y), noise.mean(eta), noise.fit_scale(eta, y)
    noise.sample(eta, torch.Generator().manual_seed(0))
    assert eta.equal(before[0])
    assert y.equal(before[1])
    assert not eta.requires_grad
