"""Exercise 6: descent on two layers against its definition, the theory of the start and of the staircase, and the least
of loss + decay |w| by other ways."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import optimize

from noiseworks import studies as study
from noiseworks.config.experiment import load
from noiseworks.paths import experiments_folder
from noiseworks_experiments.parts import ex6_measure, ex6_runs

ex6 = load(experiments_folder() / "ex6_two_layers.py")
SIZES = {"num_examples": 40, "num_features": 5, "num_outputs": 3, "init_scale": 0.1}


def rank(width: int, **changes):
    settings = {"measure": "rank", "seed": 0, "replicates": 4, "width": width, "lr": 0.04, "time": 150.0, **SIZES}
    return ex6.measure(SimpleNamespace(**{**settings, **changes}))


@pytest.mark.parametrize("width", [1, 2, 3, 6])
def test_descent_ends_at_the_best_loss_of_that_rank(width):
    found = rank(width)
    np.testing.assert_allclose(found["loss"], found["best"], rtol=1e-8)
    np.testing.assert_array_equal(found["rank"], min(width, 3))
    assert (found["best"] >= found["one_layer"] * (1 - 1e-12)).all()
    assert (width < 3) == bool((found["loss"] > 1.01 * found["one_layer"]).all())


def test_a_descent_that_is_cut_short_is_seen():
    found = rank(2, time=2.0)
    assert (found["loss"] / found["best"] - 1).min() > 1e-8


def test_a_step_is_autograds():
    rng = np.random.default_rng(1)
    X, Y = rng.normal(size=(2, 20, 4)), rng.normal(size=(2, 20, 3))
    W1, W2 = rng.normal(size=(2, 5, 4)), rng.normal(size=(2, 3, 5))
    found = ex6_measure.descend(W1, W2, X.mT @ X / 20, X.mT @ Y / 20, 0.1, 1)
    A, B = (torch.tensor(W, requires_grad=True) for W in (W1, W2))
    residual = torch.from_numpy(Y) - torch.from_numpy(X) @ (B @ A).mT
    (0.5 * residual.square().sum() / 20).backward()
    np.testing.assert_allclose(found[0], W1 - 0.1 * A.grad.numpy(), rtol=1e-12)
    np.testing.assert_allclose(found[1], W2 - 0.1 * B.grad.numpy(), rtol=1e-12)


def test_the_balance_drifts_with_the_step():
    drift = [rank(4, lr=lr, time=50.0)["drift"] for lr in (0.02, 0.04)]
    assert study.slope([0.02, 0.04], drift).estimate == pytest.approx(1, abs=0.05)


def runs_of(eps: dict[float, np.ndarray], single: np.ndarray):
    """Runs as ex6_descent leaves them: paths (steps, copies, d) of two layers by initial scale, and of one layer."""

    def run(path: np.ndarray):
        steps, copies, _ = path.shape
        columns = {f"x{j}": path[:, :, j].reshape(steps * copies) for j in range(ex6_runs.FEATURES)}
        return SimpleNamespace(trajectory=columns, copies={"replicate": np.arange(copies)})

    paths = {("two_layer", s): path for s, path in eps.items()} | {("linear", s): single for s in (0.0, *eps)}

    class Sweep:
        def __init__(self, model=None):
            self.model = model

        def where(self, model):
            return Sweep(model)

        def one(self, settings, model=None):
            return run(paths[model or self.model, settings["model.init_scale"]])

    return {"ex6_descent": Sweep()}


def descent(eps: float, power: int, steps: int = 150) -> np.ndarray:
    """Two layers whose starting weights are eps; with power 0 their size does not matter (one layer's start)."""
    rng = np.random.default_rng(5)
    d, n, h = ex6_runs.FEATURES, 100, 8
    X = rng.normal(size=(n, d))
    c, S = X.T @ (X[:, :1] + 0.1 * rng.normal(size=(n, 1))) / n, X.T @ X / n
    W, u, path = eps**power * rng.normal(size=(h, d)), eps**power * rng.normal(size=(h, 1)), []
    for _ in range(steps):
        g = c - S @ W.T @ u
        W, u = W + ex6.LR * u @ g.T, u + ex6.LR * W @ g
        path.append((W.T @ u).T)
    return np.stack(path)


def single_layer(steps: int = 150) -> np.ndarray:
    rng = np.random.default_rng(5)
    X = rng.normal(size=(100, ex6_runs.FEATURES))
    y = X[:, :1] + 0.1 * rng.normal(size=(100, 1))
    w, path = np.zeros((ex6_runs.FEATURES, 1)), []
    for _ in range(steps):
        w = w + ex6.LR * X.T @ (y - X @ w) / 100
        path.append(w.T)
    return np.stack(path)


@pytest.mark.parametrize(("power", "ratio"), [(1, 1.0), (2, 2.0)])
def test_a_tenth_of_the_start_costs_the_steps_of_theory(power, ratio):
    """Weights that shrink twice as fast cost twice the steps: the ratio sees the difference."""
    runs = runs_of({s: descent(s, power) for s in ex6_runs.SCALES}, single_layer())
    np.testing.assert_allclose(ex6.tenfold(runs, "two_layer"), ratio, rtol=0.01)
    np.testing.assert_allclose(ex6.tenfold(runs, "linear"), 0, atol=1e-9)


def samples(decay: float, monkeypatch):
    """S, c and what `norm` finds, of three samples with unlike features."""
    rng = np.random.default_rng(2)
    X = rng.normal(size=(3, 50, 4)) * [1, 2, 0.5, 1]
    y = X @ np.array([1.0, -0.5, 0.5, 0.2]) + 0.5 * rng.normal(size=(3, 50))
    rows = [SimpleNamespace(X=torch.from_numpy(X[r]), y=torch.from_numpy(y[r])) for r in range(3)]
    monkeypatch.setattr(ex6_measure, "instantiate", lambda data: data)
    data = SimpleNamespace(examples=rows.__getitem__)
    found = ex6.measure(SimpleNamespace(measure="norm", data=data, replicates=3, decay=decay, steps=2000))
    w = np.stack([found[f"norm_{j + 1}"] for j in range(4)], axis=1)
    return X.mT @ X / 50, (X.mT @ y[:, :, None])[:, :, 0] / 50, w, found


@pytest.mark.parametrize("decay", [0.0, 0.3, 1.0])
def test_the_least_with_a_norm_is_a_root_in_one_dimension(decay, monkeypatch):
    """The ridge answer with decay / r that is as long as r, found by Brent's method."""
    for S, c, w in zip(*samples(decay, monkeypatch)[:3], strict=True):

        def answer(size, S=S, c=c):
            return np.linalg.solve(S + decay / size * np.eye(4), c)

        size = optimize.brentq(lambda size, answer=answer: np.linalg.norm(answer(size)) - size, 1e-6, 10, xtol=1e-14)
        np.testing.assert_allclose(w, answer(size), atol=1e-10)


def test_the_least_with_a_norm_is_zero_from_the_pull_on(monkeypatch):
    pull = samples(0.0, monkeypatch)[3]["pull_1"]
    for factor, zero in ((0.99, False), (1.01, True)):
        w = samples(factor * pull[0], monkeypatch)[2][0]
        assert bool((w == 0).all()) == zero


@pytest.mark.parametrize("decay", [0.3, 1.0, 4.0])
def test_decay_of_two_layers_ends_there_and_not_at_ridge(decay, monkeypatch):
    S, c, w, found = samples(decay, monkeypatch)
    rng = np.random.default_rng(3)
    W1, W2 = rng.normal(size=(3, 5, 4)), rng.normal(size=(3, 1, 5))
    both = ex6_measure.descend(W1, W2, S, c[:, :, None], 0.02, 10000, decay)
    np.testing.assert_allclose((both[1] @ both[0])[:, 0], w, atol=1e-6)
    ridge = np.stack([found[f"ridge_{j + 1}"] for j in range(4)], axis=1)
    np.testing.assert_allclose(ridge, np.linalg.solve(S + decay * np.eye(4), c[:, :, None])[:, :, 0], rtol=1e-10)
    assert np.abs(ridge - w).max() > 1e-2


def staircase(**changes):
    settings = {"measure": "staircase", "seed": 0, "replicates": 6, "layers": 2, "decay": 0.0, "width": 4, "lr": 0.01}
    data = {"num_examples": 100, "num_features": 6, "num_outputs": 4, "largest": 4.0, "init_scale": 1e-3, "time": 40.0}
    found = ex6.measure(SimpleNamespace(**{**settings, **data, **changes}))
    return SimpleNamespace(copies=found, params={"lr": "0.01"})


def test_singular_values_pass_half_when_theory_says():
    run = staircase()
    passed = ex6_runs.column(run, "passes_0.5")
    np.testing.assert_allclose(passed / ex6_runs.due(run), 1, atol=0.01)
    assert ((passed / ex6_runs.due(run, "alone"))[:, 3] > 1.02).mean() > 0.5
    alone = ex6_runs.column(staircase(layers=1), "passes_0.5")
    np.testing.assert_allclose(alone, np.log(2), rtol=0.02)


def test_decay_takes_from_every_singular_value():
    """Of two layers the decay itself; of one a share."""
    two, one = staircase(decay=1.5), staircase(decay=1.5, layers=1)
    s = ex6_runs.column(two, "value")
    np.testing.assert_allclose(ex6_runs.column(two, "end"), np.maximum(s - 1.5, 0), atol=1e-6)
    np.testing.assert_allclose(ex6_runs.column(one, "end"), s / 2.5, atol=1e-6)


def test_layers_in_balance_follow_the_logistic_curve():
    """From W1 = W2' = sqrt(a) I, with X white and X'Y / n diagonal, by steps too short to matter."""
    s, a, lr = np.array([2.0, 1.0]), 1e-2, 1e-4
    W1, W2 = ex6_measure.descend(np.sqrt(a) * np.eye(2), np.sqrt(a) * np.eye(2), np.eye(2), np.diag(s), lr, 20000)
    np.testing.assert_allclose(W2 @ W1, np.diag(s / (1 + (s / a - 1) * np.exp(-4 * s))), rtol=2e-3, atol=1e-12)


def test_the_time_of_passing_is_exact_for_a_logistic_curve():
    at = np.arange(30)[:, None, None]
    shares = 1 / (1 + np.exp(-0.7 * (at - np.array([[8.3, 40.0]]))))
    np.testing.assert_allclose(ex6_measure.passes(shares, 0.9), [[8.3 + np.log(9) / 0.7, np.nan]])
