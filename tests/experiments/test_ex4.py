"""Exercise 4: theory against independent references, measures on small cases, and breaks of them that are seen."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from hydra.utils import instantiate
from omegaconf import OmegaConf

from noiseworks.paths import conf_folder
from noiseworks_experiments.parts import ex4_measure as ex4
from noiseworks_experiments.parts import ex4_theory


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
    np.testing.assert_allclose(ex4_theory.truth(), data.w_true, rtol=1e-14)
    np.testing.assert_allclose(X @ ex4.NULL, 0, atol=1e-14)
    np.testing.assert_allclose(X.T @ X / len(X), ex4_theory.covariance(), atol=0.04)
    np.testing.assert_allclose(ex4.features(50_000, np.random.default_rng(1)) @ ex4.NULL, 0, atol=1e-14)


@pytest.mark.parametrize("sigma", [0.1, 0.5, 2.0])
def test_one_noisy_copy_by_simulation(sigma):
    """4000 fits by numpy; 5.2 standard errors."""
    rng, n, R = np.random.default_rng(0), 15, 4000
    X = np.stack([ex4.features(n, rng) for _ in range(R)])
    y = X @ ex4_theory.truth() + rng.normal(size=(R, n))
    noisy = X + sigma * rng.normal(size=X.shape)
    w = np.linalg.solve(np.swapaxes(noisy, 1, 2) @ noisy, np.einsum("rnj,rn->rj", noisy, y)[..., None])[..., 0]
    off = w - ex4_theory.truth()
    for values, expected in zip(
        ((w @ ex4.NULL) ** 2, ((off @ ex4_theory.covariance()) * off).sum(1)), ex4_theory.one_copy(sigma, n)
    ):
        assert abs(values.mean() - expected) < 5.2 * values.std() / R**0.5


def test_little_noise():
    """sigma -> 0: the error of predictions is rank / (n - d - 1), the null variance 1 / (sigma^2 (n - d - 1))."""
    variance, error = ex4_theory.one_copy(1e-4, 50)
    assert error == pytest.approx(4 / 44, rel=1e-6)
    assert variance == pytest.approx(1e8 / 44, rel=1e-6)


def solvers(design: str, solver: str, replicates: int = 8):
    return ex4.measure(SimpleNamespace(measure="solvers", design=design, solver=solver, seed=0, replicates=replicates))


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
    np.testing.assert_allclose(found["formula"], trace)
    assert abs(found["degrees"].mean() - trace) < 5.2 * found["degrees"].std() / 2000**0.5


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
