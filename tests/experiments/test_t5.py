"""Tuning: the valley of descent, the miss of random search, and the winner of many, against direct computations."""

import math
import shlex
from types import SimpleNamespace

import numpy as np
import pytest
import yaml

from noiseworks.config.experiment import arguments
from noiseworks.exercises import Experiment
from noiseworks.paths import conf_folder
from noiseworks.report.site import header
from noiseworks_experiments.parts import t5_measure as t5
from noiseworks_experiments.parts import t5_runs, t5_theory

VALLEY = t5.Valley(np.array([0.2, 1.7]), np.array([0.7, -0.4]), 30)


def test_the_excess_is_that_of_descent():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(50, 2)) @ np.array([[1.0, 0.8], [0.0, 0.6]]), rng.normal(size=50)
    w_star, w = np.linalg.solve(X.T @ X, X.T @ y), np.zeros(2)
    for _ in range(7):
        w = w - 0.3 / 50 * X.T @ (X @ w - y)
    eigenvalues, directions = np.linalg.eigh(X.T @ X / 50)
    found = t5.Valley(eigenvalues, directions.T @ w_star, 7).log_excess(0.3)
    by_descent = ((X @ w - y) ** 2).mean() - ((X @ w_star - y) ** 2).mean()
    assert math.exp(found) == pytest.approx(by_descent, rel=1e-9)


def test_the_best_step_and_its_limit():
    fine = np.linspace(0.9, 1.15, 200_001)
    assert VALLEY.best == pytest.approx(fine[VALLEY.log_excess(fine).argmin()], rel=2e-6)
    assert t5.Valley(VALLEY.eigenvalues, VALLEY.way, 100_000).best == pytest.approx(2 / 1.9, rel=1e-4)


@pytest.mark.parametrize("trials", [5, 60])
def test_random_search_misses_by_what_theory_says(trials):
    found = np.abs(t5.random_search(VALLEY, np.random.default_rng(1), 4000, trials))
    assert abs(found.mean() - t5_theory.random_miss(VALLEY, trials)) < 5 * found.std() / math.sqrt(4000)


def test_random_search_with_one_trial():
    """A step that is uniform in the logarithm: the mean distance to a point of the interval."""
    low, best, high = np.log(t5.LOW), np.log(VALLEY.best), np.log(t5.HIGH)
    by_hand = ((best - low) ** 2 + (high - best) ** 2) / (2 * (high - low))
    assert t5_theory.random_miss(VALLEY, 1) == pytest.approx(by_hand, rel=1e-6)


def test_the_nearest_of_some_trials():
    """In the logarithm; with one trial it is the trial that is taken."""
    assert t5_theory.nearest_miss(VALLEY, 1) == pytest.approx(t5_theory.random_miss(VALLEY, 1), rel=1e-6)
    u = np.random.default_rng(4).uniform(np.log(t5.LOW), np.log(t5.HIGH), size=(20_000, 15))
    found = np.abs(u - np.log(VALLEY.best)).min(axis=1)
    assert abs(found.mean() - t5_theory.nearest_miss(VALLEY, 15)) < 5 * found.std() / math.sqrt(20_000)


def test_rates_are_those_of_the_matrix_of_a_step():
    """The largest eigenvalue of (w, last w) -> (w - lr S w + momentum (w - last w), w); at the best momentum it is a
    double one, which is found slowly."""
    X = np.random.default_rng(6).normal(size=(60, 2)) @ np.array([[1.0, 0.8], [0.0, 0.6]])
    S = X.T @ X / 60
    eigenvalues = np.linalg.eigvalsh(S)
    for lr, momentum in t5.momenta(eigenvalues).values():
        both = np.block([[(1 + momentum) * np.eye(2) - lr * S, -momentum * np.eye(2)], [np.eye(2), np.zeros((2, 2))]])
        due = np.abs(np.linalg.eigvals(both)).max()
        assert t5.rate(X, np.array([0.9, -0.4]), lr, momentum) == pytest.approx(due, abs=5e-3)
    kappa = eigenvalues[1] / eigenvalues[0]
    lr, momentum = t5.momenta(eigenvalues)["ball"]
    assert np.sqrt(momentum) == pytest.approx((np.sqrt(kappa) - 1) / (np.sqrt(kappa) + 1))


def test_a_bayesian_search_is_seeded():
    first, again, other = (t5.bayesian_search(VALLEY, [seed], 20) for seed in (0, 0, 1))
    assert first == again != other


def test_one_candidate_is_judged_rightly():
    seen, true = t5_theory.expected(1)
    assert seen == pytest.approx(1 / t5_theory.N, rel=1e-6)
    assert true == pytest.approx(1 / t5_theory.N, rel=1e-6)


def test_the_winner_by_simulation():
    u, v = np.random.default_rng(2).normal(size=(2, 20_000, 16))
    shown = (u**2 - 2 * u * v) / t5_theory.N
    best = shown.argmin(axis=1)
    at = np.arange(len(best))
    for found, theory in zip((shown[at, best], u[at, best] ** 2 / t5_theory.N), t5_theory.expected(16)):
        assert abs(found.mean() - theory) < 5 * found.std() / math.sqrt(len(best))
    assert (
        t5_theory.expected(64)[0] < t5_theory.expected(4)[0] < 0 < t5_theory.expected(4)[1] < t5_theory.expected(64)[1]
    )


def test_the_winner_is_measured_on_fresh_rows():
    found = t5.measure(SimpleNamespace(measure="winner", seed=0, replicates=200, num_rows=100))
    assert found["val/64"].mean() < 0 < found["test/64"].mean()
    assert (found["val/64"] <= found["val/16"]).all()


def test_slopes_are_least_squares():
    slopes = t5.fitted(np.random.default_rng(3), 2, 3, 5)
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(2, 3, 5)), rng.normal(size=(2, 1, 5))
    assert slopes[1, 2] == pytest.approx(np.linalg.lstsq(X[1, 2][:, None], y[1, 0], rcond=None)[0][0])


def test_the_measure_knows_the_data_that_the_search_trains_on():
    search, measures = (
        yaml.safe_load((conf_folder() / "experiment" / f"{name}.yaml").read_text())
        for name in ("t5_search", "t5_measures")
    )
    assert search["data"].items() >= measures["data"].items()
    assert search["trainer"]["max_epochs"] == measures["steps"] == t5_runs.STEPS
    low, high = search["hydra"]["sweeper"]["params"]["optimizer.lr"].split("interval(")[1].strip(")").split(",")
    assert (float(low), float(high)) == (t5.LOW, t5.HIGH)
    assert measures["num_rows"] == t5_theory.N


def test_a_search_is_typed_with_its_sweeper():
    typed = Experiment("t5_search", ["seed=3"]).arguments
    assert typed[:3] == ["-m", "experiment=t5_search", "hydra/sweeper=optuna"]
    assert typed[-1] == "seed=3"
    command = shlex.join(["noiseworks", "-m", "experiment=t5_search", *arguments("t5_search")])
    assert header("t5_search")["Command"] == command  # what the report shows
    assert arguments("t5_ridge") == arguments("nothing_known") == []
