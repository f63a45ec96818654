"""Wald and likelihood-ratio tests against R and statsmodels."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import statsmodels.api as sm
from regressor_data import BREAKS, NOISES, WARP, drawn
from sklearn.base import clone

from noiseworks.errors import UserError
from noiseworks.inference import Uncertainty, wald_test
from noiseworks.regressor import LinearRegressor, likelihood_ratio_test
from published_tables import STACKLOSS

X, Y = STACKLOSS[:, 1:], STACKLOSS[:, 0]


def test_wald_as_r_linear_hypothesis() -> None:
    """car 3.1: linearHypothesis(lm(stack.loss ~ ., stackloss), c("Acid.Conc. = 0", "Air.Flow = Water.Temp")): F, p;
    linearHypothesis(glm(breaks ~ wool + tension, poisson, warpbreaks), c("tensionM = 0", "tensionH = 0")): Chisq, p"""
    found = LinearRegressor().fit(X, Y).wald_test([[0, 0, 1, 0], [1, -1, 0, 0]])
    assert (found.law, found.degrees, found.residual_degrees) == ("F", 2, 17)
    assert (found.statistic, found.p) == pytest.approx((1.34120876033498, 0.287838637326018), rel=1e-10)
    found = LinearRegressor("poisson").fit(WARP, BREAKS).wald_test(["x1", "x2"])
    assert (found.law, found.degrees) == ("chi2", 2)
    assert (found.statistic, found.p) == pytest.approx((71.0506655205476, 3.72858471109993e-16), rel=1e-7)


def test_wald_as_statsmodels() -> None:
    """With other values than zero, and by a sandwich."""
    L, value = np.array([[1.0, 0, 0, 0], [0, 1, 2, 0]]), [0.5, 1.5]
    right = sm.OLS(Y, np.column_stack((X, np.ones(21)))).fit(cov_type="HC3", use_t=True).f_test((L, value))
    found = LinearRegressor(standard_errors="HC3").fit(X, Y).wald_test(L, value)
    assert (found.statistic, found.p) == pytest.approx((right.fvalue, right.pvalue), rel=1e-8)


def test_wald_of_one_is_t_squared() -> None:
    m = LinearRegressor("laplace").fit(X, Y)
    found = m.wald_test([0, 1, 0, 0])
    assert found.statistic == pytest.approx((m.coef_[1] / m.standard_errors_["x1"]) ** 2, rel=1e-12)
    low, high = m.conf_int(1 - found.p)["x1"]  # the interval that just reaches zero
    assert min(abs(low), abs(high)) < 1e-9


def test_wald_refuses_what_cannot_be_tested() -> None:
    m = LinearRegressor().fit(np.column_stack((X[:, 0], 2 * X[:, 0])), Y)
    with pytest.raises(ValueError, match=r"Row 2 of L cannot be tested: its standard error is nan"):
        m.wald_test([[1, 2, 0], [1, 0, 0]])
    assert m.wald_test([1, 2, 0]).statistic > 0
    with pytest.raises(ValueError, match="rows of L depend on each other"):
        m.wald_test([[1, 2, 0], [2, 4, 0]])
    with pytest.raises(ValueError, match=r"L must be \(q, 3\), a row for each .*; it is \(1, 2\)"):
        m.wald_test([1, 2])
    with pytest.raises(ValueError, match=r"value must be a number, or 1 of them, .*; it is \(2,\)"):
        m.wald_test([1, 2, 0], [0, 0])
    with pytest.raises(ValueError, match="There is no coefficient x2; there are x0, x1, intercept"):
        m.wald_test(["x0", "x2"])


def test_wald_of_an_uncertainty() -> None:
    """By hand: Cov = F F' with F = diag(1, 2), theta = (3, 4): W = 9 / 1 + 16 / 4."""
    uncertainty = Uncertainty(np.diag([1.0, 2.0]), None, np.ones(2), "information", np.inf)
    assert wald_test(uncertainty, [3.0, 4.0], np.eye(2)).statistic == pytest.approx(13.0)
    with pytest.raises(UserError, match="L must be"):
        wald_test(uncertainty, [3.0, 4.0], [[1.0]])


def test_likelihood_ratio_as_r() -> None:
    """lmtest 0.9: lrtest(lm(stack.loss ~ Air.Flow, stackloss), lm(stack.loss ~ ., stackloss)); MASS::glm.nb(breaks ~
    wool, warpbreaks) with glm.nb(breaks ~ wool + tension, warpbreaks); anova(p0, p, test = "LRT") of the same by
    glm(poisson)."""
    found = likelihood_ratio_test(LinearRegressor().fit(X[:, :1], Y), LinearRegressor().fit(X, Y))
    assert found.degrees == 2
    assert (found.statistic, found.p) == pytest.approx((12.1615112955469, 0.00228644825044311), rel=1e-9)
    for noise, right in {
        "poisson": (70.9415705080434, 3.93761903136613e-16),
        "negative_binomial": (15.2109094386885, 0.000497729043013788),
    }.items():
        smaller, larger = (LinearRegressor(noise).fit(columns, BREAKS) for columns in (WARP[:, :1], WARP))
        found = likelihood_ratio_test(smaller, larger)
        assert (found.degrees, found.law) == (2, "chi2")
        assert (found.statistic, found.p) == pytest.approx(right, rel=1e-7)


def test_nested_in_other_columns() -> None:
    """The levels of tension as a number are a combination of its indicators, and without a constant of all three."""
    as_number = np.column_stack((WARP[:, 0], 2 * WARP[:, 2] + WARP[:, 1]))
    three = np.column_stack((WARP, 1 - WARP[:, 1] - WARP[:, 2]))
    smaller = LinearRegressor("poisson").fit(as_number, BREAKS)
    for larger in (
        LinearRegressor("poisson").fit(WARP, BREAKS),
        LinearRegressor("poisson").fit(three, BREAKS),
        LinearRegressor("poisson", fit_intercept=False).fit(three, BREAKS),
    ):
        assert likelihood_ratio_test(smaller, larger).degrees == 1


def test_likelihood_ratio_refuses() -> None:
    small, large = LinearRegressor().fit(X[:, :1], Y), LinearRegressor().fit(X, Y)
    cases = {
        "must assume the same noise": (LinearRegressor("laplace").fit(X[:, :1], Y), large),
        "the same rows; their y differs": (LinearRegressor().fit(X[:, :1], Y + 1), large),
        "the same rows; their weights differ": (LinearRegressor().fit(X[:, :1], Y, np.arange(21) + 1), large),
        "their offset differs": (LinearRegressor().fit(X[:, :1], Y, offset=X[:, 1]), large),
        "not nested: column 0 of the smaller one": (LinearRegressor().fit(X[:, :1] ** 2, Y), large),
        "The larger model has no": (large, LinearRegressor().fit(X @ np.diag([1, 2, 3]), Y)),
        "The smaller model has ridge=0.1": (LinearRegressor(ridge=0.1).fit(X[:, :1], Y), large),
        "The smaller model was copied or pickled": (pickle.loads(pickle.dumps(small)), large),
        "The larger model must be fitted with solver='exact'": (small, clone(large)),
    }
    for said, (smaller, larger) in cases.items():
        with pytest.raises(ValueError, match=said):
            likelihood_ratio_test(smaller, larger)


@pytest.mark.soak
@pytest.mark.parametrize("tau", [0.5, 0.8])
def test_quantile_fits_are_compared_by_their_check_losses(tau: float) -> None:
    """Koenker and Machado's 2 (V0 - V1) / (tau (1 - tau) s), s by R's summary.rq, se = "iid"; right for errors that are
    no Laplace ones: of 400 samples of 200 rows with normal errors 5 % are refused, within 4.5 standard errors of a
    binomial share (0.011), and two points for the sparsity, which is estimated from few rows."""
    generator, refused = np.random.default_rng(0), 0
    for _ in range(400):
        X, y = generator.normal(size=(200, 2)), generator.normal(size=200)
        smaller, larger = (
            LinearRegressor("asymmetric_laplace", noise_params={"tau": tau}, standard_errors=None).fit(part, y)
            for part in (X[:, :1], X)
        )
        refused += likelihood_ratio_test(smaller, larger).p < 0.05
    assert abs(refused / 400 - 0.05) < 0.05 + 0.02


def test_robust_scales_have_no_likelihood_ratio() -> None:
    X, y = drawn(NOISES["huber"])
    fits = [LinearRegressor("huber").fit(part, y) for part in (X[:, :1], X)]
    with pytest.raises(ValueError, match="The smaller model has no maximised likelihood: its scale is a robust one"):
        likelihood_ratio_test(*fits)
    by = {"scale_estimator": "likelihood"}
    fits = [LinearRegressor("huber", noise_params=by).fit(part, y) for part in (X[:, :1], X)]
    assert 0 < likelihood_ratio_test(*fits).p < 1
