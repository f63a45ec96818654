"""Exercise 5: its theory against sums over draws, SciPy and closed forms, and its measure on small cases."""

from types import SimpleNamespace

import numpy as np
import pytest
from scipy import integrate, stats

from noiseworks_experiments.parts import ex5_measure as ex5
from noiseworks_experiments.parts import ex5_theory, ex5_walks
from noiseworks_experiments.parts.absolute import (
    elemental_fits,
    linear_program,
    most_likely,
    multiplier,
    slope_variance,
    weighted_median,
)
from noiseworks_experiments.parts.hopping import Hopping, absolute_gap, sharp_floor, squared_floor


def excess(truth, assumed):
    return ex5_theory.cross_entropy(truth, assumed) - ex5_theory.cross_entropy(truth, truth)


def test_divergences_of_laplace_and_gauss():
    assert excess("laplace", "gaussian") == pytest.approx(np.log(np.pi / np.e) / 2, abs=1e-9)
    back = np.log(2) + np.log(2 / np.pi) / 2 + 1 - np.log(2 * np.pi * np.e) / 2
    assert excess("gaussian", "laplace") == pytest.approx(back, abs=1e-9)
    assert ex5_theory.cross_entropy("student_t", "gaussian") == pytest.approx(
        np.log(2 * np.pi * np.e * 2) / 2, abs=1e-3
    )


@pytest.mark.parametrize("law", ["laplace", "gaussian"])
def test_the_slope_has_this_variance(law):
    """Of 40,000 samples, and not that of two rows more."""
    rng, R, n = np.random.default_rng(8), 40_000, 12
    x, e = rng.normal(size=(R, n)), ex5.draw(law, (R, n), rng)
    squares, due = weighted_median(e / x, np.abs(x)) ** 2, slope_variance(ex5_theory.DENSITIES[law].cdf, n)
    assert abs(squares.mean() - due) < 4 * squares.std() / np.sqrt(R)
    assert abs(squares.mean() - due * n / (n + 2)) > 8 * squares.std() / np.sqrt(R)


@pytest.mark.parametrize("law", ["laplace", "gaussian"])
def test_the_variance_for_many_rows_is_that_of_a_normal_sum(law):
    """P(slope > t) by the normal distribution of S = sum |x| sign(e - t |x|): mean -n m(t) and variance n (1 - m^2)."""
    n, x = 640, np.linspace(0, 12, 1201)
    t = np.linspace(0, 12 / np.sqrt(n), 801)
    values = 2 * x * stats.norm.pdf(x) * (2 * ex5_theory.DENSITIES[law].cdf(np.outer(t, x)) - 1)
    m = integrate.simpson(values, x=x)
    tail = stats.norm.cdf(-np.sqrt(n) * m / np.sqrt(1 - m**2))
    found = slope_variance(ex5_theory.DENSITIES[law].cdf, n)
    assert found == pytest.approx(integrate.simpson(4 * t * tail, x=t), rel=1e-3)


def test_efficiency_tends_to_its_limit():
    assert ex5_theory.limit("laplace") == pytest.approx(2)
    assert ex5_theory.limit("gaussian") == pytest.approx(2 / np.pi)
    for law in ("laplace", "gaussian"):
        assert ex5_theory.efficiency(law, 10**7) == pytest.approx(ex5_theory.limit(law), rel=1e-3)
    assert ex5_theory.efficiency("laplace", 40) < 1.5  # far from the limit


def test_weighted_median_is_the_best_slope():
    rng = np.random.default_rng(0)
    x, e = rng.normal(size=(2, 5, 31))
    found = weighted_median(e / x, np.abs(x))
    for k in range(5):
        losses = [np.abs(e[k] - b * x[k]).sum() for b in e[k] / x[k]]  # the best is one of these
        assert np.abs(e[k] - found[k] * x[k]).sum() == pytest.approx(min(losses), rel=1e-14)


def test_program_and_multipliers_of_a_median():
    """Of 1, 2, 4, 8, 16 the median 4 has sum |r| = 21 and z = 0; at 8, z = 2 would be needed."""
    X, y = np.ones((5, 1)), np.array([1.0, 2, 4, 8, 16])
    assert linear_program(X, y) == pytest.approx(21)
    assert multiplier(X, y, np.array([4.0])) == 0
    assert multiplier(X, y, np.array([8.0])) == 2


def test_the_best_of_all_planes_is_the_least_absolute_fit():
    rng = np.random.default_rng(2)
    X, y = np.c_[np.ones(9), rng.normal(size=(9, 2))], rng.laplace(size=9)
    fits = elemental_fits(X, y)
    assert fits.shape == (84, 3)
    sums = np.abs(y - fits @ X.T).sum(axis=1)
    assert sums.min() == pytest.approx(linear_program(X, y), rel=1e-12)
    theta, scale = most_likely(X, y)
    np.testing.assert_array_equal(theta, fits[sums.argmin()])
    assert scale == pytest.approx(sums.min() / 9, rel=1e-6)


def measured(law, n):
    cfg = SimpleNamespace(measure="estimators", seed=1, law=law, num_observations=n, replicates=30, rows=160)
    return ex5.measure(cfg)


@pytest.mark.parametrize("law", ["laplace", "gaussian"])
def test_measure(law):
    found = measured(law, 40)
    assert found["absolute"].shape == found["squared"].shape == (30,)
    assert found["met/absolute/least"] == found["met/absolute/most"] == 3
    assert found["multiplier/absolute"] <= 1 < found["multiplier/vertex"]
    assert found["program/absolute"] < 1e-9 < found["program/squared"]
    assert found["sum/squared"] < 1e-9 < found["sum/absolute"]
    assert found["groups/unique"] == 0
    assert found["far/absolute"] < 1e-9 < min(found["far/squared"], found["across/absolute"])
    for exact, other in (("location/median", "location/mean"), ("slope/weighted", "slope/unweighted")):
        assert found[exact] < 1e-9 < found[other]
    assert found["elemental/all"] < 1e-9 < found["elemental/hundred"]
    assert found["likelihood/absolute"] < 1e-9 < found["likelihood/squared"]
    assert found["likelihood/mean"] < 1e-6 < found["likelihood/root"]
    assert set(measured(law, 160)) == {"absolute", "squared"}


# How far SGD stays


def test_gap_is_the_expected_loss():
    u = lambda s, f: integrate.quad(lambda x: 2 * f(x) * stats.norm.pdf(x, scale=s), 0, 12 * s)[0]  # noqa: E731
    for s in (0.01, 0.3, 2.0):
        assert absolute_gap(s) == pytest.approx(u(s, lambda x: x + np.exp(-x) - 1), rel=1e-8)
    assert absolute_gap(1e-3) == pytest.approx(0.5e-6, rel=1e-2)


def chance(corner):
    """x (10^6, 3), noise, and psi."""
    rng = np.random.default_rng(5)
    x, e = rng.normal(size=(10**6, 3)), rng.laplace(size=10**6)
    return x, e, np.sign if corner == 0 else lambda r: np.clip(r / corner, -1, 1)


@pytest.mark.parametrize("corner", [0.0, 0.5, 2.0])
def test_moments_are_those_of_a_million_examples(corner):
    """delta ~ N(0, v I) drawn once for each example; three standard errors are below 1 %."""
    x, e, psi = chance(corner)
    v = 0.3
    delta = np.sqrt(v) * np.random.default_rng(6).normal(size=x.shape)
    g = -x * psi(e - (x * delta).sum(1))[:, None]
    along, _, square = Hopping(3, 10, corner)._moments(v)
    assert along == pytest.approx((delta * g).sum(1).mean(), rel=0.01)
    assert square == pytest.approx((g**2).sum(1).mean(), rel=0.01)


def test_small_steps():
    """v = lr / (2 B) times E psi^2 / E psi'."""
    assert Hopping(5, 10).floor(1e-6) == pytest.approx(1e-6 / 20, rel=1e-3)
    h = 0.5
    square, _ = integrate.quad(lambda e: min(e / h, 1) ** 2 * np.exp(-e), 0, 40, points=[h])
    slope = (1 - np.exp(-h)) / h
    assert Hopping(5, 10, h).floor(1e-6) == pytest.approx(1e-6 / 20 * square / slope, rel=1e-3)


def test_a_tiny_corner_is_none():
    assert Hopping(5, 10, 1e-4).floor(0.1) == pytest.approx(Hopping(5, 10).floor(0.1), rel=1e-3)


def test_the_path_at_a_constant_step_ends_at_the_floor():
    exact = Hopping(5, 10)
    v, mean = exact.path(np.full(1000, 0.1), averaged_from=500)
    assert v == pytest.approx(exact.floor(0.1), rel=1e-6)
    keep = 1 - 0.1 * exact._moments(v)[0] / (5 * v)
    lags = keep ** np.abs(np.subtract.outer(np.arange(500), np.arange(500)))  # of a stationary autoregression
    assert mean == pytest.approx(v * lags.mean(), rel=1e-6)


def walked(psi, noise, lr, d=3, B=4, steps=400, K=4000):
    """SGD in numpy, K runs: the distances after the last step."""
    rng = np.random.default_rng(7)
    delta = np.full((K, d), 0.1)
    for _ in range(steps):
        x, e = rng.normal(size=(K, B, d)), noise(rng, (K, B))
        r = e - np.einsum("kbd,kd->kb", x, delta)
        delta += lr * np.einsum("kb,kbd->kd", psi(r), x) / B
    return np.linalg.norm(delta, axis=1)


def test_exact_floors_by_another_program():
    """Within four standard errors."""
    squares = walked(lambda r: r, lambda rng, shape: rng.normal(size=shape), 0.4) ** 2
    assert abs(squares.mean() - squared_floor(0.4, 3, 4)) < 4 * squares.std() / np.sqrt(4000)
    sharp = walked(np.sign, lambda rng, shape: np.zeros(shape), 0.4) / 0.4
    assert abs(sharp.mean() - sharp_floor(3, 4)) < 4 * sharp.std() / np.sqrt(4000)
    assert abs(sharp.mean() - sharp_floor(4, 4)) > 8 * sharp.std() / np.sqrt(4000)  # a feature too many


def test_rates_are_those_of_the_schedules():
    import torch

    from noiseworks.train.schedules import Cosine, InverseSqrt

    steps, plain = torch.arange(1000), {"averaging": False, "averaging_start": 0.5}
    for name, schedule in (("inverse_sqrt", InverseSqrt(decay_steps=100.0, **plain)), ("cosine", Cosine(**plain))):
        np.testing.assert_allclose(ex5_theory.rates(name), 0.2 * schedule.factor(steps, 1000).numpy(), rtol=1e-12)


def test_the_true_weights_are_those_of_the_data():
    from noiseworks.data.synthetic import Synthetic

    told = SimpleNamespace(true_weights=None, num_features=ex5_walks.D, signal=1.0)
    np.testing.assert_allclose(ex5_walks.TRUE, Synthetic.w_true.fget(told).numpy(), rtol=1e-12)


# Steps of other kinds


@pytest.fixture(scope="module")
def walks():
    """label noise -> what 60 walks end with."""
    return {
        noise: ex5.measure(SimpleNamespace(measure="walks", seed=3, replicates=60, label_noise=noise))
        for noise in (1.0, 0.0)
    }


def near(values, due, errors=4.0):
    return abs(values.mean() - due) < errors * values.std(ddof=1) / np.sqrt(len(values))


@pytest.mark.parametrize("rule", ["constant", "inverse", "geometric"])
def test_falling_steps_end_where_theory_says(walks, rule):
    gap = absolute_gap(walks[1.0][f"distance/{rule}/1000"])
    assert near(gap, ex5_theory.after(rule))
    assert not near(gap, 2 * ex5_theory.after(rule))


def test_the_corner_lowers_the_floor_by_what_theory_says(walks):
    sharp = walks[1.0]["gap/corner_0"].mean()
    for corner in (0.1, 0.5, 2.0):
        assert walks[1.0][f"gap/corner_{corner:g}"].mean() / sharp == pytest.approx(
            ex5_theory.rounded(corner), abs=0.04
        )


def test_on_exact_labels_who_arrives(walks):
    ends = {rule: walks[0.0][f"distance/{rule}/1000"] for rule in ex5_walks.RULES}
    assert max(ends[rule].max() for rule in ("polyak", "corner_0.1", "corner_0.5", "corner_2")) < 1e-9
    assert ends["geometric"].max() < 1e-4 < ends["constant"].min()
    assert near(walks[0.0]["hop/geometric"], ex5_theory.sharp_hop(0.99))
    assert near(walks[0.0]["hop/inverse"], sharp_floor(5, 10))


def test_polyaks_rate_by_a_million_steps(walks):
    rng = np.random.default_rng(9)
    a, c = np.abs(rng.normal(size=(10**6, 10))).mean(axis=1), rng.chisquare(4, size=10**6)
    by_draws = -np.log1p(10 * a**2 / c) / 2
    assert near(by_draws, ex5_theory.polyak_rate())
    first, last = (np.log(walks[0.0][f"distance/polyak/{t}"]) for t in (20, 200))
    assert near((last - first) / 180, ex5_theory.polyak_rate())
