"""Distribution functions and unit cells against SciPy, mpmath and the density itself."""

import math

import mpmath
import numpy as np
import pytest
import torch
from noise_distributions import cdf as by_integration
from noise_distributions import etas, f64, law, some_y
from scipy import stats

from noiseworks.noise import (
    AsymmetricLaplace,
    Gaussian,
    Huber,
    IntervalLogNormal,
    Laplace,
    LogNormal,
    NegativeBinomial,
    Noise,
    Poisson,
    StudentT,
)
from noiseworks.noise.lattice import log_cell

ETA, S = 0.4, 0.7
LAWS = {
    Gaussian(scale=S): stats.norm(ETA, S),
    Laplace(scale=S): stats.laplace(ETA, S),
    StudentT(df=4.0, scale=S): stats.t(4, ETA, S),
    StudentT(df=1.5, scale=S): stats.t(1.5, ETA, S),
    LogNormal(scale=S): stats.lognorm(S, scale=math.exp(ETA)),
    AsymmetricLaplace(tau=0.9, scale=S): stats.laplace_asymmetric(3, ETA, S / 0.3),  # kappa^2 = tau / (1 - tau)
    AsymmetricLaplace(tau=0.2, scale=S): stats.laplace_asymmetric(0.5, ETA, S / 0.4),
    Poisson(): stats.poisson(math.exp(ETA)),
    Poisson(link="softplus"): stats.poisson(math.log1p(math.exp(ETA))),
    NegativeBinomial(dispersion=S): stats.nbinom(1 / S, 1 / (1 + S * math.exp(ETA))),
}
Y = f64([-30.0, -1.0, -0.2, 0.0, 0.3, 0.4, 1.0, 2.0, 3.5, 9.0, 40.0])
laws = pytest.mark.parametrize(("model", "known"), LAWS.items(), ids=lambda value: getattr(value, "name", ""))


def assert_close(actual, expected, rtol=1e-12, atol=0.0):
    np.testing.assert_allclose(np.asarray(actual), np.asarray(expected), rtol=rtol, atol=atol)


@laws
def test_cdf_is_that_of_scipy(model, known):
    assert_close(model.cdf(torch.full_like(Y, ETA), Y), known.cdf(Y.numpy()), rtol=2e-13, atol=1e-300)


@laws
def test_density_is_that_of_scipy(model, known):
    if isinstance(model, AsymmetricLaplace):
        assert_close(-model.nll(torch.full_like(Y, ETA), Y), known.logpdf(Y.numpy()))


def test_cdf_is_the_integral_of_the_density(noise):
    """The cubic between two of 400 panels is good to 1e-6."""
    for eta in etas(noise):
        y = some_y(noise, eta.reshape(1)).reshape(-1)
        assert_close(noise.cdf(eta.expand_as(y), y), by_integration(noise, eta, y.numpy()), rtol=0, atol=2e-6)


def test_cdf_rises_from_zero_to_one(noise):
    eta = etas(noise)[1].expand(2001)
    y = torch.linspace(-50, 50, 2001, dtype=torch.float64)
    values = noise.cdf(eta, y)
    assert (values.diff() >= 0).all()
    assert values.min() >= 0
    assert values.max() <= 1
    assert values[0] < 0.05 < 0.5 < values[-1]


def test_shapes_and_dtypes(noise):
    y = some_y(noise, etas(noise))[:, :1].T
    for dtype in (torch.float32, torch.float64):
        out = noise.cdf(etas(noise)[1].to(dtype).expand(4, 6), y.to(dtype))
        assert out.shape == (4, 6)
        assert out.dtype == dtype


def whole(noise):
    """Ten whole numbers around the middle that the noise can give."""
    low = 1 if isinstance(noise, LogNormal) else 0
    return torch.arange(low, low + 10, dtype=torch.float64)


@laws
def test_cells_are_differences_of_cdfs(model, known):
    y = whole(model)
    cells = known.cdf(y.numpy() + 0.5) - known.cdf(y.numpy() - 0.5)
    assert_close(log_cell(model, torch.full_like(y, ETA), y, 1.0).exp(), cells, rtol=1e-9, atol=1e-15)


def test_cells_sum_to_one(noise):
    """Those from -4,000 to 4,000; Student's tails of 4 degrees of freedom and scale 2.5 hold 1e-11 beyond."""
    y = torch.arange(0 if noise.counts else -4000, 4001, dtype=torch.float64)
    y = y[1:] if isinstance(noise, LogNormal) and y[0] == 0 else y
    if isinstance(noise, (LogNormal, IntervalLogNormal)):
        y = torch.arange(0, 200_001, dtype=torch.float64)
        total = log_cell(noise, f64([0.2]).expand_as(y), y, 1.0).exp().sum().item()
        beyond = 1 - stats.lognorm(noise.scale_value or 1.0, scale=math.exp(0.2)).cdf(200_000.5)
        assert total == pytest.approx(1 - beyond, abs=1e-9)
        return
    eta = etas(noise)[1]
    assert log_cell(noise, eta.expand_as(y), y, 1.0).exp().sum().item() == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("y", [-60.0, -5.0, 0.0, 1.0, 8.0, 70.0])
def test_cells_far_out_keep_their_digits(y):
    """By mpmath, where a difference of two float64 distribution functions is 0."""
    with mpmath.workdps(50):
        z = [(mpmath.mpf(y) + side - mpmath.mpf(ETA)) / mpmath.mpf(S) for side in (-0.5, 0.5)]
        tails = [mpmath.ncdf(-abs(edge)) for edge in z]
        right = float(mpmath.log(1 - sum(tails) if z[0] < 0 < z[1] else abs(tails[1] - tails[0])))
    assert_close(log_cell(Gaussian(scale=S), f64([ETA]), f64([y]), 1.0), [right], rtol=1e-12)


def student_cell(y, df):
    """The integral of the density by mpmath."""
    with mpmath.workdps(30):
        constant = mpmath.gamma((df + 1) / mpmath.mpf(2)) / (
            mpmath.gamma(df / mpmath.mpf(2)) * mpmath.sqrt(df * mpmath.pi)
        )
        density = lambda t: constant * (1 + ((t - ETA) / S) ** 2 / df) ** (-(df + 1) / mpmath.mpf(2)) / S  # noqa: E731
        return float(mpmath.log(mpmath.quad(density, [y - 0.5, y, y + 0.5])))


@pytest.mark.parametrize("y", [-1000.0, -3.0, 0.0, 1.0, 50.0])
def test_student_cells_by_integration(y):
    for df in (4, 30):
        assert_close(
            log_cell(StudentT(df=float(df), scale=S), f64([ETA]), f64([y]), 1.0), [student_cell(y, df)], rtol=1e-10
        )


def test_huber_tails_meet():
    """Normal and exponential tail have the same value, and slope minus the density, at delta."""
    noise, h = Huber(delta=1.3), 1e-6
    below, above = noise.log_tail(f64([1.3 - h, 1.3 + h]))
    assert_close(below - above, 2 * h * math.exp(-noise.nll(f64([0.0]), f64([1.3])).item()) / above.exp(), rtol=1e-5)
    assert_close(noise.log_tail(f64([0.0, -0.0])).exp(), [0.5, 0.5], rtol=1e-15)


def test_wide_cells_are_densities(scaled):
    """A scale of 1e6: the cell holds the density, to the square of the cell over the scale."""
    if not scaled.counts and not isinstance(scaled, LogNormal):
        wide, y = scaled.with_scale(1e6), f64([-2e6, 3.0, 4e5])
        eta = f64([0.0]).expand_as(y)
        assert_close(log_cell(wide, eta, y, 1.0), -wide.nll(eta, y), rtol=1e-9)


def test_narrow_cells_hold_everything(scaled):
    if not scaled.counts and not isinstance(scaled, LogNormal):
        assert_close(log_cell(scaled.with_scale(1e-4), f64([3.0]), f64([3.0]), 1.0), [0.0], atol=1e-13)


@pytest.mark.parametrize("width", [1.0, 2.0, 5.0, 6.0])
def test_finer_lattices_are_summed_over_a_cell(width):
    """Of a number on the edge of a cell half."""
    eta, y = f64([ETA] * 4), width * torch.arange(4, dtype=torch.float64)
    known = stats.poisson(math.exp(ETA))
    for at, found in zip(y.tolist(), log_cell(Poisson(), eta, y, width).exp().tolist()):
        k = np.arange(0, 60)
        share = np.where(np.abs(k - at) < width / 2, 1.0, 0.5 * (np.abs(k - at) == width / 2))
        assert found == pytest.approx(float(share @ known.pmf(k)), rel=1e-10)


def test_ticks_are_summed_over_a_cell():
    """Prices in cents over cells of 0.05, an odd number of ticks: the cell of the price that was rounded."""
    y = f64([0.0, 0.05, 0.35, 1.0])
    known = stats.lognorm(0.8, scale=math.exp(-1.0))
    cells = known.cdf(y.numpy() + 0.025) - known.cdf(np.maximum(y.numpy() - 0.025, 0))
    found = log_cell(IntervalLogNormal(tick=0.01, scale=0.8), f64([-1.0] * 4), y, 0.05)
    assert_close(found.exp(), cells, rtol=1e-9, atol=1e-15)


def test_counts_keep_their_own_probabilities(shipped):
    if shipped.counts:
        y, mass = law(shipped, etas(shipped)[1])
        assert_close(log_cell(shipped, etas(shipped)[1].expand(50), y[:50], 1.0).exp(), mass[:50])


class Nameless(Noise):
    """Nothing but a density."""

    name = "nameless"
    location_scale = True
    scale = None

    def mean(self, eta):
        return eta

    def nll(self, eta, y):
        return (y - eta).square()

    def sample(self, eta, generator):
        return eta


def test_a_noise_without_formula_has_none():
    y = f64([1.0, 2.0])
    assert Nameless().cdf(y, y) is None
    assert log_cell(Nameless(), y, y, 1.0) is None
