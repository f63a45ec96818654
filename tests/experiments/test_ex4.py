"""Exercise 4: theory against independent references, measures on small cases, and breaks of them that are seen."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from noiseworks.paths import conf_folder
from noiseworks_experiments.parts import ex4_bases, ex4_theory
from noiseworks_experiments.parts import ex4_measure as ex4
from noiseworks_experiments.parts import ex4_solver_claims as solver_claims


def synthetic(n: int):
    """data=synthetic as ex4_noise has it."""
    common = OmegaConf.create({"seed": 0, **OmegaConf.load(conf_folder() / "config.yaml").data, "val_fraction": 0.0})
    own = {k: v for k, v in OmegaConf.load(conf_folder() / "data/synthetic.yaml").items() if k != "defaults"}
    noise = OmegaConf.load(conf_folder() / "noise/gaussian.yaml")
    more = {"seed": 0, "num_examples": n, "num_features": 5, "rank": 4, "true_intercept": 0.0, "noise": noise}
    return instantiate(OmegaConf.create({**common, **own, **more}), _convert_="all")


def test_the_law_of_the_features_and_the_truth():
    """5.2 standard errors of a covariance of 50,000 pairs are below 0.04."""
    data = synthetic(50_000)
    X = data.examples(0).X.numpy()
    np.testing.assert_allclose(ex4.truth(), data.w_true, rtol=1e-14)
    np.testing.assert_allclose(X @ ex4.NULL, 0, atol=1e-14)
    np.testing.assert_allclose(X.T @ X / len(X), ex4.covariance(), atol=0.04)
    np.testing.assert_allclose(ex4.features(50_000, np.random.default_rng(1)) @ ex4.NULL, 0, atol=1e-14)


@pytest.mark.parametrize("sigma", [0.1, 0.5, 2.0])
def test_one_noisy_copy_by_simulation(sigma):
    """20,000 fits; 5.2 standard errors, beyond which the wrong theories lie."""
    n, R = 15, 20_000
    cfg = SimpleNamespace(measure="copies", num_observations=n, sigma=sigma, seed=0, replicates=R)
    found = ex4.measure(cfg)
    for values, expected in zip((found["null"] ** 2, found["clean"]), ex4_theory.one_copy(sigma, n)):
        assert abs(values.mean() - expected) < 5.2 * values.std() / R**0.5
    wrong = ex4_theory.one_copy(sigma, n, n - 5)
    assert abs((found["null"] ** 2).mean() - wrong[0]) > 5.2 * (found["null"] ** 2).std() / R**0.5


def test_a_noisy_copy_is_fitted_by_least_squares(monkeypatch):
    """One fit, and its prediction error from many clean rows, within a tenth."""
    kept = {}
    right = np.linalg.qr
    monkeypatch.setattr(np.linalg, "qr", lambda A: kept.setdefault("noisy", A) is None or right(A))
    cfg = SimpleNamespace(measure="copies", num_observations=30, sigma=0.5, seed=1, replicates=1)
    found, rng = ex4.measure(cfg), np.random.default_rng([1, 30, 500])
    y = ex4.features(30, rng) @ ex4.truth() + rng.normal(size=(1, 30))[0]
    w = np.linalg.lstsq(kept["noisy"][0], y, rcond=None)[0]
    assert found["null"][0] == pytest.approx(w @ ex4.NULL)
    off = ex4.features(200_000, rng) @ (w - ex4.truth())
    assert found["clean"][0] == pytest.approx((off**2).mean(), rel=0.1)


def test_little_noise():
    """sigma -> 0: the error of predictions is rank / (n - d - 1), the null variance 1 / (sigma^2 (n - d - 1))."""
    variance, error = ex4_theory.one_copy(1e-4, 50)
    assert error == pytest.approx(4 / 44, rel=1e-6)
    assert variance == pytest.approx(1e8 / 44, rel=1e-6)


def solvers(design: str, solver: str, replicates: int = 8, precision: str = "float64"):
    own = {"measure": "solvers", "design": design, "solver": solver, "precision": precision}
    return ex4.measure(SimpleNamespace(seed=0, replicates=replicates, **own))


@pytest.mark.parametrize("design", ["twin", "sum", "wide", "wide_noisy", "1e2"])
def test_the_pseudo_inverse_is_right_everywhere(design):
    found = solvers(design, "svd")
    assert found["raised"].sum() == 0
    for name in ("distance", "misfit", "exact_distance"):
        assert found[name].max() < 1e-11


def test_the_others_are_right_at_full_rank_only():
    for solver in ("inverse", "cholesky", "qr", "svd"):
        assert solvers("1e2", solver)["distance"].max() < 1e-9
    assert solvers("sum", "qr")["distance"].min() > 1
    assert solvers("wide", "qr")["raised"].tolist() == [1.0] * 8
    assert np.isnan(solvers("wide", "qr")["distance"]).all()


def test_float32_has_the_errors_of_its_eps():
    """Within a factor of ten of 2^29 times those of float64; no digit left at 1e5."""
    for solver in ("inverse", "cholesky", "qr"):
        errors = [solvers("1e3", solver, 40, precision)["exact_distance"] for precision in ("float32", "float64")]
        assert 2.0**29 / 10 < np.median(errors[0]) / np.median(errors[1]) < 2.0**29 * 10
    assert solver_claims.gone(solvers("1e5", "cholesky", 40, "float32")["exact_distance"]).mean() > 0.9
    assert not solver_claims.gone(solvers("1e5", "qr", 40, "float32")["exact_distance"]).any()
    assert solver_claims.gone(np.array([np.nan, 0.2, 0.01])).tolist() == [True, True, False]


def test_the_valley_is_flat_along_the_null_direction_only():
    grids = {
        design: ex4.measure(SimpleNamespace(measure="valley", design=design, seed=0, replicates=81))
        for design in ("sum", "full")
    }
    for design, flat in (("sum", True), ("full", False)):
        grid = grids[design]
        ends = grid["rise"][np.isclose(grid["across"], 0) & ~np.isclose(grid["along"], 0)]
        assert (np.abs(ends) < 1e-12).all() if flat else (ends > 0.01).all()
        assert grid["rise"].min() > -1e-12
        assert (grid["rise"][~np.isclose(grid["across"], 0)] > 0.01).all()


def test_another_method_in_its_place_is_seen(monkeypatch):
    right = ex4.solve_by
    monkeypatch.setattr(ex4, "solve_by", lambda method, A, t: right("qr" if method == "svd" else method, A, t))
    assert solvers("sum", "svd")["distance"].max() > 1e-9


def test_residuals_and_condition_are_as_asked():
    X, w, e = ex4.problem("1e4", np.random.default_rng(0))
    assert np.linalg.cond(X) == pytest.approx(1e4)
    np.testing.assert_allclose(X.T @ e, 0, atol=1e-14)
    X, w, e = ex4.problem("twin", np.random.default_rng(0))
    np.testing.assert_allclose(np.linalg.pinv(X, rcond=1e-9) @ (X @ w + e), w, atol=1e-12)


def bases(stepper: str, start: float = 0.0, replicates: int = 3):
    own = {"num_examples": 3, "num_features": 8, "num_steps": 600, "lr": 0.1, "stepper": stepper, "start": start}
    return ex4.measure(SimpleNamespace(measure="bases", seed=0, replicates=replicates, **own))


@pytest.mark.parametrize(("stepper", "stays"), [("sgd", True), ("lbfgs", True), ("adam", False), ("rmsprop", False)])
def test_which_optimizers_stay_in_the_span_of_the_rows(stepper, stays):
    found = bases(stepper)
    for name in ("distance", "null", "turned"):
        assert found[name].max() < 1e-4 if stays else found[name].min() > 1e-3
    assert (bases(stepper, start=1.0)["null"].max() < 1e-10) == stays


def test_data_sets_trained_as_one_parameter_are_trained_apart():
    """Adam, on the first of three data sets alone."""
    cfg = SimpleNamespace(stepper="adam", lr=0.1)
    rng = np.random.default_rng(0)
    X, y, order = rng.normal(size=(3, 4, 6)), rng.normal(size=(3, 4)), rng.integers(4, size=(50, 3))
    together = ex4_bases.end(cfg, X, y, np.zeros((3, 6)), order)
    alone = ex4_bases.end(cfg, X[:1], y[:1], np.zeros((1, 6)), order[:, :1])
    np.testing.assert_allclose(together[0], alone[0], rtol=1e-12)


def gram(law: str = "normal", n: int = 20, sigma: float = 2.0, replicates: int = 2000):
    cfg = SimpleNamespace(measure="gram", law=law, num_observations=n, sigma=sigma, seed=0, replicates=replicates)
    return ex4.measure(cfg)


def test_entries_are_those_of_the_definition(monkeypatch):
    N = np.random.default_rng(5).normal(size=(3, 20, 5))
    monkeypatch.setattr(ex4, "draw", lambda law, shape, rng: N)
    found, X = gram(replicates=3), ex4.features(20, np.random.default_rng([0, 20]))
    for r in range(3):
        G = (X + 2 * N[r]).T @ (X + 2 * N[r])
        for j, k in ex4.ENTRIES:
            assert found[f"g{j}{k}"][r] == pytest.approx((G - X.T @ X)[j, k] / 80, abs=1e-12)
        assert found["inverse"][r] == pytest.approx(ex4.NULL @ np.linalg.inv(G) @ ex4.NULL * 80, rel=1e-10)


def test_degrees_of_freedom():
    """The trace of the hat matrix, and its estimate within 5.2 standard errors."""
    found, X = gram(), ex4.features(20, np.random.default_rng([0, 20]))
    trace = np.trace(X @ np.linalg.solve(X.T @ X + 80 * np.eye(5), X.T))
    assert ex4_theory.degrees_of_freedom(0, 20, 80) == pytest.approx(trace)
    assert abs(found["degrees"].mean() - trace) < 5.2 * found["degrees"].std() / 2000**0.5


def test_the_way_to_a_ridge_answer():
    assert ex4_theory.way_to_ridge(0.25, 0.25) == pytest.approx(1)
    assert ex4_theory.way_to_ridge(0.0025, 0.25) < 0.02
    assert 0.4 < ex4_theory.way_to_ridge(0.125, 0.25) < 0.6 < 1.5 < ex4_theory.way_to_ridge(0.5, 0.25)


def test_laws_of_noise():
    """Mean 0, variance 1, and correlation a half where it is asked for; wide bounds: kurtosis at most 6."""
    for law in ("normal", "uniform", "laplace", "correlated"):
        N = ex4.draw(law, (20_000, 5), np.random.default_rng(0))
        expected = np.full((5, 5), 0.5) + 0.5 * np.eye(5) if law == "correlated" else np.eye(5)
        np.testing.assert_allclose(N.T @ N / 20_000, expected, atol=5.2 * (5 / 20_000) ** 0.5)
        np.testing.assert_allclose(N.mean(axis=0), 0, atol=5.2 / 20_000**0.5)


def test_correlated_noise_is_seen(monkeypatch):
    right = ex4.draw
    monkeypatch.setattr(ex4, "draw", lambda law, shape, rng: right("correlated", shape, rng))
    assert abs(gram()["g01"].mean()) > 0.4
