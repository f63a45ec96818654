"""data.weight_kind=frequency: rows that were counted are the table written out, in whatever is made of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from command_line import MUTE, read
from fast_configs import configuration
from noiseworks.config.job import make_job
from noiseworks.errors import UserError
from noiseworks.regressor import LinearRegressor
from noiseworks.regressor.inputs import noise_classes

FOLDER = "hydra.run.dir=outputs/a/run"
NOISES = sorted(noise_classes())


def counted(seed: int = 0) -> tuple[pd.DataFrame, np.ndarray]:
    """30 different rows of counts y from 1, and how often each of them is there."""
    generator = np.random.default_rng(seed)
    a, b = generator.normal(size=30), generator.choice(["p", "q"], 30)
    y = 1 + generator.poisson(np.exp(1 + 0.4 * a + 0.3 * (b == "q")))
    return pd.DataFrame({"y": y, "a": a, "b": b}), generator.integers(1, 5, 30)


@pytest.mark.parametrize("noise", NOISES)
def test_the_estimator(noise: str) -> None:
    frame, copies = counted()
    X, y = np.column_stack((frame["a"], frame["b"] == "q")), frame["y"].to_numpy(float)
    once = LinearRegressor(noise, weight_kind="frequency").fit(X, y, sample_weight=copies)
    out = LinearRegressor(noise).fit(X.repeat(copies, axis=0), y.repeat(copies))
    np.testing.assert_allclose(once.coef_, out.coef_, rtol=1e-12)
    assert once.standard_errors_ == pytest.approx(out.standard_errors_, rel=1e-12, nan_ok=True)
    assert once.criteria_ == pytest.approx(out.criteria_, rel=1e-12, nan_ok=True)
    np.testing.assert_allclose(once.predict_interval(X), out.predict_interval(X), rtol=1e-9)


@pytest.mark.parametrize("method", ["HC0", "HC1", "HC2", "HC3"])
@pytest.mark.parametrize("noise", ["negative_binomial", "student_t"])
def test_sandwiches_with_a_scale_beside_the_coefficients(noise: str, method: str) -> None:
    frame, copies = counted()
    X, y = np.column_stack((frame["a"], frame["b"] == "q")), frame["y"].to_numpy(float)
    once = LinearRegressor(noise, weight_kind="frequency", standard_errors=method).fit(X, y, sample_weight=copies)
    out = LinearRegressor(noise, standard_errors=method).fit(X.repeat(copies, axis=0), y.repeat(copies))
    assert once.standard_errors_ == pytest.approx(out.standard_errors_, rel=1e-12)


@pytest.mark.parametrize("noise", ["gaussian", "poisson", "laplace"])
def test_by_command_in_memory_and_in_chunks(command, tmp_path, noise: str) -> None:
    frame, copies = counted(1)
    frame.assign(n=copies).to_parquet(tmp_path / "counted.parquet")
    frame.loc[frame.index.repeat(copies)].to_parquet(tmp_path / "out.parquet")
    exact = ["optimizer=exact", f"noise={noise}", "data=table", "data.target=y", *MUTE]
    found = []
    for more in (
        ["data.path=out.parquet"],
        ["data.path=counted.parquet", "data.weights=n", "data.weight_kind=frequency"],
        ["data.path=counted.parquet", "data.weights=n", "data.weight_kind=frequency", "data.memory_mb=1"],
    ):
        result = command(tmp_path, *exact, *more, FOLDER).succeeded()
        assert f"fitted on {copies.sum()} of {copies.sum()} rows" in result.out
        metrics = {name: value for name, value in read(tmp_path, "metrics.json").items() if name != "run/seconds"}
        found.append((read(tmp_path, "coefficients.json"), metrics))
    for coefficients, metrics in found[1:]:
        for key in ("coefficients", "standard_errors"):
            assert coefficients[key] == pytest.approx(found[0][0][key], rel=1e-8)
        assert metrics == pytest.approx({name: found[0][1][name] for name in metrics}, rel=1e-8, abs=1e-9)


def test_what_is_no_count(command, tmp_path) -> None:
    frame, copies = counted()
    frame.assign(n=copies + 0.5 * (np.arange(30) == 6)).to_csv(tmp_path / "t.csv", index=False)
    made = ["optimizer=exact", "data=table", "data.target=y", "data.path=t.csv", *MUTE, FOLDER]
    result = command(tmp_path, *made, "data.weights=n", "data.weight_kind=frequency")
    assert result.status == 2
    assert "in row 7 of" in result.err
    assert "with data.weight_kind=frequency weights are counts, whole numbers from 1" in result.err
    with pytest.raises(ValueError, match=r"sample_weight is 1\.5 in row 1; it must be a whole number"):
        LinearRegressor(weight_kind="frequency").fit([[1.0], [2.0], [4.0]], [1.0, 2.0, 3.0], [1.5, 1, 1])
    given = configuration(["data=table", "data.path=t.csv", "data.target=y", "data.weight_kind=frequency"])
    with pytest.raises(UserError, match=r"data\.weight_kind=frequency says what data\.weights is"):
        make_job(*given)


def test_an_exposure_is_taken_on_the_log_scale(command, tmp_path) -> None:
    """Its logarithm as the offset is the same; an exposure of zero is named, and so are both at once."""
    frame, _ = counted(2)
    frame["e"] = np.random.default_rng(3).uniform(0.1, 1, 30)
    frame.assign(log_e=np.log(frame["e"])).to_csv(tmp_path / "t.csv", index=False)
    made = ["optimizer=exact", "noise=poisson", "data=table", "data.target=y", "data.path=t.csv", "data.features=[a,b]"]
    made += [FOLDER]
    result = command(tmp_path, *made, "data.exposure=e", *MUTE).succeeded()
    low, high = frame["e"].min(), frame["e"].max()
    assert f"exposure: e, {low:.6g} to {high:.6g}, its logarithm is added to the linear predictor" in result.out
    found = read(tmp_path, "coefficients.json")["coefficients"]
    result = command(tmp_path, *made, "data.offset=log_e", *MUTE).succeeded()
    said = f"offset: log_e, {np.log(low):.6g} to {np.log(high):.6g}, on the scale of the linear predictor"
    assert said in result.out
    assert found == pytest.approx(read(tmp_path, "coefficients.json")["coefficients"], rel=1e-12)
    both = command(tmp_path, *made, "data.exposure=e", "data.offset=log_e", *MUTE)
    assert (both.status, "give one of them" in both.err) == (2, True)
    frame.assign(e=np.where(np.arange(30) == 4, 0.0, frame["e"])).to_csv(tmp_path / "t.csv", index=False)
    zero = command(tmp_path, *made, "data.exposure=e", *MUTE)
    assert (zero.status, "data.exposure=e is 0 in row 5" in zero.err) == (2, True)


def test_criteria_of_two_kinds_are_not_ranked(command, tmp_path) -> None:
    """With precisions the Gaussian log-likelihood has scale / sqrt(w), Poisson's is sum w log f; with counts both are
    those of the table written out."""
    frame, copies = counted(1)
    frame.assign(n=copies).to_csv(tmp_path / "t.csv", index=False)
    made = ["-m", "optimizer=exact", "data=table", "data.target=y", "data.path=t.csv", "data.weights=n", *MUTE]
    made += ["objective=exact/aic", f"hydra.sweep.dir={tmp_path}/sweep"]
    refused = command(tmp_path, *made, "noise=gaussian,poisson")
    assert refused.status == 2
    assert "objective cannot rank these noise models by a criterion, since data.weights are precisions" in refused.err
    assert not (tmp_path / "sweep/jobs.jsonl").exists()
    ended = command(tmp_path, *made, "noise=gaussian,poisson", "data.weight_kind=frequency").succeeded()
    assert "the best:" in ended.out
    one_by_one = command(tmp_path, *made, "noise=gaussian,poisson", "hydra/launcher=basic")
    assert one_by_one.status == 2
    assert "with noise=gaussian the log-likelihood has scale / sqrt(w)" in one_by_one.err
    assert "weights: n, precisions; the log-likelihood has scale / sqrt(w) for the scale of a row" in one_by_one.out


def test_the_summary_says_what_weights_are() -> None:
    X, w = np.arange(12.0)[:, None], np.arange(1.0, 13)
    said = {noise: LinearRegressor(noise).fit(X, X[:, 0] % 5, w).summary() for noise in ("gaussian", "poisson")}
    assert "weights are precisions; the log-likelihood has scale / sqrt(w) for the scale of a row" in said["gaussian"]
    assert "weights are precisions; the log-likelihood is the sum of w log f" in said["poisson"]
    counted = LinearRegressor(weight_kind="frequency").fit(X, X[:, 0] % 5, w)
    assert "precisions" not in counted.summary()
