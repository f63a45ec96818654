"""solver="sgd": the training of the command, behind the same interface."""

from __future__ import annotations

import re
from functools import partial

import numpy as np
import pytest
import torch
from regressor_data import NOISES, drawn

from noiseworks.data.base import Column, Examples
from noiseworks.errors import FitFailed
from noiseworks.fit import train
from noiseworks.model import Linear
from noiseworks.noise import Gaussian
from noiseworks.problem import make_problem
from noiseworks.regressor import LinearRegressor, trained
from noiseworks.regressor.trained import InMemory, optimizers
from noiseworks.train.ensemble import Member
from noiseworks.train.optimizers import MinibatchSGD
from noiseworks.train.schedules import Cosine
from noiseworks.train.settings import Settings

LBFGS = {"solver": "sgd", "optimizer": "lbfgs", "lr": 1.0, "max_epochs": 30}


@pytest.mark.parametrize("name", NOISES)
def test_near_the_exact_answer(name: str) -> None:
    """LBFGS on all rows; but for the kinks of the quantile noises, where it stops early."""
    X, y = drawn(NOISES[name])
    X = 100 * X + 50
    w, offset = np.arange(len(y)) % 3, 0.1 * X[:, 2] / 100
    exact = LinearRegressor(NOISES[name]).fit(X, y, w, offset)
    trained = LinearRegressor(NOISES[name], **LBFGS).fit(X, y, w, offset)
    atol = 0.05 if NOISES[name].quantile_level is not None else 1e-4
    np.testing.assert_allclose(trained.predict(X, offset), exact.predict(X, offset), atol=atol)
    assert trained.score(X, y, w, offset) == pytest.approx(exact.score(X, y, w, offset), abs=0.01)
    if exact.scale_ is not None:
        assert trained.scale_ == pytest.approx(exact.scale_, rel=0.02)


def test_minibatches_come_near() -> None:
    """Within a tenth of a standard error is what 50 epochs of the cosine leave, here and for 20 other seeds."""
    X, y = drawn(Gaussian(), 400)
    exact, trained = LinearRegressor().fit(X, y), LinearRegressor(solver="sgd", random_state=0).fit(X, y)
    errors = np.array(list(exact.standard_errors_.values()))
    away = np.array([*trained.coef_, trained.intercept_]) - [*exact.coef_, exact.intercept_]
    assert np.abs(away / errors).max() < 0.2
    assert trained.n_iter_ == 50


def test_as_the_command_trains() -> None:
    """The same numbers as a member of one in the same data, seed and settings."""
    X, y = drawn(Gaussian(), 100)
    ours = LinearRegressor(solver="sgd", max_epochs=3, random_state=5, lr=0.02, batch_size=10).fit(X, y)
    seed = int(np.random.RandomState(5).randint(np.iinfo(np.int32).max))
    names = ("x0", "x1", "x2")
    given = Examples(torch.tensor(X), torch.tensor(y), names, "y", tuple(map(Column, names)), "here", "")
    data = InMemory(
        given=given, seed=seed, batch_size=10, order="shuffle", val_fraction=0.0, test_fraction=0.0, standardize=True,
        allow_fractions=True,
    )  # fmt: skip
    problem = make_problem(data, Gaussian(), Linear(intercept=True, init_scale=0.0), 0.0, 0)
    schedule = Cosine(averaging=False, averaging_start=0.5)
    settings = Settings(
        accelerator="cpu", devices=1, precision="64-true", max_epochs=3, patience=None, min_delta=0, progress_bar=False
    )
    outcome = train([Member(problem, Gaussian(), partial(MinibatchSGD, lr=0.02), schedule, seed, 0)], settings)
    assert [*ours.coef_, ours.intercept_, ours.scale_] == [*outcome.coefficients[0].tolist(), outcome.scale[0].item()]


BY_HAND = {  # a class of torch.optim with the settings that conf/optimizer gives the name
    "adagrad": torch.optim.Adagrad,
    "adam": torch.optim.Adam,
    "lbfgs": partial(torch.optim.LBFGS, tolerance_grad=1e-12, tolerance_change=1e-14, line_search_fn="strong_wolfe"),
    "minibatch_sgd": MinibatchSGD,
    "sgd": torch.optim.SGD,
}


@pytest.mark.parametrize("name", BY_HAND)
def test_optimizers_are_those_of_the_command(name: str) -> None:
    X, y = drawn(Gaussian())
    named, by_hand = (
        LinearRegressor(solver="sgd", max_epochs=3, optimizer=optimizer, random_state=0).fit(X, y)
        for optimizer in (name, BY_HAND[name])
    )
    assert named.coef_.tolist() == by_hand.coef_.tolist()


def test_a_yaml_is_all_that_an_optimizer_needs(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "optimizer").mkdir()
    text = "_target_: torch.optim.RMSprop\n_partial_: true\nlr: 0.01\neps: 1e-3\n"
    (tmp_path / "optimizer" / "rmsprop.yaml").write_text(text)
    monkeypatch.setattr(trained, "conf_folder", lambda: tmp_path)
    monkeypatch.setattr(trained, "optimizers", optimizers.__wrapped__)
    X, y = drawn(Gaussian())
    named, by_hand = (
        LinearRegressor(solver="sgd", max_epochs=3, optimizer=optimizer, random_state=0).fit(X, y)
        for optimizer in ("rmsprop", partial(torch.optim.RMSprop, eps=1e-3))
    )
    assert named.coef_.tolist() == by_hand.coef_.tolist()


def test_rows_of_weight_zero_are_not_drawn() -> None:
    X, y = drawn(Gaussian())
    w = np.arange(len(y)) % 5 // 4 * 2.0
    m = LinearRegressor(solver="sgd", max_epochs=2, batch_size=2, random_state=1)
    whole = m.fit(X, y, w).coef_
    assert whole.tolist() == m.fit(X[w > 0], y[w > 0], w[w > 0]).coef_.tolist()


def test_random_state_decides() -> None:
    X, y = drawn(Gaussian())
    fits = [LinearRegressor(solver="sgd", max_epochs=2, random_state=seed).fit(X, y).coef_ for seed in (1, 1, 2)]
    assert (fits[0] == fits[1]).all()
    assert (fits[0] != fits[2]).any()


def test_the_summary_says_how_far_training_is_and_what_was_taken_for_granted() -> None:
    """In the words of the command's table, with the estimator's names."""
    X, y = drawn(Gaussian())
    weights = np.arange(1.0, 1 + len(y))
    few = LinearRegressor(solver="sgd", max_epochs=1, lr=1e-4, batch_size=100, random_state=0).fit(X, y, weights)
    said = few.summary()
    assert "batch_size=100 is more than the 60 rows: each step takes all of them\nweights are precisions\n" in said
    assert re.search(
        r"exact coefficients: worst: \w+, [\d.]+ standard errors; more epochs, a larger step \(lr\) or so", said
    )
    counts = LinearRegressor("poisson", solver="sgd", max_epochs=2, random_state=0).fit(X, np.zeros(60))
    assert "no finite optimum: all 60 counts are zero" in counts.summary()


def test_says_nothing_and_leaves_nothing(capfd: pytest.CaptureFixture[str], tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    X, y = drawn(Gaussian())
    m = LinearRegressor(solver="sgd", max_epochs=2, optimizer=torch.optim.Adam, random_state=0).fit(X, y)
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.iterdir())
    assert (m.standard_errors_, m.criteria_) == (None, {})
    assert "trained by stochastic gradient descent, 2 epochs; fitted on 60 rows" in m.summary()
    with pytest.raises(ValueError, match="There are no standard errors with solver='sgd'"):
        m.conf_int()
    reach = np.diff(m.predict_interval(X, 0.95))  # of the noise alone
    np.testing.assert_allclose(reach, 2 * 1.959963984540054 * m.scale_, rtol=1e-9)
    assert not hasattr(m.set_params(solver="exact").fit(X, y), "n_iter_")


def test_a_diverging_fit_is_named() -> None:
    X, y = drawn(Gaussian())
    with pytest.raises(FitFailed, match=r"stopped being finite at step \d+; a smaller lr may help"):
        LinearRegressor(solver="sgd", lr=1e30).fit(X, y)
