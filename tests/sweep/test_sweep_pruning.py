"""Jobs that the sweeper stops while they train: which, when, what is left of them, and that their work stops."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import pytest
from sweep_batches import SMALL, Reports, child, curve, journal, run_jobs
from sweep_jobs import Bar, make_jobs, run_group
from sweep_runs import artifacts, coefficients

from noiseworks.errors import FitFailed, UserError
from noiseworks.sweep.groups import GIB, make_groups
from noiseworks.train.module import Minibatch

EPOCHS, STEPS = 6, 3  # minibatches an epoch
TRACKED = [*SMALL, "tracking.trajectory=true", "tracking.curve_points=1000", "tracking.model=false"]
ADAM = ["noise=laplace", "optimizer=adam"]
JOBS = [  # those with Adam are the second group
    ["optimizer.lr=0.1"],
    [*ADAM, "optimizer.lr=0.1"],
    ["optimizer.lr=0.02"],
    [*ADAM, "optimizer.lr=0.02"],
    ["optimizer.lr=0.1", "replicates=3"],
    [*ADAM, "optimizer.lr=0.05", "replicates=2"],
    ["optimizer.lr=1e300"],
    ["optimizer.lr=0.3", "seed=1"],
    [*ADAM, "optimizer.lr=0.3", "seed=1", "objective=val/mae"],
    ["optimizer.lr=0.1", "schedule.averaging=true", "schedule.averaging_start=0"],
    ["optimizer.lr=0.05", "objective=param/error"],
]
DIVERGES = 6
STOPPED = {0: 1, 3: 2, 4: 2, 9: 4, 5: 5}  # job -> epoch
STOP = {1: [0, 99, DIVERGES], 2: [3, 4, 0], 4: [9], 5: [5], 6: [1, 2, 7, 8, 10]}  # nobody is stopped in the last
GO_ON = [k for k in range(len(JOBS)) if k not in STOPPED and k != DIVERGES]
NAMES = {8: "val/mae", 10: "param/error"}


class Both:
    """The same jobs with pruning and without."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.report = folder, Reports(STOP)
        self.pruned = run_jobs(folder, JOBS, TRACKED, self.report, "pruned")
        self.whole = run_jobs(folder, JOBS, TRACKED, None, "whole")

    def curve(self, num: int, name: str, metric: str) -> dict[int, float]:
        """Epoch, from 1 -> value, as MLflow has it."""
        points = curve(self.folder, child(self.folder, num, name), metric)
        return {(step + 1) // STEPS: value for step, value in points.items()}


@pytest.fixture(scope="module")
def both(tmp_path_factory) -> Both:
    return Both(tmp_path_factory.mktemp("both"))


def is_pruned(result: Any) -> bool:
    return isinstance(result, optuna.TrialPruned)


def test_exactly_those_are_stopped(both):
    said = {num: str(result) for num, result in enumerate(both.pruned) if is_pruned(result)}
    assert said == {num: f"at epoch {epoch}" for num, epoch in STOPPED.items()}
    assert isinstance(both.pruned[DIVERGES], FitFailed)
    assert all(isinstance(both.pruned[num], float) for num in GO_ON)
    assert [type(result) for result in both.whole] == [float] * 6 + [FitFailed] + [float] * 4


def test_the_others_end_as_without_pruning(both):
    for num in GO_ON:
        assert both.pruned[num] == pytest.approx(both.whole[num], rel=1e-12, abs=0)
        ours, theirs = (coefficients(child(both.folder, num, name)) for name in ("pruned", "whole"))
        assert ours["coefficients"] == pytest.approx(theirs["coefficients"], rel=1e-12, abs=0)
        ours, theirs = (both.curve(num, name, "val/nll") for name in ("pruned", "whole"))
        assert list(ours) == list(range(1, EPOCHS + 1))
        assert ours == pytest.approx(theirs, rel=1e-12, abs=0)


def test_what_is_reported_is_the_curve_in_mlflow(both):
    for num in range(len(JOBS)):
        last = STOPPED.get(num, EPOCHS)
        told = both.report.of(num)
        if num == DIVERGES:
            assert list(told) == [1]
            assert math.isnan(told[1])
            continue
        assert list(told) == list(range(1, last + 1))
        whole = both.curve(num, "whole", NAMES.get(num, "val/nll"))
        assert told == pytest.approx({epoch: whole[epoch] for epoch in told}, rel=1e-12, abs=0)
        assert told == pytest.approx(both.curve(num, "pruned", NAMES.get(num, "val/nll")), rel=1e-12, abs=0)


def test_each_group_reports_each_epoch(both):
    first = {num for num, overrides in enumerate(JOBS) if "optimizer=adam" not in overrides}
    by_group = [[e for e, values in both.report.told if (min(values) in first) == own] for own in (True, False)]
    assert by_group == [list(range(1, EPOCHS + 1))] * 2
    assert all(set(values) <= first or not set(values) & first for _, values in both.report.told)


def test_statuses_and_tags(both):
    for num in range(len(JOBS)):
        run, whole = child(both.folder, num, "pruned"), child(both.folder, num, "whole")
        assert "pruned" not in whole.data.tags
        if num in STOPPED:
            assert run.info.status == "KILLED"
            assert run.data.tags["pruned"] == f"at epoch {STOPPED[num]}"
            assert "failure" not in run.data.tags
        else:
            assert run.info.status == whole.info.status == ("FAILED" if num == DIVERGES else "FINISHED")
            assert "pruned" not in run.data.tags
            assert ("failure" in run.data.tags) == (num == DIVERGES)


def test_the_journal(both):
    rows = journal(both.folder, "pruned")
    for num, row in rows.items():
        at = STOPPED.get(num)
        assert row["pruned"] == (at and f"at epoch {at}")
        assert row["status"] == ("KILLED" if at else "FAILED" if num == DIVERGES else "FINISHED")
        assert (row["failure"] is None) == (num != DIVERGES)
        assert row["objective"] == (both.pruned[num] if num in GO_ON else None)


def test_what_is_kept_is_that_of_its_last_epoch(both):
    for num, epoch in STOPPED.items():
        run, whole = child(both.folder, num, "pruned"), child(both.folder, num, "whole")
        for metric in ("val/nll", "train/rmse", "param/error"):
            expected = both.curve(num, "whole", metric)[epoch]
            assert run.data.metrics[metric] == pytest.approx(expected, rel=1e-12, abs=0)
        assert run.data.metrics["trainer/epochs"] == epoch
        assert run.data.metrics["trainer/steps"] == STEPS * epoch
        path = pd.read_parquet(artifacts(whole)["trajectory.parquet"])
        iterates = path[path["step"] < STEPS * epoch] if num == 9 else path[path["step"] == STEPS * epoch - 1]
        for term, value in coefficients(run)["coefficients"].items():
            assert value == pytest.approx(iterates[term].mean(), rel=1e-10)
        own = pd.read_parquet(artifacts(run)["trajectory.parquet"])
        assert len(own) == len(path[path["step"] < STEPS * epoch])


def test_the_best_is_no_pruned_job(tmp_path):
    rates = [["optimizer.lr=0.1"], ["optimizer.lr=0.01"], ["optimizer.lr=0.02"]]
    values = run_jobs(tmp_path, rates, name="whole")
    assert values[0] == min(values)
    results = run_jobs(tmp_path, rates, report=Reports({5: [0]}), name="pruned")
    assert is_pruned(results[0])
    best = json.loads((tmp_path / "pruned" / "best" / "job.json").read_text())
    assert best["job"] == min((1, 2), key=lambda k: values[k])


@pytest.fixture
def work(monkeypatch) -> list[int]:
    """How many members each gradient was taken for."""
    sizes: list[int] = []
    gradient = Minibatch.gradient

    def counted(self, theta):
        sizes.append(len(theta))
        return gradient(self, theta)

    monkeypatch.setattr(Minibatch, "gradient", counted)
    return sizes


def test_work_stops(tmp_path, work):
    """16 jobs, of which 4 go on after the first epoch and 1 after the second: 16 + 4 + 4 * 1 epochs of members."""
    report = Reports({1: range(4, 16), 2: [1, 2, 3]})
    results = run_jobs(tmp_path, [[f"seed={seed}"] for seed in range(16)], report=report)
    assert work == [16] * STEPS + [4] * STEPS + [1] * STEPS * 4
    assert [is_pruned(result) for result in results] == [False] + [True] * 15


@pytest.mark.soak
def test_the_bar_counts_what_will_not_be_done():
    jobs = make_jobs([[f"replicates={1 + seed % 2}", "trainer.max_epochs=5"] for seed in range(6)])
    (group,) = make_groups(jobs, GIB)
    bar = Bar()
    ended = list(run_group(group, bar, Reports({1: [1, 2, 3]})))
    assert [e.outcome.pruned for e in ended] == [{}, {0: 1, 1: 1}, {0: 1}, {0: 1, 1: 1}, {}, {}]
    assert bar.told[0] == pytest.approx(9 / 5 + 5 * 4 / 5)
    assert sum(bar.told) == pytest.approx(9)


def test_when_all_are_stopped_so_is_the_training(tmp_path, work):
    report = Reports({2: [0, 1, 2]})
    assert all(map(is_pruned, run_jobs(tmp_path, [["seed=0"], ["seed=1"], ["seed=2"]], report=report)))
    assert work == [3] * STEPS * 2
    assert [epoch for epoch, _ in report.told] == [1, 2]


def test_replicates_leave_together(tmp_path, work):
    jobs = [["replicates=5"], ["replicates=3", "optimizer.lr=0.01"], ["seed=1"]]
    report = Reports({3: [0]})
    results = run_jobs(tmp_path, jobs, TRACKED, report)
    assert work == [9] * STEPS * 3 + [4] * STEPS * 3
    assert list(map(is_pruned, results)) == [True, False, False]
    copies = pd.read_parquet(artifacts(child(tmp_path, 0))["replicates.parquet"])
    assert set(copies["trainer/epochs"]) == {3}
    assert report.of(0)[3] == pytest.approx(copies["val/nll"].mean(), rel=1e-12)
    copies = pd.read_parquet(artifacts(child(tmp_path, 1))["replicates.parquet"])
    assert report.of(1)[EPOCHS] == pytest.approx(copies["val/nll"].mean(), rel=1e-12)
    assert results[1] == pytest.approx(copies["val/nll"].mean(), rel=1e-12)


# 16 copies of heavy-tailed counts: with this step size some diverge, in the first epochs, and some do not.
DIVERGING = ["data.num_features=3", "noise=poisson", "data.signal=2.5", "replicates=16", "optimizer.lr=0.35"]


@pytest.mark.soak
def test_a_job_of_which_a_replicate_diverged(tmp_path):
    """It is nan from then on. If it is stopped then, or later, it is pruned, not failed."""
    jobs = [DIVERGING, [*DIVERGING[:3], "optimizer.lr=0.01"]]
    base = [*TRACKED, "data.batch_size=32", "data.num_examples=50", "data.val_fraction=0"]
    free = Reports()
    result, other = run_jobs(tmp_path, jobs, base, free, "free")
    run, nan = child(tmp_path, 0, "free"), [math.isnan(value) for value in free.of(0).values()]
    copies = pd.read_parquet(artifacts(run)["replicates.parquet"])
    assert 0 < copies["failure"].notna().sum() < 16
    assert result == math.inf
    assert math.isfinite(other)
    assert run.info.status == "FINISHED"
    assert "failure" in run.data.tags
    assert len(nan) == EPOCHS
    assert nan == sorted(nan)
    first = nan.index(True) + 1
    assert first < EPOCHS - 1
    for stop_at in (first, first + 1):
        report = Reports({stop_at: [0]})
        result, same = run_jobs(tmp_path, jobs, base, report, f"stopped at {stop_at}")
        run = child(tmp_path, 0, f"stopped at {stop_at}")
        assert is_pruned(result)
        assert same == pytest.approx(other, rel=1e-12)
        assert list(report.of(0)) == list(range(1, stop_at + 1))
        assert run.info.status == "KILLED"
        assert run.data.tags["pruned"] == f"at epoch {stop_at}"
        assert "failure" not in run.data.tags
        assert journal(tmp_path, f"stopped at {stop_at}")[0]["failure"] is None


IMPATIENT = ["trainer.patience=2", "trainer.max_epochs=12", "optimizer.lr=0.9"]


@pytest.mark.soak
def test_patience_and_pruning(tmp_path, work):
    """What has ended by patience is not asked about again, and an answer that comes with its end is late."""
    jobs = [[f"seed={seed}"] for seed in range(12)]
    free = run_jobs(tmp_path, jobs, [*TRACKED, *IMPATIENT], Reports(), "free")
    epochs = {num: row["metrics"]["trainer/epochs"] for num, row in journal(tmp_path, "free").items()}
    late = min(epochs, key=epochs.__getitem__)  # stopped when it ends
    early = max(epochs, key=epochs.__getitem__)  # stopped before it ends
    assert epochs[early] - 1 > epochs[late]
    work.clear()
    stop = {int(epochs[late]): [late], int(epochs[early]) - 1: [early]}
    report = Reports(stop)
    results = run_jobs(tmp_path, jobs, [*TRACKED, *IMPATIENT], report, "pruned")
    assert [num for num, result in enumerate(results) if is_pruned(result)] == [early]
    assert sum(work) == STEPS * (sum(epochs.values()) - 1)
    for num in set(range(12)) - {early}:
        assert results[num] == pytest.approx(free[num], rel=1e-12, abs=0)
        assert list(report.of(num)) == list(range(1, int(epochs[num]) + 1))
    values = report.of(early)
    run = child(tmp_path, early, "pruned")
    assert run.data.metrics["val/nll"] == pytest.approx(min(values.values()), rel=1e-12)
    assert run.data.metrics["trainer/epochs"] == len(values) == epochs[early] - 1


def test_replicates_that_end_by_patience_leave_the_mean(tmp_path):
    report = Reports()
    run_jobs(tmp_path, [["replicates=6"]], [*TRACKED, *IMPATIENT], report)
    run = child(tmp_path, 0)
    copies = pd.read_parquet(artifacts(run)["replicates.parquet"])
    assert copies["trainer/epochs"].nunique() > 1
    shown = {(step + 1) // STEPS: value for step, value in curve(tmp_path, run, "val/nll").items()}
    told = report.of(0)
    assert len(told) == copies["trainer/epochs"].max()
    del told[max(told)], shown[max(shown)]  # the last point in MLflow is that of the answers
    assert told == pytest.approx({epoch: shown[epoch] for epoch in told}, rel=1e-12)


def test_train_nll_where_nothing_validates(tmp_path):
    report = Reports({2: [1]})
    jobs = [["optimizer.lr=0.1"], ["optimizer.lr=0.01"]]
    results = run_jobs(tmp_path, jobs, [*TRACKED, "data.val_fraction=0"], report)
    shown = curve(tmp_path, child(tmp_path, 0), "train/nll")
    assert list(report.of(0).values()) == pytest.approx([shown[step] for step in sorted(shown)], rel=1e-12)
    assert results[0] == report.of(0)[EPOCHS]
    assert is_pruned(results[1])


def test_an_exact_answer_has_no_epochs(tmp_path):
    report = Reports({1: [0, 1]})
    results = run_jobs(tmp_path, [["optimizer=exact", "data.val_fraction=0.2"], ["seed=1"]], report=report)
    assert isinstance(results[0], float)
    assert is_pruned(results[1])
    assert report.of(0) == {}


def test_what_is_not_known_is_not_reported(tmp_path):
    """A network has no exact answer to be near to."""
    report = Reports({1: [0]})
    jobs = [["model=two_layer", "objective=param/error"], ["objective=param/error"]]
    results = run_jobs(tmp_path, jobs, report=report)
    assert isinstance(results[0], FitFailed)
    assert "objective=param/error" in str(results[0])
    assert report.of(0) == {}
    assert len(report.of(1)) == EPOCHS


@pytest.mark.parametrize("objective", ["test/nll", "trainer/epochs", "train/loss", "val/nlll", "[val/nll,val/mae]"])
def test_an_objective_by_which_nothing_can_be_pruned(tmp_path, work, objective):
    jobs = [["seed=0"], [f"objective={objective}"]]
    report = Reports()
    with pytest.raises(UserError) as error:
        run_jobs(tmp_path, jobs, TRACKED, report)
    said = str(error.value)
    assert said.startswith(f"Job 1 (objective={objective}): objective={objective.replace(',', ', ')} ")
    for part in ("val/nll", "param/error", "null", "Nothing was started"):
        assert part in said
    assert not work
    assert not report.told
    assert not (tmp_path / "mlflow.db").exists()
    assert not (tmp_path / "s" / "jobs.jsonl").exists()
