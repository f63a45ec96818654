"""Exercise 6: descent on two layers against its definition, and the theory of the start."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from noiseworks import study
from noiseworks.experiment import experiments_folder, load

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
    found = ex6.descend(W1, W2, X.mT @ X / 20, X.mT @ Y / 20, 0.1, 1)
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
        columns = {f"x{j}": path[:, :, j].reshape(steps * copies) for j in range(ex6.FEATURES)}
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
    d, n, h = ex6.FEATURES, 100, 8
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
    X = rng.normal(size=(100, ex6.FEATURES))
    y = X[:, :1] + 0.1 * rng.normal(size=(100, 1))
    w, path = np.zeros((ex6.FEATURES, 1)), []
    for _ in range(steps):
        w = w + ex6.LR * X.T @ (y - X @ w) / 100
        path.append(w.T)
    return np.stack(path)


@pytest.mark.parametrize(("power", "ratio"), [(1, 1.0), (2, 2.0)])
def test_a_tenth_of_the_start_costs_the_steps_of_theory(power, ratio):
    """Weights that shrink twice as fast cost twice the steps: the ratio sees the difference."""
    runs = runs_of({s: descent(s, power) for s in ex6.SCALES}, single_layer())
    np.testing.assert_allclose(ex6.tenfold(runs, "two_layer"), ratio, rtol=0.01)
    np.testing.assert_allclose(ex6.tenfold(runs, "linear"), 0, atol=1e-9)
