"""nll against SciPy, mpmath, and numbers from R."""

import math

import mpmath
import numpy as np
import pytest
import torch
from noise_distributions import f64
from scipy import integrate, special, stats

from noiseworks.noise import Contaminated, Gaussian, Huber, Laplace, LogNormal, NegativeBinomial, Poisson, StudentT

FAR = f64([-1e6, -300.0, -2.5, -1e-9, 0.0, 0.7, 40.0, 1e8])
ABOVE_ZERO = f64([1e-300, 1e-6, 0.3, 1.0, 7.7, 1e5, 1e300])
COUNTS = f64([0, 1, 2, 17, 300, 1e4, 1e6])
SCALES = (1e-4, 0.3, 1.0, 25.0)


def assert_close(actual, expected, rtol=1e-12, atol=1e-13):
    np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), rtol=rtol, atol=atol)


def huber_logpdf(y, loc, scale, delta=1.345):
    total = sum(integrate.quad(lambda u: np.exp(-special.huber(delta, u)), *ends, epsabs=1e-14, epsrel=1e-13)[0]
                for ends in ((-np.inf, -delta), (-delta, delta), (delta, np.inf)))  # fmt: skip
    return -special.huber(delta, np.abs(y - loc) / scale) - math.log(total * scale)


DENSITIES = {
    Gaussian: lambda y, eta, s: stats.norm.logpdf(y, eta, s),
    Laplace: lambda y, eta, s: stats.expon.logpdf(np.abs(y - eta), scale=s) - math.log(2),  # laplace.logpdf: log of 0
    StudentT: lambda y, eta, s: stats.t.logpdf(y, 4, eta, s),
    Contaminated: lambda y, eta, s: np.logaddexp(
        math.log(0.9) + stats.norm.logpdf(y, eta, s), math.log(0.1) + stats.norm.logpdf(y, eta, 3 * s)
    ),
    Huber: huber_logpdf,
    LogNormal: lambda y, eta, s: stats.norm.logpdf(np.log(y), eta, s) - np.log(y),
}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("kind", DENSITIES)
def test_densities(kind, scale):
    y = ABOVE_ZERO if kind is LogNormal else FAR
    for eta in (-20.0, 0.0, 0.4, 900.0):
        nll = kind(scale=scale).nll(torch.full_like(y, eta), y)
        assert_close(nll, -DENSITIES[kind](y.numpy(), eta, scale), atol=2e-12)


@pytest.mark.parametrize("scale", [0.3, 1.0, 2.5])
def test_lognormal_is_that_of_scipy(scale):
    y = f64([1e-3, 0.3, 1.0, 7.7, 1e3])
    nll = LogNormal(scale=scale).nll(torch.full_like(y, 0.4), y)
    assert_close(nll, -stats.lognorm.logpdf(y.numpy(), scale, scale=math.exp(0.4)))


def test_unset_scale_is_one():
    y = f64([0.2, 1.0, 3.0])
    for kind in (*DENSITIES, NegativeBinomial):
        one = kind().with_scale(1.0)
        assert one.scale_value == 1.0
        assert_close(kind().nll(y.flip(0), y), one.nll(y.flip(0), y))


MEANS = {
    "log": np.exp,
    "identity": lambda eta: eta,
    "softplus": lambda eta: np.logaddexp(0, eta),
    "clamp": lambda eta: max(eta, 1e-6),
}


@pytest.mark.parametrize("link", MEANS)
def test_poisson(link):
    """SciPy loses digits of its own where y log mu, mu and log y! cancel: allow an eps of the largest of them."""
    for eta in (-5.0, 0.4, 3.0, 10.0, 20.001, 35.0)[link == "identity" :]:
        nll = Poisson(link=link).nll(torch.full_like(COUNTS, eta), COUNTS).numpy()
        mu, y = MEANS[link](np.float64(eta)), COUNTS.numpy()
        terms = mu + np.abs(y * np.log(mu)) + special.gammaln(y + 1)
        assert (np.abs(nll + stats.poisson.logpmf(y, mu)) <= 1e-12 * nll + 1e-15 * terms).all()


def test_softplus_mean_is_exact_beyond_twenty():
    """torch's softplus drops exp(-x) for x > 20, where it is still 1e-10 of x; the far left needs log softplus = x."""
    noise, eta = Poisson(link="softplus"), f64([-800.0, -45.0, 20.001, 36.0])
    assert_close(noise.mean(eta), np.logaddexp(0, eta.numpy()), rtol=1e-15, atol=0)
    y = f64([2.0, 2.0, 2.0, 2.0])
    logs = [float(mpmath.log(mpmath.log1p(mpmath.exp(x)))) for x in eta.tolist()]
    assert_close(noise.nll(eta, y), np.logaddexp(0, eta.numpy()) - 2 * np.array(logs) + math.log(2), rtol=1e-14)


def test_identity_link_has_no_rate_below_zero():
    noise = Poisson(link="identity")
    assert noise.nll(f64([-0.1, -0.1, 0.5]), f64([0.0, 2.0, 2.0])).isinf().tolist() == [True, True, False]


def exact_nll(y, eta, dispersion):
    with mpmath.workdps(60):
        y, r, mu = mpmath.mpf(y), 1 / mpmath.mpf(dispersion), mpmath.exp(mpmath.mpf(eta))
        binomial = mpmath.loggamma(y + r) - mpmath.loggamma(r) - mpmath.loggamma(y + 1)
        return float((y + r) * mpmath.log1p(mu / r) - y * mpmath.log(mu / r) - binomial)


GRID = [(y, eta) for y in (0.0, 1.0, 7.0, 130.0, 1e4) for eta in (-30.0, -2.0, 1.0, 5.0, 9.0, 25.0)]


@pytest.mark.parametrize("dispersion", [1e-6, 1e-3, 0.0333, 0.0334, 1.0, 30.0, 1e3])  # 1 / 30: two formulas meet
def test_negative_binomial(dispersion):
    """To a rounding error of the largest term, log y!: in float64 and, for the same reason, in float32."""
    y, eta = f64(GRID).T
    truth = np.array([exact_nll(*pair, dispersion) for pair in GRID])
    noise, terms = NegativeBinomial(dispersion=dispersion), special.gammaln(y.numpy() + 1) + (y * eta).abs().numpy()
    error = np.abs(noise.nll(eta, y).numpy() - truth)
    assert (error <= 1e-13 * truth + 1e-15 * terms).all()
    single = np.abs(noise.nll(eta.float(), y.float()).double().numpy() - truth)
    assert (single <= 1e-5 * truth + 1e-6 * terms).all()


@pytest.mark.parametrize("dispersion", [0.05, 1.0, 4.0])
def test_negative_binomial_is_that_of_scipy(dispersion):
    y = f64([0, 1, 2, 17, 300])
    for eta in (0.0, 1.5, 4.0):
        nll = NegativeBinomial(dispersion=dispersion).nll(torch.full_like(y, eta), y)
        p = 1 / (1 + dispersion * math.exp(eta))
        assert_close(nll, -stats.nbinom.logpmf(y.numpy(), 1 / dispersion, p))


def test_negative_binomial_tends_to_poisson():
    """The difference is dispersion / 2 ((y - mu)^2 - y), first order in the dispersion."""
    eta, y = f64([0.3, 1.0, 2.0]), f64([0.0, 3.0, 9.0])
    gap = NegativeBinomial(dispersion=1e-6).nll(eta, y) - Poisson().nll(eta, y)
    assert_close(gap, -0.5e-6 * ((y - eta.exp()).square() - y), rtol=1e-3, atol=1e-10)


# R 4 program, options(digits = 17):
#   -dnorm(1.7, 0.4, 0.3, log=TRUE)
#   -dexp(abs(1.7 - 0.4), rate=1/0.3, log=TRUE) + log(2)      # half a Laplace is exponential
#   -dt((1.7 - 0.4) / 0.3, df=4, log=TRUE) + log(0.3)
#   -dlnorm(1.7, 0.4, 0.3, log=TRUE)
#   -dpois(5, exp(0.4), log=TRUE);  -dpois(5, 0.4, log=TRUE);  -dpois(5, log1p(exp(0.4)), log=TRUE)
#   -dnbinom(5, size=1/0.3, mu=exp(0.4), log=TRUE);  -dnbinom(700, size=1/2.5, mu=exp(6), log=TRUE)
FROM_R = [
    (Gaussian(scale=0.3), 0.4, 1.7, 9.1038546177676238),
    (Laplace(scale=0.3), 0.4, 1.7, 3.8225077095673425),
    (StudentT(df=4, scale=0.3), 0.4, 1.7, 4.1255840503915362),
    (LogNormal(scale=0.3), 0.4, 1.7, 0.34039253536069269),
    (Poisson(link="log"), 0.4, 5.0, 4.2793164404233162),
    (Poisson(link="identity"), 0.4, 5.0, 9.7689454021528199),
    (Poisson(link="softplus"), 0.4, 5.0, 6.1555204587906118),
    (NegativeBinomial(dispersion=0.3), 0.4, 5.0, 3.7070682897176317),
    (NegativeBinomial(dispersion=2.5), 6.0, 700.0, 8.1881169129016893),
]


@pytest.mark.parametrize(("model", "eta", "y", "nll"), FROM_R, ids=lambda v: getattr(v, "name", None))
def test_numbers_from_r(model, eta, y, nll):
    assert_close(model.nll(f64([eta]), f64([y])), [nll], rtol=1e-13)
