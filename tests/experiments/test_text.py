"""The studies of the text, T2, T3, T6, T8 and T9: their formulas against other ways to the same numbers, what they
measure on small cases, and breaks of each that a verdict must see."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from omegaconf import OmegaConf
from scipy import stats

from noiseworks.config.experiment import load
from noiseworks.noise import Gaussian
from noiseworks.paths import experiments_folder

Array = NDArray[np.float64]
t2, t3, t6, t8, t9 = (
    load(experiments_folder() / f"{name}.py")
    for name in ("t2_analytic", "t3_sgd", "t6_prediction", "t8_normal", "t9_network")
)


class FakeRun(SimpleNamespace):
    """metrics and copies as of study.Run."""

    def __getitem__(self, name: str) -> float:
        return float(self.metrics[name])


class FakeSweep(list[FakeRun]):
    """`one` and `where` look at `settings`."""

    def where(self, settings: dict[str, Any] | None = None, **more: Any) -> FakeSweep:
        wanted = {**(settings or {}), **more}
        return FakeSweep(run for run in self if all(run.settings[key] == value for key, value in wanted.items()))

    def one(self, settings: dict[str, Any] | None = None, **more: Any) -> FakeRun:
        (run,) = self.where(settings, **more)
        return run


def near(values: Array, expected: float) -> None:
    """Within 5 standard errors of independent values: beyond that lies less than one mean in a million."""
    assert abs(values.mean() - expected) < 5 * values.std(ddof=1) / math.sqrt(len(values))


def far(values: Array, expected: float) -> None:
    assert abs(values.mean() - expected) > 10 * values.std(ddof=1) / math.sqrt(len(values))


def test_t2_ends_that_predict_the_same_share_the_contrast_and_not_the_weights() -> None:
    """For x3 = (x0 + x1) / sqrt(2) the null space of X is spanned by (1, 1, 0, -sqrt(2))."""
    X = np.random.default_rng(0).normal(size=(50, 4))
    X[:, 3] = (X[:, 0] + X[:, 1]) / math.sqrt(2)
    null = np.array([1.0, 1.0, 0.0, -math.sqrt(2)])
    np.testing.assert_allclose(X @ null, 0, atol=1e-14)
    ends = np.array([[7.0, *(np.arange(4) + k * null)] for k in (-1.5, 0.0, 2.0)])  # the intercept first
    assert t2.contrast(ends).estimate == pytest.approx(0, abs=1e-14)
    assert np.ptp(ends[:, 1]) == pytest.approx(3.5)
    assert t2.contrast(ends + np.array([[0.0, 0.1, 0.0, 0.0, 0.0]] * 2 + [[0.0] * 5])).estimate == pytest.approx(0.1)


def test_t2_reads_the_farthest_end_and_the_spread_of_losses() -> None:
    sweep = FakeSweep(FakeRun(metrics={"param/error": e, "train/nll": loss}) for e, loss in ((1e-12, 2.0), (0.5, 2.25)))
    assert t2.farthest(sweep).estimate == 0.5
    assert t2.spread_of_loss(sweep).estimate == 0.25


def simulated_distance(lr: float, chains: int = 400, steps: int = 300) -> Array:
    """|w - w_true|^2 of independent chains of SGD on fresh examples, averaged over the steps after the burn-in, which
    is short: the first errors are drawn with the mean square of the floor."""
    rng = np.random.default_rng(1)
    error = rng.normal(size=(chains, t3.D)) * math.sqrt(t3.floor(lr) / t3.D)
    total = np.zeros(chains)
    for step in range(steps):
        X, e = rng.normal(size=(chains, t3.BATCH, t3.D)), rng.normal(size=(chains, t3.BATCH)) * t3.SIGMA
        residual = np.einsum("cbd,cd->cb", X, error) - e
        error = error - lr / t3.BATCH * np.einsum("cbd,cb->cd", X, residual)
        total += (error**2).sum(axis=1) * (step >= 100)
    return total / (steps - 100)


@pytest.mark.parametrize("lr", [0.1, 0.4])
def test_t3_floor_is_that_of_a_simulation(lr: float) -> None:
    found = simulated_distance(lr)
    near(found, t3.floor(lr))
    if lr == 0.4:
        far(found, lr * t3.D / (2 * t3.BATCH))  # the limit for small steps


def test_t3_floor_tends_to_that_of_small_steps() -> None:
    assert t3.floor(1e-6) == pytest.approx(1e-6 * 3 / 8, rel=1e-5)
    assert math.copysign(1, t3.floor(1.01 * 2 / (1 + 4 / 4))) == -1  # beyond lr = 2 / (1 + (d + 1) / B) there is none


def test_t3_the_update_by_hand_is_autograds_only_with_the_half() -> None:
    for seed in range(5):
        same, twice = t3.compare(np.random.default_rng(seed))
        assert same < 1e-13
        assert twice > 1e-4


def test_t3_distance_leaves_out_the_burn_in() -> None:
    """Two replicates, far off until the burn-in is over and then at distances 1 and 2 along x0."""
    steps, copies = t3.BURN_IN + 3, 2
    path = np.full((steps, copies), 100.0)
    path[t3.BURN_IN :] = [1.0, 2.0]
    columns = {f"x{j}": np.full(steps * copies, w) for j, w in enumerate(t3.W_TRUE)}
    columns["x0"] = columns["x0"] + path.ravel()
    run = FakeRun(settings={"optimizer.lr": 0.1}, trajectory=columns, copies={"replicate": np.arange(copies)})
    assert t3.squared_distance(run)[0].tolist() == [1e4, 1e4]
    assert t3.distance({"t3_floor": FakeSweep([run])}, 0.1).estimate == pytest.approx((1 + 4) / 2)


@pytest.mark.parametrize("d", [4, 8, 10])
def test_t6_error_on_new_examples_is_one_plus_the_trace_of_the_mean_inverse_wishart_matrix(d: int) -> None:
    spread = stats.invwishart(df=t6.N, scale=np.eye(d)).mean()  # E (X'X)^-1
    assert t6.test_error(d) == pytest.approx(1 + np.trace(spread), rel=1e-12)


def test_t6_measures_what_its_formulas_say() -> None:
    cfg = {"measure": "errors", "seed": 2, "replicates": 2000, "num_examples": t6.N, "num_features": 8, "num_new": 50}
    found = t6.measure(SimpleNamespace(**cfg))
    near(found["train"], t6.train_error(8))
    near(found["test"], t6.test_error(8))
    far(found["test"], 1 + 8 / t6.N)  # the same with n in place of n - d - 1
    far(found["train"], t6.test_error(8))


def test_t6_residuals_are_those_of_lstsq() -> None:
    """One fit, with the same numbers drawn again."""
    cfg = SimpleNamespace(seed=3, replicates=1, num_examples=16, num_features=4, num_new=5)
    rng = np.random.default_rng([3, 16, 4])
    X, new = rng.normal(size=(16, 4)), rng.normal(size=(5, 4))
    y, y_new = X @ np.full(4, 0.5) + rng.normal(size=16), new @ np.full(4, 0.5) + rng.normal(size=5)
    w = np.linalg.lstsq(X, y, rcond=None)[0]
    found = t6.errors(cfg)
    assert found["train"] == pytest.approx(np.mean((y - X @ w) ** 2))
    assert found["test"] == pytest.approx(np.mean((y_new - new @ w) ** 2))


@pytest.mark.parametrize("d", [4, 8, 10])
def test_t6_wrong_theories_lie_beyond_two_margins(d: int) -> None:
    for known, margin, wrong in (
        (t6.train_error(d), t6.TRAIN_MARGIN, t6.wrong_on_rows(d)),
        (t6.test_error(d), t6.TEST_MARGIN[d], t6.wrong_on_new(d)),
    ):
        assert min(abs(theory - known) for theory in wrong.values()) > 2 * margin


def density(noise: str, mean: float = 3.0, scale: float = 2.0) -> dict[str, float]:
    target = f"noiseworks.noise.{noise}"
    options = {"noise": {"_target_": target, "scale": None}, "mean": mean, "scale": scale, "seed": 1}
    return dict(t8.density(OmegaConf.create(options)))


def test_t8_densities_of_two_laws() -> None:
    normal, laplace = density("Gaussian"), density("Laplace")
    assert normal["density/area"] == pytest.approx(1, abs=1e-12)
    assert normal["density/mean"] == pytest.approx(3, abs=1e-10)
    assert normal["density/peak"] == pytest.approx(1, abs=1e-12)
    assert laplace["density/peak"] == pytest.approx(math.sqrt(2 * math.pi) / 2)  # 1 / (2 b)
    assert max(normal["density/shift"], laplace["density/shift"]) < 1e-12
    assert normal["density/joint"] == pytest.approx(0, abs=1e-11)
    assert abs(normal["density/joint_correlated"]) > 0.1


def test_t8_joint_density_by_hand() -> None:
    """N(mean, scale^2 R) by its determinant and quadratic form; independent: the sum of scipy's logarithms."""
    y, mean, scale, rho = np.array([0.3, -1.0, 2.0]), 0.5, 1.5, 0.5
    S = scale**2 * np.array([[1, rho, rho], [rho, 1, rho], [rho, rho, 1]])
    z = y - mean
    by_hand = -0.5 * (z @ np.linalg.inv(S) @ z + np.log(np.linalg.det(2 * np.pi * S)))
    assert t8.joint(y, mean, scale, rho) == pytest.approx(by_hand, rel=1e-12)
    assert t8.joint(y, mean, scale, 0.0) == pytest.approx(stats.norm.logpdf(y, mean, scale).sum(), rel=1e-12)


def test_t8_a_law_with_another_peak_or_a_product_of_correlated_examples_is_caught() -> None:
    sweep = FakeSweep(
        FakeRun(settings={"noise": name.lower()}, metrics=density(name)) for name in ("Gaussian", "Laplace")
    )
    peaks = [t8.worst(sweep.where(noise=noise), "density/peak", 1.0).estimate for noise in ("gaussian", "laplace")]
    assert peaks == pytest.approx([1, math.sqrt(math.pi / 2)])
    assert t8.worst(sweep, "density/peak", 1.0).estimate == peaks[1]


def likeliest(law: str, assumed: float | None) -> float:
    cfg = SimpleNamespace(measure="likeliest", law=law, assumed=assumed, num_examples=60, seed=5)
    return float(t8.measure(cfg)["apart"])


@pytest.mark.parametrize("assumed", [0.5, None])
def test_t8_the_assumed_scale_moves_students_coefficients_only(assumed: float | None) -> None:
    assert likeliest("gaussian", assumed) < t8.FOUND
    assert likeliest("laplace", assumed) < t8.FOUND
    assert (likeliest("student_t", assumed) < t8.FOUND) is (assumed is None)


def test_t8_laws_are_scipys_but_for_a_constant() -> None:
    r, scale = np.array([-3.0, 0.1, 2.0]), 1.7
    for law, known in {"gaussian": stats.norm, "laplace": stats.laplace, "student_t": stats.t(t8.DF)}.items():
        assert np.ptp(t8.LAWS[law](r, scale) + np.log(known.pdf(r / scale) / scale)) < 1e-12


def test_t9_gradients_by_finite_differences() -> None:
    rng, step = np.random.default_rng(3), 1e-6
    X, y, w, b = (torch.from_numpy(np.asarray(rng.normal(size=shape))) for shape in ((9, 2), (9,), (2,), (1,)))

    def loss(shift: Array) -> float:
        theta = torch.cat((w, b)) + torch.from_numpy(shift)
        return float(((X @ theta[:2] + theta[2] - y) ** 2).mean() / 2)

    expected = [(loss(step * unit) - loss(-step * unit)) / (2 * step) for unit in np.eye(3)]
    for output, gradient in (t9.of_layer(X, y, w, b, None), t9.of_model(X, y, w, b)):
        np.testing.assert_allclose(gradient, expected, atol=1e-8)
        np.testing.assert_allclose(output, X @ w + b, rtol=1e-12)


@pytest.mark.parametrize("break_score", [False, True])
def test_t9_a_wrong_gradient_of_the_model_differs(monkeypatch: pytest.MonkeyPatch, break_score: bool) -> None:
    if break_score:
        right = Gaussian.score
        monkeypatch.setattr(Gaussian, "score", lambda self, eta, y: right(self, eta, y) * (1 + 1e-9))
    found = t9.network(OmegaConf.create({"seed": 0, "replicates": 5}))
    verdicts = {c.claim: c for c in t9.claims({"t9_network": [FakeRun(copies=found)]})}
    wrong = [sentence for sentence, c in verdicts.items() if not c.as_hoped]
    assert wrong == (["what noiseworks trains and the formula X w + b have the same gradient"] if break_score else [])
