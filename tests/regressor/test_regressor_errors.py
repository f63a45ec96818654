"""What a user may get wrong, in sentences; scikit-learn expects a ValueError."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.sparse import csr_array
from sklearn.exceptions import NotFittedError

from noiseworks.noise import Poisson, StudentT
from noiseworks.regressor import LinearRegressor

X = np.random.default_rng(0).normal(size=(12, 2))
Y = np.arange(12.0)


def refused(said: str, noise: object = "gaussian", y: np.ndarray = Y, *, fit: dict | None = None, **settings: object):
    with pytest.raises(ValueError, match=said):
        LinearRegressor(noise, **settings).fit(X, y, **(fit or {}))  # type: ignore[arg-type]


def test_settings() -> None:
    refused("noise='gausian' is unknown; it must be one of .*gaussian.*, or a Noise", "gausian")
    refused(
        "noise_params: student_t noise has no parameter tau; it has df, scale", "student_t", noise_params={"tau": 1}
    )
    refused("^df=-1 is no df for student_t noise", "student_t", noise_params={"df": -1})
    refused("^link=logit is no link of poisson noise", "poisson", noise_params={"link": "logit"})
    refused("^bootstrap=1 is not possible", standard_errors="bootstrap", bootstrap=1)
    refused("ridge=-1 is no penalty; it must be a number of at least 0", ridge=-1)
    refused("ridge=0.1 needs solver='exact'", ridge=0.1, solver="sgd")
    refused("solver='lars' is unknown; it must be exact or sgd", solver="lars")
    refused("Standard errors are found by auto, .*; HC9 is none of them", standard_errors="HC9")
    refused("need errors that are added", "poisson", standard_errors="iid")
    for settings, said in {
        ("lr", 0.0): "lr=0.0 is no step size",
        (
            "optimizer",
            "adan",
        ): "optimizer='adan' is unknown; it must be one of adagrad, adam, lbfgs, .*sgd, or",
        ("max_epochs", 0): "^max_epochs=0 is too few",
        ("batch_size", 0): "^batch_size=0 is not a size",
    }.items():
        refused(said, solver="sgd", **dict([settings]))


def test_parameters_of_an_instance_are_replaced() -> None:
    ours = LinearRegressor(StudentT(df=7), noise_params={"df": 3}).fit(X, Y)
    assert ours.coef_.tolist() == LinearRegressor(StudentT(df=3)).fit(X, Y).coef_.tolist()


@pytest.mark.parametrize("solver", ["exact", "sgd"])
def test_rows(solver: str) -> None:
    bad = Y - 2
    refused("poisson noise needs counts of at least 0; .*y.* is -2 in row 1", "poisson", bad, solver=solver)
    refused("negative_binomial noise needs counts of at least 0", "negative_binomial", bad, solver=solver)
    refused("lognormal noise needs values above 0; .* is 0 in row 1", "lognormal", Y, solver=solver)
    w = np.ones(12)
    w[3] = -1
    refused("sample_weight is -1 in row 4; it must be 0 or above", fit={"sample_weight": w}, solver=solver)
    w[3] = np.nan
    refused("sample_weight is nan in row 4; it must be finite", fit={"sample_weight": w}, solver=solver)
    refused("offset must be one number for each of the 12 rows; .*11", fit={"offset": Y[:11]}, solver=solver)
    w[3] = np.inf
    refused("offset is inf in row 4; it must be finite", fit={"offset": w}, solver=solver)


def test_a_column_called_intercept() -> None:
    frame = pd.DataFrame(X, columns=["a", "intercept"])
    with pytest.raises(ValueError, match="A column of X has the name of the constant, intercept; rename it"):
        LinearRegressor().fit(frame, Y)
    assert set(LinearRegressor(fit_intercept=False).fit(frame, Y).standard_errors_) == {"a", "intercept"}


def test_fractions_are_taken_as_quasi_likelihood() -> None:
    """Twice the counts at half the weights: the same rate, doubled."""
    y = np.arange(12.0) % 5
    halves, whole = LinearRegressor("poisson").fit(X, y / 2), LinearRegressor("poisson").fit(X, y)
    np.testing.assert_allclose(halves.predict(X) * 2, whole.predict(X), rtol=1e-7)


def test_sparse_columns_are_refused() -> None:
    with pytest.raises(TypeError, match="Sparse data was passed"):
        LinearRegressor().fit(csr_array(X), Y)


def test_separation_is_named() -> None:
    """Nothing was counted wherever the second column is 1."""
    shop = np.column_stack((X[:, 0], np.arange(12) % 2))
    with pytest.raises(ValueError, match="poisson noise has no finite optimum: the counts are all zero where"):
        LinearRegressor("poisson").fit(shop, np.where(shop[:, 1] == 1, 0.0, Y + 1))


def test_before_and_after_the_fit() -> None:
    m = LinearRegressor()
    for ask in (m.summary, m.conf_int, lambda: m.predict(X), lambda: m.score(X, Y), lambda: m.predict_interval(X)):
        with pytest.raises(NotFittedError):
            ask()
    m.fit(X, Y)
    for level in (0, 1, 95):
        with pytest.raises(ValueError, match=f"level={level} is no probability of an interval"):
            m.conf_int(level)
        with pytest.raises(ValueError, match=f"level={level} is no"):
            m.predict_interval(X, level)
    with pytest.raises(ValueError, match="offset must be one number for each of the 12 rows"):
        m.predict(X, offset=[1.0])
    with pytest.raises(ValueError, match="X has 1 features, but LinearRegressor is expecting 2"):
        m.predict(X[:, :1])
    assert m.set_params(standard_errors=None).fit(X, Y).standard_errors_ is None
    with pytest.raises(ValueError, match=r"There are no standard errors with solver='exact', standard_errors=None"):
        m.conf_int()
    assert np.isfinite(m.predict_interval(X)).all()


def test_intervals_where_the_rows_say_nothing() -> None:
    """Twice the same column: where they are not the same, nothing is known."""
    twice = np.column_stack((X[:, 0], X[:, 0]))
    m = LinearRegressor().fit(twice, Y)
    found = m.predict_interval([[1.0, 1.0], [1.0, 2.0]])
    np.testing.assert_allclose(found[0], LinearRegressor().fit(X[:, :1], Y).predict_interval([[1.0]])[0], rtol=1e-9)
    assert np.isnan(found[1]).all()
    assert np.isnan([m.standard_errors_["x0"], *m.conf_int()["x1"]]).all()
    rows = [line.split() for line in m.summary().splitlines()]
    assert next(row for row in rows if row[:1] == ["x0"])[2:] == ["none"] * 5


def test_tags_say_which_y_there_is() -> None:
    for noise in ("gaussian", "laplace", "student_t", "huber", "asymmetric_laplace"):
        assert not LinearRegressor(noise).__sklearn_tags__().target_tags.positive_only
    for noise in ("poisson", "lognormal", "negative_binomial", Poisson(link="identity")):
        assert LinearRegressor(noise).__sklearn_tags__().target_tags.positive_only
    assert not LinearRegressor("no such noise").__sklearn_tags__().target_tags.positive_only
    assert LinearRegressor(solver="sgd").__sklearn_tags__().non_deterministic
