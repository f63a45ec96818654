"""Quantile noise: what is predicted, what is printed, and where the optimum is not unique."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import linprog
from train_helpers import LINEAR, member, problem, settings, table

from noiseworks.exact import Exact, optimal_ranges, solve_problem
from noiseworks.fit import solve_exactly, train
from noiseworks.model import Constant, Model, Quadratic
from noiseworks.noise import AsymmetricLaplace, Laplace, Noise
from noiseworks.outcome import Outcome
from noiseworks.problem import Problem, make_problem
from noiseworks.runs.artifacts import final_metrics
from noiseworks.runs.predictor import Predictor, to_json
from noiseworks.runs.printed_table import summary

T = torch.tensor
UPPER = AsymmetricLaplace(tau=0.9)


def solved(*problems: Problem) -> Outcome:
    members = [replace(member(of), make_optimizer=Exact()) for of in problems]
    return solve_exactly(members, [solve_problem(m.problem, m.noise) for m in members])


def printed(of: Problem, *more: Problem) -> list[str]:
    outcome = solved(of, *more)
    return summary("title", of, outcome, final_metrics(outcome)).splitlines()


def two_groups(noise: Noise, model: Model = LINEAR, unit: float = 1.0) -> Problem:
    """The medians are 2 to 4 where x = 0, and 5 to 7 where x = 3."""
    y = T([1.0, 2, 4, 9, 5, 7, 8, 3])
    X = T([[0.0]] * 4 + [[3.0]] * 4)
    return make_problem(table(X, unit * y), noise, model, 0.0, 0)


def test_the_quantile_is_predicted():
    """Not the mean, which is far below; absolute and square errors are those of the prediction, too."""
    of = problem(UPPER, num_examples=200)
    outcome = solved(of)
    train = of.parts["train"]
    eta = of.eta(outcome.theta[0], train)
    assert (train.y < eta).double().mean() == pytest.approx(0.9, abs=4 / 160)
    columns = {f"x{j}": train.X[:, j].numpy() for j in range(3)}
    predicted = Predictor(to_json(of, outcome)).predict(pd.DataFrame(columns))
    np.testing.assert_allclose(predicted, eta.numpy(), rtol=1e-12)
    assert outcome.metrics["train/mae"].item() == pytest.approx((train.y - eta).abs().mean().item(), rel=1e-12)
    assert outcome.metrics["train/rmse"].item() == pytest.approx(
        (train.y - eta).square().mean().sqrt().item(), rel=1e-12
    )


def test_training_finds_the_quantile():
    """Full batches, whose average over the last steps is near the best; the loss is within 1e-3 of it."""
    of = problem(UPPER, val_fraction=0.0, num_examples=200, batch_size=200)
    exact = solved(of).metrics["train/nll"].item()
    outcome = train([member(of, lr=0.3)], settings(max_epochs=600))
    assert outcome.metrics["train/nll"].item() == pytest.approx(exact, abs=1e-3)
    assert outcome.metrics["train/nll"].item() >= exact - 1e-9


@pytest.mark.parametrize("noise", [Laplace(), AsymmetricLaplace(tau=0.5)])
@pytest.mark.parametrize("unit", [1.0, 1e6])
def test_ranges_by_hand(noise, unit):
    """In units of the data, though fitted standardized: the slope goes from (5 - 4) / 3 to (7 - 2) / 3."""
    of = two_groups(noise, unit=unit)
    ranges = dict(zip(of.terms, optimal_ranges(of).tolist()))
    assert ranges["intercept"] == pytest.approx([2 * unit, 4 * unit])
    assert ranges["x0"] == pytest.approx([unit / 3, 5 * unit / 3])


def test_ranges_by_linear_programs():
    """min and max of each coefficient at the least loss, for a quadratic in units of the data."""
    g = torch.Generator().manual_seed(2)
    x = T([[0.0], [1.0], [2.0]]).repeat(4, 1)
    y = torch.randint(0, 6, (12,), generator=g).double()
    of = make_problem(table(x, y), AsymmetricLaplace(tau=0.25), Quadratic(intercept=True, init_scale=0.0), 0.0, 0)
    columns = {"intercept": torch.ones(12), "x0": x[:, 0]}
    D = np.column_stack([columns.get(term, x[:, 0] ** 2).numpy() for term in of.terms])
    eye, P = np.eye(12), len(of.terms)
    cost = np.concatenate((np.zeros(P), np.full(12, 0.25), np.full(12, 0.75)))
    rows, bounds = np.hstack((D, eye, -eye)), [(None, None)] * P + [(0, None)] * 24
    least = linprog(cost, A_eq=rows, b_eq=y.numpy(), bounds=bounds).fun
    right = np.empty((P, 2))
    for j in range(P):
        for end, sign in enumerate((1, -1)):
            found = linprog(sign * np.eye(P + 24)[j], cost[None], [least + 1e-11], rows, y.numpy(), bounds)
            right[j, end] = sign * found.fun
    assert (np.ptp(right, axis=1) > 0.1).any()
    np.testing.assert_allclose(optimal_ranges(of).numpy(), right, atol=1e-6)


def test_the_table_says_so():
    lines = printed(two_groups(Laplace()))
    assert "not unique: intercept from 2 to 4, x0 from 0.333333 to 1.66667" in lines
    assert final_metrics(solved(two_groups(Laplace())))["exact/unique"] == 0
    constant = Constant(intercept=True, init_scale=0.0)
    y = T([1.0, 2, 4, 9])
    of = make_problem(table(torch.zeros(4, 0), y), AsymmetricLaplace(tau=0.75), constant, 0.0, 0)
    assert "not unique: intercept from 4 to 9" in printed(of)


def test_the_table_says_nothing_where_it_is_unique():
    of = problem(UPPER)
    assert not any("unique" in line for line in printed(of))
    assert final_metrics(solved(of))["exact/unique"] == 1


def test_replicates_say_how_often():
    """Two of three."""
    y = (T([1.0, 2, 4, 9]), T([1.0, 2, 4, 4]), T([1.0, 3, 3, 5]))
    constant = Constant(intercept=True, init_scale=0.0)
    problems = [make_problem(table(torch.zeros(4, 0), values), Laplace(), constant, 0.0, 0) for values in y]
    assert "the optimum is not unique in 66.7 % of the replicates" in printed(*problems)


def test_a_sample_has_no_range(monkeypatch):
    """Of streamed rows only a sample is at hand, whose range would be another."""
    monkeypatch.setattr(Problem, "num_rows", lambda self, part: 1000)
    assert "the optimum is not unique" in printed(two_groups(Laplace()))
