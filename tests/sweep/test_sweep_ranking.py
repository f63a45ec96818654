"""Settings ranked over the data of their seeds: means over the seeds they share, differences in pairs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from noiseworks.runs.journal import Row
from noiseworks.sweep.ranking import best_setting, data_vary, ranked
from noiseworks.sweep.table import summary

Values = dict[tuple[float, int], float | None]


def rows_of(values: Values, data: str | None = None) -> list[Row]:
    """(lr, seed) -> objective; None: the job failed. data: of all jobs; None: that of the seed."""
    rows = []
    for job, ((lr, seed), value) in enumerate(values.items()):
        status, failure = ("FINISHED", None) if value is not None else ("FAILED", "it diverged")
        objectives = {} if value is None else {"val/nll": value}
        metrics = {} if value is None else {"val/nll": value, "val/mae": 2 * value}
        row = Row(job, {"lr": lr, "seed": seed}, status, failure, objectives, f"r{job}", metrics, None)
        rows.append(Row(**{**vars(row), "data": f"d {seed}" if data is None else data}))
    return rows


LUCK = {1: 0.0, 2: 3.0, 3: -2.0, 4: 1.0}  # of the data of a seed, for every setting
NOISE = {0.1: [0.0, 0.02, -0.01, 0.01], 0.2: [0.51, 0.49, 0.52, 0.48], 0.3: [0.9, 0.8, -0.9, -0.7]}
GRID = {(lr, seed): 5 + LUCK[seed] + NOISE[lr][k] for lr in NOISE for k, seed in enumerate(LUCK)}


@pytest.mark.parametrize("maximize", [False, True])
def test_means_and_differences_in_pairs(maximize: bool) -> None:
    found = ranked(rows_of(GRID), maximize, over_seeds=True)
    order = sorted(NOISE, key=lambda lr: np.mean(NOISE[lr]), reverse=maximize)
    assert [setting.first.swept["lr"] for setting in found] == order
    for setting, lr in zip(found, order):
        values = np.array([GRID[lr, seed] for seed in LUCK])
        d = values - np.array([GRID[order[0], seed] for seed in LUCK])
        assert (setting.mean, setting.standard_error) == pytest.approx((values.mean(), stats.sem(values)))
        assert (setting.difference, setting.difference_error) == pytest.approx((d.mean(), stats.sem(d)), abs=1e-12)
        assert setting.metrics == pytest.approx({"val/nll": values.mean(), "val/mae": 2 * values.mean()})
    close = {setting.first.swept["lr"] for setting in found[1:] if setting.close}
    assert close == {0.3}  # 0.2 is half a unit off in every seed, 0.3 by chance


def test_the_best_is_not_the_luckiest() -> None:
    rows = rows_of(GRID)
    luckiest = min(rows, key=lambda row: row.objective or 0.0)
    best = best_setting(rows, maximize=False)
    assert best is not None
    assert luckiest.swept["lr"] == 0.3
    assert (best.first.swept["lr"], best.first.job) == (0.1, 0)
    said = summary(rows)
    assert "the best:" not in said
    assert "not distinguishable from lr=0.1, within two standard errors: lr=0.3" in said


def test_where_data_are_the_same_a_job_is_the_best() -> None:
    """The seeds are those of initial values and of the order."""
    rows = rows_of(GRID, "d 0")
    assert not data_vary(rows)
    best = best_setting(rows, maximize=False)
    assert best is not None
    assert best.first is min(rows, key=lambda row: row.objective or 0.0)
    assert "the best:" in summary(rows)


def test_a_setting_that_fails_on_some_data_comes_after_those_that_do_not() -> None:
    """It had an easy seed; the others are compared on all that they share."""
    values: Values = {**GRID, **{(0.1, seed): None for seed in (1, 2, 4)}}
    found = ranked(rows_of(values), False, over_seeds=True)
    assert [setting.first.swept["lr"] for setting in found] == [0.3, 0.2, 0.1]
    assert found[2].mean == GRID[0.1, 3] < found[0].mean
    assert math.isnan(found[2].difference)
    lines = [line.split() for line in summary(rows_of(values)).splitlines()]
    assert ["0.1", f"{GRID[0.1, 3]:.6g}", "nan", "nan", "nan", "1", "3"] in lines


def test_one_seed_and_infinite_objectives_know_no_error() -> None:
    one = {key: value for key, value in GRID.items() if key[1] == 1}
    found = ranked(rows_of(one), False, over_seeds=True)
    assert all(math.isnan(setting.difference_error) for setting in found)
    assert not any(setting.close for setting in found)
    infinite = ranked(rows_of({**GRID, (0.1, 1): math.inf}), False, over_seeds=True)
    assert infinite[-1].first.swept["lr"] == 0.1
    assert infinite[-1].mean == math.inf


def test_nothing_to_rank() -> None:
    assert best_setting([], False) is None
    assert best_setting(rows_of({(0.1, 1): None, (0.1, 2): None}), False) is None
