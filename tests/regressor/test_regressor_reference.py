"""Numbers of R, scikit-learn and statsmodels."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from regressor_data import BREAKS, WARP
from sklearn.linear_model import LinearRegression, PoissonRegressor, QuantileRegressor, Ridge
from sklearn.metrics import d2_pinball_score, d2_tweedie_score

from noiseworks.regressor import LinearRegressor
from published_tables import STACKLOSS

X, Y = STACKLOSS[:, 1:], STACKLOSS[:, 0]
NEW = np.array([[60.0, 20, 86], [75, 25, 90]])


def test_stackloss_as_r_lm() -> None:
    """R 4.2: m <- lm(stack.loss ~ ., stackloss); coef(summary(m)); confint(m)"""
    m = LinearRegressor().fit(X, Y)
    names = ["x0", "x1", "x2", "intercept"]
    coefficients = [0.715640200485283, 1.295286124388573, -0.152122519148653, -39.919674420123961]
    errors = [0.134858185355372, 0.368024265272704, 0.156294043248621, 11.895996850644270]
    ends = [
        (0.431114300224186, 1.000166100746381), (0.518822796495561, 2.071749452281585),
        (-0.481874126317148, 0.177629088019843), (-65.018033889469308, -14.821314950778607),
    ]  # fmt: skip
    np.testing.assert_allclose([*m.coef_, m.intercept_], coefficients, rtol=1e-12)
    assert m.standard_errors_ == pytest.approx(dict(zip(names, errors)), rel=1e-12)
    found = m.conf_int()
    assert list(found) == names
    np.testing.assert_allclose(list(found.values()), ends, rtol=1e-11)
    np.testing.assert_allclose(m.predict(NEW), [15.8419234499804, 32.4444670026079], rtol=1e-12)


def test_prediction_interval_as_r_predict() -> None:
    """predict(m, new, interval = "prediction", level = 0.9), new <- data.frame(Air.Flow = c(60, 75), ...);
    exp(predict(lm(log(stack.loss) ~ ., stackloss), new, interval = "prediction"));
    mw <- lm(stack.loss ~ ., stackloss, weights = w); predict(mw, new[1,], interval = "prediction", weights = mean(w))
    """
    right = [[10.0325436045438, 21.6513032954169], [26.3294941771913, 38.5594398280245]]
    np.testing.assert_allclose(LinearRegressor().fit(X, Y).predict_interval(NEW, 0.9), right, rtol=1e-12)
    right = [[9.55572571441154, 20.5815910999928], [21.85024889312405, 49.0004316866747]]
    np.testing.assert_allclose(LinearRegressor("lognormal").fit(X, Y).predict_interval(NEW), right, rtol=1e-12)
    weighted = LinearRegressor().fit(X, Y, sample_weight=np.tile([1, 2, 3], 7))
    right = [[8.14816918844531, 23.1006207144098]]
    np.testing.assert_allclose(weighted.predict_interval(NEW[:1]), right, rtol=1e-12)


def test_warpbreaks_as_r_glm() -> None:
    """p <- glm(breaks ~ wool + tension, poisson, warpbreaks, control = glm.control(1e-15, 200)); coef(summary(p));
    confint.default(p); 1 - p$deviance / p$null.deviance; glm(breaks ~ wool + offset(log(rep(1:3, 18))), ...)"""
    m = LinearRegressor("poisson").fit(WARP, BREAKS)
    coefficients = [-0.205988442638622, -0.321320431600612, -0.518488496511561, 3.691963144940797]
    errors = [0.0515712427835752, 0.0602659166952204, 0.0639595193957469, 0.0454107943425578]
    np.testing.assert_allclose([*m.coef_, m.intercept_], coefficients, rtol=1e-8)
    np.testing.assert_allclose(list(m.standard_errors_.values()), errors, rtol=1e-8)
    np.testing.assert_allclose(m.conf_int()["x0"], (-0.307066221132400, -0.104910664144843), rtol=1e-8)
    assert m.score(WARP, BREAKS) == pytest.approx(0.292496472734661, rel=1e-10)
    assert m.criteria_["deviance_explained"] == pytest.approx(0.292496472734661, rel=1e-10)
    assert m.scale_ is None
    exposed = LinearRegressor("poisson").fit(WARP[:, :1], BREAKS, offset=np.log(np.tile([1, 2, 3], 18)))
    np.testing.assert_allclose([exposed.intercept_, *exposed.coef_], [2.742034053917807, -0.205988442638622], rtol=1e-8)
    np.testing.assert_allclose(
        list(exposed.standard_errors_.values()), [0.0515712427449649, 0.0345444267524917], rtol=1e-8
    )


def test_summary_as_r_prints_it() -> None:
    """summary(m): t and p of Water.Temp are 3.520 and 0.00263; of the Poisson fit p(tensionH) is 5.2e-16."""
    text = LinearRegressor().fit(X, Y).summary()
    assert text.splitlines()[0] == "gaussian noise, exact answer; fitted on 21 rows"
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert rows["x1"] == ["1.29529", "0.368024", "3.52", "0.00263", "0.518823", "2.07175"]
    assert rows["intercept"][3] == "0.00375"
    assert "standard errors by iid: errors of the same distribution in every row; 17 degrees of freedom" in text
    assert "R-squared 0.913577, log-likelihood -52.2878, AIC 114.576, BIC 119.798" in text
    text = LinearRegressor("poisson").fit(WARP, BREAKS).summary(level=0.9)
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert rows["coefficient"] == ["estimate", "standard", "error", "z", "p", "90", "%", "from", "to"]
    assert rows["intercept"][2:4] == ["81.3", "<2e-16"]
    assert rows["x2"][2:4] == ["-8.107", "5.21e-16"]
    assert "the counts vary 4.3 times as much as poisson noise says" in text  # R's quasipoisson: 4.261537


def test_without_an_intercept_as_r() -> None:
    """summary(lm(stack.loss ~ 0 + Air.Flow, stackloss))$coefficients"""
    m = LinearRegressor(fit_intercept=False).fit(X[:, :1], Y)
    assert m.coef_ == pytest.approx([0.305659414279334], rel=1e-12)
    assert m.standard_errors_ == pytest.approx({"x0": 0.027630424229767}, rel=1e-12)
    assert m.intercept_ == 0.0


def test_score_as_scikit_learn() -> None:
    """On rows that were not fitted, and weighted."""
    rng = np.random.default_rng(0)
    A, w = rng.normal(size=(80, 3)), rng.uniform(0, 2, 80)
    y = rng.poisson(np.exp(0.5 + A @ [0.4, -0.3, 0.0])).astype(float)
    train, test = slice(0, 50), slice(50, 80)
    ours = {name: LinearRegressor(name).fit(A[train], y[train]) for name in ("gaussian", "laplace", "poisson")}
    theirs = LinearRegression().fit(A[train], y[train])
    assert ours["gaussian"].score(A[test], y[test], w[test]) == pytest.approx(
        theirs.score(A[test], y[test], w[test]), rel=1e-10
    )
    for name, metric in {
        "laplace": lambda y, mu, w: d2_pinball_score(y, mu, sample_weight=w, alpha=0.5),
        "poisson": lambda y, mu, w: d2_tweedie_score(y, mu, sample_weight=w, power=1),
    }.items():
        for weights in (None, w[test]):
            right = metric(y[test], ours[name].predict(A[test]), weights)
            assert ours[name].score(A[test], y[test], weights) == pytest.approx(right, rel=1e-7)


def test_coefficients_as_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    A, w = rng.normal(size=(60, 2)), rng.uniform(0.5, 2, 60)
    y = rng.poisson(np.exp(0.5 + A @ [0.4, -0.3])).astype(float)
    theirs = PoissonRegressor(alpha=0, tol=1e-10, solver="newton-cholesky").fit(A, y, w)
    ours = LinearRegressor("poisson").fit(A, y, w)
    np.testing.assert_allclose([*ours.coef_, ours.intercept_], [*theirs.coef_, theirs.intercept_], rtol=1e-7)
    for tau in (0.2, 0.5, 0.9):
        z = A @ [1.0, 2.0] + rng.standard_t(3, 60)
        theirs = QuantileRegressor(quantile=tau, alpha=0).fit(A, z)
        ours = LinearRegressor("asymmetric_laplace", noise_params={"tau": tau}).fit(A, z)
        np.testing.assert_allclose([*ours.coef_, ours.intercept_], [*theirs.coef_, theirs.intercept_], rtol=1e-7)
        np.testing.assert_allclose(ours.predict(A), theirs.predict(A), rtol=1e-7)


def test_prediction_interval_as_statsmodels() -> None:
    D = sm.add_constant(X)
    frame = sm.OLS(Y, D).fit().get_prediction(np.column_stack((np.ones(2), NEW))).summary_frame(alpha=0.2)
    found = LinearRegressor().fit(X, Y).predict_interval(NEW, 0.8)
    np.testing.assert_allclose(found, frame[["obs_ci_lower", "obs_ci_upper"]], rtol=1e-10)


def test_ridge_as_scikit_learn() -> None:
    """Ridge minimises |y - eta|^2 + alpha |w|^2, so that alpha = ridge sum(w); PoissonRegressor has alpha = ridge."""
    rng = np.random.default_rng(2)
    A, w = rng.normal(size=(60, 3)) + 1, rng.uniform(0.5, 2, 60)
    y = rng.poisson(np.exp(0.5 + A @ [0.4, -0.3, 0.0])).astype(float)
    ours, theirs = LinearRegressor(ridge=0.3).fit(A, y, w), Ridge(alpha=0.3 * w.sum(), tol=1e-12).fit(A, y, w)
    np.testing.assert_allclose([*ours.coef_, ours.intercept_], [*theirs.coef_, theirs.intercept_], rtol=1e-9)
    ours = LinearRegressor("poisson", ridge=0.3).fit(A, y, w)
    theirs = PoissonRegressor(alpha=0.3, tol=1e-12, solver="newton-cholesky").fit(A, y, w)
    np.testing.assert_allclose([*ours.coef_, ours.intercept_], [*theirs.coef_, theirs.intercept_], rtol=1e-7)
    assert ours.standard_errors_ is None
    assert set(ours.criteria_) == {"log_likelihood", "deviance", "deviance_explained"}
    assert ours.criteria_["deviance_explained"] == pytest.approx(theirs.score(A, y, w), rel=1e-8)
    assert "no standard errors: ridge=0.3 draws the coefficients to zero" in ours.summary()
    assert np.isfinite(ours.predict_interval(A)).all()
