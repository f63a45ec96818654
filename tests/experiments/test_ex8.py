"""Exercise 8: its theory against other references, what it measures on small cases, and one break for each part."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import special, stats

from noiseworks.noise import Gaussian, Poisson
from noiseworks.studies import claim, exactly
from noiseworks_experiments.parts import counts, ex8_apples, ex8_logarithm, ex8_zeros
from noiseworks_experiments.parts import ex8_measure as ex8
from noiseworks_experiments.parts import ex8_theory as theory
from noiseworks_experiments.parts.heaps import masses, rounded


def settings(**values):
    return SimpleNamespace(seed=0, **values)


def test_gap_is_the_divergence():
    """By numerical integration of the normal density over each cell; 1 / (12 rate) from the next orders' side."""
    p = stats.poisson.pmf(np.arange(40), 5.0)
    grid = np.linspace(-0.5, 0.5, 2001)
    cells = [np.trapezoid(stats.norm.pdf(k + grid, 5.0, math.sqrt(5)), grid) for k in range(40)]
    assert theory.gap(5.0) == pytest.approx(float((p * np.log(p / cells)).sum()), rel=1e-6)
    assert 12e4 * theory.gap(1e4) == pytest.approx(1.0, rel=1e-3)


def test_losses_are_those_of_cells():
    k = np.arange(8)
    cells = stats.norm.cdf((k + 0.5 - 2) / 1.5) - stats.norm.cdf((k - 0.5 - 2) / 1.5)
    np.testing.assert_allclose(ex8.losses(Gaussian(scale=1.5), 2.0, k), -np.log(cells), rtol=1e-12)
    np.testing.assert_allclose(ex8.losses(Poisson(link="identity"), 2.0, k), -stats.poisson.logpmf(k, 2.0), rtol=1e-12)


@pytest.mark.parametrize("sampler", ["numpy", "torch", "negative_binomial"])
def test_draws(sampler):
    found = ex8.draws(settings(sampler=sampler, rate=5.0, replicates=20, num_draws=2000))
    ratio = 3.5 if sampler == "negative_binomial" else 1.0
    assert found["mean"].mean() == pytest.approx(5, rel=0.03)
    assert found["variance"].mean() == pytest.approx(5 * ratio, rel=0.06)
    assert found["bought"].min() >= found["mean"].min()
    assert found["gap_expected"] == pytest.approx(theory.gap(5.0), rel=1e-9)


def test_minimizers():
    found = ex8.minimizers(3.0)
    assert found["minimizer"] == pytest.approx(1, rel=1e-3)
    assert found["minimizer_public"] == pytest.approx(0.01)
    assert found["minimizer_torch"] == pytest.approx(math.log(3) / 3, abs=1e-3)
    assert found["stirling"] == pytest.approx(
        math.log(2) - (2 * math.log(2) - 2 + math.log(4 * math.pi) / 2), abs=1e-12
    )


def test_slope_variances():
    """R: x <- seq(0, 1, length.out = 5); l <- 2 + 8 * x; D <- cbind(x, 1); H <- solve(t(D) %*% D)
    (H %*% t(D) %*% diag(l) %*% D %*% H)[1, 1]; solve(t(D) %*% diag(1 / l) %*% D)[1, 1]  # by hand below"""
    D, rates = counts.line(5, 5.0)
    np.testing.assert_allclose(rates, [2, 4, 6, 8, 10])
    x = D[:, 0] - 0.5
    exact = theory.slope_variances(5, 5.0)
    assert exact["ols"] == pytest.approx((x**2 @ rates) / (x @ x) ** 2)
    w = 1 / rates
    middle = (w @ D[:, 0]) / w.sum()
    assert exact["bound"] == pytest.approx(1 / (w @ (D[:, 0] - middle) ** 2))


def test_identity_is_unbiased_and_weights_matter():
    found = ex8.identity(settings(num_observations=40, spread=5.0, replicates=400))
    for slopes in found.values():
        assert slopes.mean() == pytest.approx(8.0, abs=5 * slopes.std() / 20)
    assert found["wls"].var() < found["ols"].var()


def test_wald_coverage_is_that_of_draws():
    """Within five standard errors of 100,000 draws."""
    total = np.random.default_rng(0).poisson(3.0, 100_000)
    with np.errstate(divide="ignore", invalid="ignore"):
        hits = np.abs(np.log(total / 3)) <= stats.norm.ppf(0.975) / np.sqrt(total)
    assert theory.wald_coverage(3.0) == pytest.approx(hits[total > 0].sum() / 1e5, abs=5 * 0.5 / math.sqrt(1e5))
    assert theory.wald_coverage(1e4) == pytest.approx(0.95, abs=2e-3)
    assert theory.shrunk(1.0) == pytest.approx(0.95)


def test_counts_have_the_dispersion():
    rates = np.array([0.5, 3.0, 20.0])
    for dispersion in (1.0, 2.0, 5.0):
        y = counts.counts(rates, dispersion, 40_000, np.random.default_rng(1))
        np.testing.assert_allclose(y.mean(axis=0) / rates, 1, atol=0.06)
        np.testing.assert_allclose(y.var(axis=0) / rates / dispersion, 1, atol=0.12)


def test_expected_squares_for_many_rows():
    """For a normal x the line is m (1 + B x), negative below -1 / B."""
    assert theory.expected_squares(1000)["negative"] == pytest.approx(stats.norm.cdf(-1 / ex8_logarithm.B), abs=2e-3)


def test_coverage_of_rare_counts_counts_a_missing_answer_as_a_miss():
    found = ex8_logarithm.coverage(settings(truth="rare", num_observations=20, dispersion=1.0, replicates=300))
    assert 0 < (~found["exists"]).sum() < 100
    assert not found["covers_information"][~found["exists"]].any()
    assert found["refused"] == 1


def test_newton_squares_the_error():
    D, rates = ex8_logarithm.predictor("log", 60)
    found = ex8_logarithm.once(D, np.random.default_rng(0).poisson(rates).astype(float))
    assert found["order_newton"] == pytest.approx(2, abs=0.3)
    assert found["order_descent"] == pytest.approx(1, abs=0.05)
    assert found["contraction_found"] == pytest.approx(found["contraction_theory"], abs=1e-3)
    assert found["steps_newton"] < 10 < found["steps_descent"]
    assert found["exposure_weighted"] < 1e-10 < found["exposure_plain"]


def test_rounded_moves_mass_to_multiples_of_three():
    p = stats.poisson.pmf(np.arange(60), 4.0)[None]
    found = rounded(p)
    assert found.sum() == pytest.approx(1)
    assert found[0, 3] == pytest.approx(p[0, 2:5].sum())
    assert found[0, 0] == pytest.approx(p[0, :2].sum())
    assert not found[0, np.arange(60) % 3 > 0].any()


def test_heaps_are_found_where_they_are():
    """Counts of which 70 % were rounded; and counts of which none was."""
    rng, D, k = np.random.default_rng(2), np.ones((4000, 1)), np.arange(120)
    y = rng.negative_binomial(2, 2 / 7, 4000)
    heaped = np.where(rng.random(4000) < 0.7, 3 * np.round(y / 3), y).astype(float)
    for told, share in ((heaped, 0.7), (y.astype(float), 0.0)):
        law = masses(D, told, D[:1], k)
        expected = (1 - share) * law["nb"] + share * rounded(law["nb"])
        np.testing.assert_allclose(law["heaped"], expected, atol=0.012)
    np.testing.assert_allclose(
        special.entr(law["nb"]).sum(), special.entr(stats.nbinom.pmf(k, 2, 2 / 7)).sum(), rtol=0.02
    )


def test_a_wrong_loss_is_seen(monkeypatch):
    """The claim about the minimum of the loss, with the rate dropped from it."""
    monkeypatch.setattr(ex8, "nll_of_rates", lambda rates, mean: -mean * np.log(rates))
    assert claim("8.3", "", 1.0, exactly(ex8.minimizers(5.0)["minimizer"]), 1e-3).verdict == "differs"


def test_a_wrong_sampler_is_seen(monkeypatch):
    monkeypatch.setattr(torch, "poisson", lambda rate, generator=None: rate.round())
    found = ex8.draws(settings(sampler="torch", rate=5.0, replicates=5, num_draws=100))
    assert claim("8.2", "", 1.0, exactly(found["variance"].mean() / 5), 0.02).verdict == "differs"


def test_standard_errors_depend_on_the_unit_by_its_root():
    rng = np.random.default_rng(3)
    D = np.column_stack((rng.normal(size=200), np.ones(200)))
    found = ex8_apples.standard_errors(D, 3.0 * rng.poisson(np.exp(0.4 * D[:, 0])))
    assert found["information_pounds"] / found["information_poisson"] == pytest.approx(math.sqrt(3), rel=1e-9)
    assert found["HC0_pounds"] == pytest.approx(found["HC0_poisson"], rel=1e-9)
    assert found["dispersion"] == pytest.approx(3 * found["dispersion_pounds"])


def test_quasi_poisson_does_not_depend_on_the_unit():
    rng = np.random.default_rng(4)
    D = np.column_stack((rng.normal(size=200), np.ones(200)))
    found = ex8_apples.standard_errors(D, 3.0 * rng.poisson(np.exp(0.4 * D[:, 0])))
    assert found["quasi_pounds"] == pytest.approx(found["quasi_poisson"], rel=1e-9)
    assert found["pearson_poisson"] == pytest.approx(3 * found["pearson_pounds"], rel=1e-9)


@pytest.fixture(scope="module")
def many():
    """8,000 samples of 200 counts of variance five times the mean, and as many of 50 Poisson counts."""
    run = ex8_logarithm.coverage(settings(truth="busy", num_observations=200, dispersion=5.0, replicates=8000))
    return run, ex8_logarithm.coverage(settings(truth="log", num_observations=50, dispersion=1.0, replicates=8000))


def near(values, expected):
    """Within five standard errors."""
    assert abs(values.mean() - expected) < 5 * values.std() / math.sqrt(len(values))


def test_bias_by_simulation(many):
    D, rates = ex8_logarithm.predictor("busy", 200)
    near(many[0]["estimate"], ex8_logarithm.B + theory.biases(D, rates, 5.0)[0])


def test_what_least_squares_holds_by_simulation(many):
    D, mu = ex8_logarithm.predictor("log", 50)
    inside, normal = (each[37:].mean() for each in theory.expected_inside(D, mu))
    assert many[1]["inside_last"].mean() == pytest.approx(inside, abs=0.003)
    assert abs(normal - inside) > 0.02
    near(many[1]["slope_log1p"], theory.expected_squares(50)["slope_log1p"])


def test_clustered_counts_and_by_how_much_their_standard_errors_are_too_small():
    """For a constant rate: sqrt(1 + alpha rate) by information, and by quasi-Poisson not at all."""
    rates = np.full(50, 4.0)
    alpha = counts.alpha_of(rates, 3.0)
    y = counts.clustered_counts(rates, alpha, 20_000, np.random.default_rng(0))
    assert alpha == pytest.approx(0.5)
    assert y.var() / y.mean() == pytest.approx(3.0, rel=0.02)
    found = theory.too_small(np.ones((50, 1)), rates, rates + alpha * rates**2)
    assert found["information"] == pytest.approx(math.sqrt(3))
    assert found["quasi"] == pytest.approx(1)


def test_diagonal_ratio_is_one_for_weighted_columns_at_right_angles():
    D = np.column_stack((np.array([-1.0, 1.0, -1.0, 1.0]), np.ones(4)))
    assert theory.diagonal_ratio(D, np.full(4, 2.0)) == pytest.approx(1)
    assert theory.diagonal_ratio(D, np.array([1.0, 3.0, 1.0, 3.0])) == pytest.approx(1 / math.sqrt(1 - 0.25))


def test_weights_the_wrong_way_round_are_worse_than_none():
    exact = theory.slope_variances(100, 3.0)
    assert exact["bound"] < exact["ols"] < exact["turned"]


def test_log_mass_is_that_of_scipy():
    y, eta = np.arange(12.0), np.log(np.linspace(0.5, 8, 12))
    expected = stats.nbinom.logpmf(y, 1 / 1.9, 1 / (1 + 1.9 * np.exp(eta)))
    np.testing.assert_allclose(ex8_zeros.log_mass(y, eta, 1.9), expected, rtol=1e-12)


def test_zero_inflation_is_found_where_it_is():
    rng = np.random.default_rng(5)
    D = np.column_stack((rng.normal(size=3000), np.ones(3000)))
    y = counts.clustered_counts(np.exp(1.5 + 0.3 * D[:, 0]), 0.5, 1, rng)[0]
    start = np.array([0.3, 1.5, math.log(0.5)])
    assert abs(ex8_zeros.lacking(D, y)) < 0.02
    none = ex8_zeros.inflated(D, y, start)
    found = ex8_zeros.inflated(D, y * (rng.random(3000) > 0.3), start)
    assert none["share"] < 0.06
    assert none["inflated_gain"] < 0.003
    assert found["share"] == pytest.approx(0.3, abs=0.04)
    assert abs(found["inflated"]) < 0.01
