"""What holds for every noise model."""

from __future__ import annotations

import pickle
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from regressor_data import NOISES, TRUE, constant, drawn
from scipy import stats
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from noiseworks.noise import Gaussian, Laplace, NegativeBinomial, Poisson, StudentT
from noiseworks.regressor import LinearRegressor

every_noise = pytest.mark.parametrize("name", NOISES)


def parameters(m: LinearRegressor) -> list[float]:
    return [*m.coef_, m.intercept_, *([] if m.scale_ is None else [m.scale_])]


@every_noise
def test_weights_are_repeated_rows(name: str) -> None:
    """Zero: no row. Rows are continuous here, or counts: for Laplace the optimum is unique in these."""
    X, y = drawn(NOISES[name])
    w = np.arange(len(y)) % 4
    weighted = LinearRegressor(NOISES[name]).fit(X, y, sample_weight=w)
    repeated = LinearRegressor(NOISES[name]).fit(X.repeat(w, 0), y.repeat(w))
    np.testing.assert_allclose(parameters(weighted), parameters(repeated), rtol=1e-6)
    left = w > 0
    assert weighted.score(X, y, w) == pytest.approx(repeated.score(X.repeat(w, 0), y.repeat(w)), rel=1e-7)
    dropped = LinearRegressor(NOISES[name]).fit(X[left], y[left], sample_weight=w[left])
    assert parameters(weighted) == parameters(dropped)
    assert weighted.standard_errors_ == dropped.standard_errors_


@every_noise
def test_offset_is_a_known_part_of_eta(name: str) -> None:
    """An offset X c moves the coefficients by -c; predictions with it are those without it."""
    noise, c = NOISES[name], np.array([0.2, 0.1, -0.1])
    X, y = drawn(noise)
    plain, moved = LinearRegressor(noise).fit(X, y), LinearRegressor(noise).fit(X, y, offset=X @ c)
    np.testing.assert_allclose(moved.coef_, plain.coef_ - c, atol=1e-6)
    np.testing.assert_allclose(moved.predict(X, offset=X @ c), plain.predict(X), rtol=1e-6)
    np.testing.assert_allclose(moved.predict_interval(X, offset=X @ c), plain.predict_interval(X), rtol=1e-5, atol=1e-5)
    if not noise.by_likelihood:
        return
    assert moved.criteria_["log_likelihood"] == pytest.approx(plain.criteria_["log_likelihood"], rel=1e-9)
    assert moved.mean_log_likelihood(X, y, offset=X @ c) * len(y) == pytest.approx(
        plain.criteria_["log_likelihood"], rel=1e-9
    )


@every_noise
def test_score_is_the_deviance_explained(name: str) -> None:
    """On the rows of the fit. A constant explains nothing; the truth more than the truth upside down."""
    X, y = drawn(NOISES[name])
    m = LinearRegressor(NOISES[name]).fit(X, y)
    assert m.score(X, y) == pytest.approx(m.criteria_["deviance_explained"], rel=1e-9)
    assert 0 < m.score(X, y) < 1
    alone = LinearRegressor(NOISES[name]).fit(0 * X, y)
    assert alone.score(0 * X, y) == pytest.approx(0.0, abs=1e-9)
    if "identity" not in name:
        assert m.score(-X, y) < 0


@every_noise
def test_names_pickle_and_clone(name: str) -> None:
    X, y = drawn(NOISES[name])
    frame = pd.DataFrame(X, columns=["price", "income", "size"])
    m = LinearRegressor(NOISES[name]).fit(frame, y)
    names = ["price", "income", "size", "intercept"]
    assert list(m.standard_errors_) == list(m.conf_int()) == names
    assert list(m.feature_names_in_) == names[:3]
    assert [line.split()[0] for line in m.summary().splitlines()[4:8]] == ["intercept", *names[:3]]
    again = pickle.loads(pickle.dumps(m))
    assert again.summary() == m.summary()
    np.testing.assert_array_equal(again.predict_interval(frame), m.predict_interval(frame))
    assert len(pickle.dumps(m)) < 6000  # the rows stay behind
    copy = clone(m)
    assert not hasattr(copy, "coef_")
    assert copy.fit(frame, y).summary() == m.summary()


@every_noise
def test_intervals_reach_as_far_as_the_quantile_says(name: str) -> None:
    X, y = drawn(NOISES[name])
    m = LinearRegressor(NOISES[name]).fit(X, y)
    law = stats.norm if NOISES[name].counts else stats.t(len(y) - 4)
    for level in (0.5, 0.95):
        reach = law.ppf((1 + level) / 2)
        for (term, (low, high)), theta in zip(m.conf_int(level).items(), [*m.coef_, m.intercept_]):
            assert (high - low) / 2 == pytest.approx(reach * m.standard_errors_[term], rel=1e-9)
            assert (high + low) / 2 == pytest.approx(theta, rel=1e-9, abs=1e-12)


COVERED = ["gaussian", "laplace", "poisson", "huber"]


@pytest.mark.parametrize("name", [pytest.param(n, marks=pytest.mark.soak if n not in COVERED else []) for n in NOISES])
@pytest.mark.soak
def test_prediction_intervals_cover(name: str) -> None:
    """The probability of the interval under the true law, at a row that was not fitted, over 40 data sets of 40 rows:
    80 %, for whole numbers at least, within four standard errors of the mean and the 2 % that the approximations of
    `prediction_interval` miss at most at 36 degrees of freedom (measured over 300 data sets)."""
    noise, found = NOISES[name], []
    for k in range(40):
        X, y = drawn(noise, 41, seed=k)
        m = LinearRegressor(noise, standard_errors="auto" if noise.counts else "iid").fit(X[:40], y[:40])
        low, high = torch.from_numpy(m.predict_interval(X[40:], 0.8)).T.split(1)
        eta = torch.from_numpy(X[40:] @ TRUE + constant(noise)).unsqueeze(0)
        law = noise.with_scale(0.5)
        found.append(float(law.cdf(eta, high) - law.cdf(eta, low - 1 if noise.counts else low)))
    error = 4 * np.std(found) / np.sqrt(len(found)) + 0.02
    assert np.mean(found) >= 0.8 - error
    assert noise.counts or np.mean(found) <= 0.8 + error


def test_score_of_rows_that_are_all_the_same() -> None:
    """As r2_score: 1 for a perfect prediction, else 0; of counts that are all zero too, where no constant is best."""
    X, y = drawn(Poisson())
    for noise in ("gaussian", "poisson", "laplace"):
        m = LinearRegressor(noise).fit(X, y)
        assert m.score(X[:3], np.zeros(3)) == 0.0
        assert m.score(X[:1], m.predict(X[:1])) == 1.0


def test_a_scale_that_moves_nothing_is_estimated() -> None:
    """As in the command; for noise whose scale is part of the fit a given one stays."""
    X, y = drawn(Laplace())
    free, given = LinearRegressor("laplace").fit(X, y), LinearRegressor(Laplace(scale=7.0)).fit(X, y)
    assert given.scale_ == free.scale_
    assert given.standard_errors_ == free.standard_errors_
    assert LinearRegressor(StudentT(df=3, scale=7.0)).fit(X, y).scale_ == 7.0


def test_bootstrap() -> None:
    """Near the formula: at 2,000 replicates the standard error of a standard error is 1 / sqrt(4000) of it, four of
    which are 6 %, and the two differ by the bootstrap's n against n - p, 5 %, and by chance of the rows."""
    X, y = drawn(Gaussian(), 300)
    settings = {"standard_errors": "bootstrap", "bootstrap": 2000}
    m = LinearRegressor(**settings, random_state=3).fit(X, y)
    assert m.standard_errors_ == pytest.approx(
        LinearRegressor(standard_errors="HC1").fit(X, y).standard_errors_, rel=0.1
    )
    assert m.standard_errors_ == LinearRegressor(**settings, random_state=3).fit(X, y).standard_errors_
    assert m.standard_errors_ != LinearRegressor(**settings, random_state=4).fit(X, y).standard_errors_
    ends = m._fitted.uncertainty.theta[:, 1]
    np.testing.assert_allclose(m.conf_int(0.9)["x1"], np.quantile(ends, [0.05, 0.95]), rtol=1e-12)
    assert "drawn again with replacement; 2000 replicates" in m.summary()
    assert m.wald_test(["x2"]).law == "chi2"
    assert np.isfinite(m.predict_interval(X)).all()
    again = pickle.loads(pickle.dumps(m))
    assert again.conf_int() == m.conf_int()


def test_a_perfect_fit() -> None:
    X = np.arange(8.0).reshape(4, 2) ** 2
    m = LinearRegressor().fit(X, X @ [1.0, 2] + 3)
    np.testing.assert_allclose([*m.coef_, m.intercept_], [1, 2, 3], rtol=1e-9)
    assert m.score(X, X @ [1.0, 2] + 3) == pytest.approx(1.0)
    assert list(m.standard_errors_.values()) == [0, 0, 0]
    assert "standard errors by iid" in m.summary()


def test_counts_in_intervals_are_whole_and_the_smallest_that_will_do() -> None:
    """Without uncertainty of the coefficients: the quantiles of the law itself; with it, of its mixture by 200,000
    draws, within one."""
    X, y = drawn(Poisson(), 50)
    m = LinearRegressor("poisson", standard_errors=None).fit(X, y)
    mu = m.predict(X)
    right = np.column_stack((stats.poisson.ppf(0.05, mu), stats.poisson.ppf(0.95, mu)))
    np.testing.assert_array_equal(m.predict_interval(X, 0.9), right)
    noise = NegativeBinomial(dispersion=0.4)
    m = LinearRegressor(noise, standard_errors=None).fit(X, y)
    right = np.column_stack([stats.nbinom.ppf(p, 1 / 0.4, 1 / (1 + 0.4 * m.predict(X))) for p in (0.05, 0.95)])
    np.testing.assert_array_equal(m.predict_interval(X, 0.9), right)
    m = LinearRegressor("poisson").fit(X, y)
    for x, offset in (([4.0, -3.0, 2.0], 0.0), ([9.0, -3.0, 2.0], 6.0)):  # far out; there also for large counts
        error = float(np.sqrt(np.r_[x, 1] @ m._fitted.uncertainty.covariance() @ np.r_[x, 1]))
        rng = np.random.default_rng(0)
        eta = np.log(m.predict([x], [offset])[0]) + error * rng.standard_normal(200_000)
        right = np.quantile(rng.poisson(np.exp(eta)), [0.05, 0.95])
        # standard error of a quantile in log units: sqrt(p (1 - p) / 200,000) / density <= 0.005 errors
        np.testing.assert_allclose(m.predict_interval([x], 0.9, [offset])[0], right, rtol=4 * 0.005 * error, atol=1)


@pytest.mark.parametrize(
    ("noise", "law"), [(StudentT(df=3), stats.t(3)), (Laplace(), stats.laplace)], ids=["t", "laplace"]
)
def test_other_noise_is_convolved_with_the_error_of_eta(noise, law) -> None:
    """P(U + ratio Z <= q) = E Phi((q - U) / ratio) by scipy's quadrature at the ends of the interval, also where the
    coefficients' part is by far the larger."""
    X, y = drawn(noise, 30)
    m = LinearRegressor(noise).fit(X, y)
    far = np.vstack((X, 3 * X, 100 * X))  # 90 rows: between the ratios of the table; the first 30 have their own
    scale = m.scale_ * np.sqrt(30 / 26)
    errors = m._fitted.uncertainty.standard_errors(np.column_stack((far, np.ones(90))))
    found = m.predict_interval(far, 0.9)
    np.testing.assert_allclose(m.predict_interval(far[60:], 0.9), found[60:], atol=1e-3)
    for i in (0, 37, 75):
        u = (found[i] - m.predict(far)[i]) / scale
        ratio = errors[i] / scale
        below = [law.expect(partial(stats.norm.sf, loc=end, scale=ratio)) for end in u]
        np.testing.assert_allclose(below, [0.05, 0.95], atol=5e-5)


def test_prediction_intervals_of_many_rows_that_are_nearly_the_same() -> None:
    X, y = drawn(Laplace())
    m = LinearRegressor("laplace").fit(X, y)
    same = X[0] * (1 + 1e-15 * np.arange(200)[:, None])
    np.testing.assert_allclose(m.predict_interval(same), np.tile(m.predict_interval(X[:1]), (200, 1)), rtol=1e-9)


def test_in_scikit_learn() -> None:
    X, y = drawn(Laplace(), 120)
    piped = make_pipeline(StandardScaler(), LinearRegressor("laplace")).fit(1000 * X, y)
    np.testing.assert_allclose(piped.predict(1000 * X), LinearRegressor("laplace").fit(X, y).predict(X), rtol=1e-9)
    assert cross_val_score(piped, X, y, cv=5).shape == (5,)
    grid = {"noise": ["gaussian", "laplace", StudentT(df=5)]}
    search = GridSearchCV(LinearRegressor(), grid, scoring=LinearRegressor.mean_log_likelihood, cv=5).fit(X, y)
    assert search.best_params_["noise"] == "laplace"
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    search = GridSearchCV(LinearRegressor("student_t"), {"noise_params": [{"df": 2}, {"df": 50}]}).fit(X, y)
    assert np.isfinite(search.best_score_)
