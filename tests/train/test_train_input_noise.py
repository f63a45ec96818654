"""data.input_noise_fresh: every step sees other noise; members keep their own; where the steps end."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from train_helpers import Given, largest_difference, member, numbers, problem, settings, table

from noiseworks.data.input_noise import FreshNoise
from noiseworks.fit import train
from noiseworks.model import Constant, Linear, Quadratic, TwoLayer
from noiseworks.noise import Gaussian
from noiseworks.problem import Stream, make_problem
from noiseworks.streams import generator
from noiseworks.train.ensemble import Ensemble

FRESH: dict[str, Any] = {"input_noise": 0.5, "input_noise_fresh": True}
PLAIN = Linear(intercept=False, init_scale=0.0)


def test_members_as_if_alone():
    """Of other seeds, replicates and scales; with a short last minibatch."""
    of = [problem(Gaussian(), replicate=r, **FRESH | {"input_noise": s}) for r, s in ((0, 0.5), (1, 0.5), (0, 1.5))]
    members = [member(p, seed=seed, replicate=r) for p, seed, r in zip(of, (0, 0, 3), (0, 1, 0))]
    members.append(member(of[0], lr=0.01, seed=8))
    together = train(members, settings())
    for k, one in enumerate(members):
        gap, name = largest_difference(numbers(train([one], settings()), 0), numbers(together, k))
        assert gap < 1e-12, name


def test_nothing_depends_on_how_an_epoch_is_cut(monkeypatch):
    of = problem(Gaussian(), **FRESH)
    whole = train([member(of)], settings())
    monkeypatch.setattr("noiseworks.data.minibatches.BLOCK_STEPS", 1)
    assert torch.equal(train([member(of)], settings()).theta, whole.theta)


@pytest.mark.parametrize("model", [Linear(intercept=True, init_scale=0.0), Quadratic(intercept=True, init_scale=0.0)])
def test_the_features_move_and_the_ones_do_not(model):
    Z, e = torch.randn(2, 5, 7, 3), torch.randn(2, 5, 7, 3)
    assert torch.equal(model.shifted(model.design(Z), e), model.design(Z + e))
    assert (model.shifted(model.design(Z), e)[..., -1] == 1).all()


def test_models_without_a_design():
    Z, e = torch.randn(5, 3), torch.randn(5, 3)
    assert torch.equal(TwoLayer(intercept=True, init_scale=1.0, width=2, activation=None).shifted(Z, e), Z + e)
    assert torch.equal(Constant(intercept=True, init_scale=0.0).shifted(Z[:, :0], e), Z[:, :0])


def test_every_step_is_new_and_in_units_of_the_data():
    """Standardized features of spread 4 have noise of 0.5 / 4; 5.2 standard errors of 3000 numbers."""
    X = 4 * torch.randn(1000, 3, generator=torch.Generator().manual_seed(0))
    data = table(X, X.sum(1), **FRESH)
    of = make_problem(data, Gaussian(), Linear(intercept=True, init_scale=0.0), 0.0, 0)
    noise = Ensemble([member(of)], torch.float64, torch.device("cpu")).fresh_noise([member(of)])
    assert isinstance(noise, FreshNoise)
    noise.setup(torch.device("cpu"))
    first, second = (noise.epoch(1000, torch.zeros(1, dtype=torch.long))[0] for _ in range(2))
    assert (first * of.scaling.x_spread / 0.5).square().mean() == pytest.approx(1, abs=5.2 * (2 / 3000) ** 0.5)
    assert (first * second).mean().abs() < 5.2 * first.var() / 3000**0.5


def given(standardize: bool = False) -> Given:
    X = torch.randn(100, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64) * torch.tensor([1.0, 2, 3])
    X[:, 2] = X[:, 0] + X[:, 1]
    y = X @ torch.tensor([1.0, -1.0, 0.5], dtype=torch.float64)
    return table(X, y, batch_size=10, standardize=standardize, **FRESH)


@pytest.mark.parametrize("standardize", [False, True])
def test_steps_end_at_ridge_and_the_reference_is_the_clean_answer(standardize):
    """|y - X w|^2 + n sigma^2 |w|^2 in units of the data, standardized or not, by the mean of 40 members."""
    data = given(standardize)
    of = make_problem(data, Gaussian(), PLAIN, 0.0, 0)
    members = [member(of, lr=0.02 if not standardize else 0.1, seed=s) for s in range(40)]
    outcome = train(members, settings(max_epochs=300))
    X, y = data.given.X, data.given.y
    ridge = torch.linalg.solve(X.T @ X + 100 * 0.25 * torch.eye(3, dtype=torch.float64), X.T @ y)
    exact = torch.linalg.pinv(X) @ y
    found = outcome.coefficients.mean(0)
    error = outcome.coefficients.std(0).norm() / 40**0.5
    assert (found - ridge).norm() < 5.2 * error + 0.02
    assert (exact - ridge).norm() > 10 * error + 0.1
    fitted = X @ of.model.coefficients(torch.zeros(3, dtype=torch.float64), of.scaling) + X @ outcome.exact[0]
    torch.testing.assert_close(fitted, X @ exact)  # the clean least-squares answer


def test_no_noise_is_the_same_bits():
    of, fresh = problem(Gaussian()), problem(Gaussian(), input_noise=0.0, input_noise_fresh=True)
    assert torch.equal(train([member(of)], settings()).theta, train([member(fresh)], settings()).theta)


@pytest.mark.parametrize("fresh", [False, True])
def test_a_stream_has_it_once(fresh):
    """Variance 1 + 0.5^2; 5.2 standard errors of 12,000 numbers."""
    of = problem(Gaussian(), correlation=0.0, standardize=False, **FRESH | {"input_noise_fresh": fresh})
    D, _, _ = Stream(of, generator(0, "order")).draw(4000)
    assert D[:, :3].var() == pytest.approx(1.25, abs=5.2 * 1.25 * (2 / 12_000) ** 0.5)
    assert (D[:, 3] == 1).all()


def test_a_stream_from_disk_is_refused(command, tmp_path):
    drawn = np.random.default_rng(0).normal(size=(2, 100_000))
    pq.write_table(pa.table({"x": drawn[0], "y": drawn[1]}), tmp_path / "t.parquet")
    data = ["data=table", "data.path=t.parquet", "data.target=y", "data.memory_mb=1", "data.input_noise=1"]
    result = command(tmp_path, *data, "optimizer=exact", "tracking=none")
    assert result.status == 2
    assert "data.input_noise=1 is added to rows in memory, but" in result.err


def test_lbfgs_and_exact_are_refused(command, tmp_path):
    arguments = ["data=synthetic", "data.num_examples=30", "data.input_noise=0.5", "data.input_noise_fresh=true"]
    for optimizer, why in (("exact", "optimizer=exact takes none"), ("lbfgs", "needs the same in all")):
        result = command(tmp_path, *arguments, f"optimizer={optimizer}", "tracking=none")
        assert result.status == 2
        assert why in result.err
