"""Which job is the best of a sweep, what is kept of it, and where."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from mlflow.entities import Run
from search_study import CONFIRMS_FROM, End, own_metrics
from sweep_batches import SMALL, run_jobs
from sweep_jobs import Bar, jobs_of, run_group
from sweep_runs import PARENT, artifacts

from command_line import client
from fast_configs import configuration
from hydra_members.protocol import Batch, BatchJob
from noiseworks.runs import journal
from noiseworks.runs.journal import Row
from noiseworks.runs.result import JobResult
from noiseworks.sweep.batch import run_batch
from noiseworks.sweep.best import Best
from noiseworks.sweep.groups import GIB, make_groups
from noiseworks.sweep.table import best_first, summary
from noiseworks.tracking.parents import StudyFacts

RATES = [0.003, 0.1, 0.001, 0.03]


def train(*more: str) -> list[JobResult]:
    """Jobs 0 to 3, of which 1 and 2 are the best and the worst."""
    jobs = jobs_of([configuration([*SMALL, "tracking=none", f"optimizer.lr={lr}", *more]) for lr in RATES])
    ended = [each for group in make_groups(jobs, 4 * GIB) for each in run_group(group, Bar())]
    return sorted(ended, key=lambda each: each.num)


@pytest.fixture(scope="module")
def trained() -> list[JobResult]:
    ended = train()
    assert sorted(range(4), key=lambda k: ended[k].value)[0] == 1
    assert sorted(range(4), key=lambda k: ended[k].value)[-1] == 2
    return ended


def keep(folder: Path, ended: list[JobResult]) -> int | None:
    """The job that is kept."""
    best = Best(folder)
    journal.append(folder, [Row.of(each) for each in ended])
    for each in ended:
        best.offer(each)
    best.save()
    job = Best(folder).job()
    return None if job is None else job["job"]


def study_in(folder: Path, *directions: str) -> None:
    (folder / "study.json").write_text(json.dumps(asdict(StudyFacts("a-study", "1", [*directions], CONFIRMS_FROM))))


def test_the_smallest(tmp_path, trained):
    assert keep(tmp_path, trained) == 1
    assert json.loads((tmp_path / "best" / "job.json").read_text())["objective"] == trained[1].value


@pytest.mark.parametrize(("direction", "job"), [("minimize", 1), ("maximize", 2)])
def test_the_direction_of_the_study(tmp_path, trained, direction, job):
    study_in(tmp_path, direction)
    assert keep(tmp_path, trained[:1]) == 0
    assert keep(tmp_path, trained) == job
    assert keep(tmp_path, [trained[0], trained[3]]) == job  # a later batch that is not better


def test_of_equals_the_first(tmp_path, trained):
    twin = replace(trained[1], request=replace(trained[1].request, num=0))
    assert keep(tmp_path, [trained[1], twin]) == 0
    assert keep(tmp_path, [trained[1]]) == 0


def test_what_confirms_is_no_candidate(tmp_path, trained):
    study_in(tmp_path, "minimize")
    confirming = replace(trained[1], request=replace(trained[1].request, num=CONFIRMS_FROM + 1))
    assert keep(tmp_path, [trained[0], confirming]) == 0


def test_what_breaks_a_constraint_is_no_candidate(tmp_path, trained):
    """The largest objective is asked for, and the job that has it has the largest error."""
    errors = sorted(each.metrics["val/mae"] for each in trained)
    assert errors[3] == trained[2].metrics["val/mae"]
    limit = (errors[2] + errors[3]) / 2
    study_in(tmp_path, "maximize")
    limited = train(f"constraints={{val/mae: {limit}}}")
    kept = [each for each in limited if each.metrics["val/mae"] <= limit]
    assert len(kept) == 3
    assert keep(tmp_path, limited) == max(kept, key=lambda each: each.value).num


def test_of_several_objectives_none_is_the_best(tmp_path, trained):
    study_in(tmp_path, "minimize", "minimize")
    assert keep(tmp_path, trained) is None


def test_another_process_was_better(tmp_path, trained):
    """Both began before either had ended."""
    journal.append(tmp_path, [Row.of(each) for each in trained[:2]])
    mine, others = Best(tmp_path), Best(tmp_path)
    mine.offer(trained[0])
    others.offer(trained[1])
    others.save()
    mine.save()
    assert Best(tmp_path).job()["job"] == 1


class Stores:
    """Four jobs, two in each of two stores."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.place = folder, folder / "s"
        self.place.mkdir()
        (self.place / "sweep.json").write_text(json.dumps({"id": "1", "overrides": []}))
        jobs = []
        for num, lr in enumerate(RATES):
            overrides = [f"optimizer.lr={lr}", f"tracking.uri=sqlite:///{folder / 'ab'[num % 2] / 'mlflow.db'}"]
            jobs.append(BatchJob(num, overrides, *configuration([*SMALL, *overrides]), str(self.place / str(num))))
        run_batch(Batch(jobs, str(self.place), 4.0, False, False))
        self.end = End(self.place, None)

    def runs(self, store: str) -> tuple[Run, list[Run]]:
        """The parent and its children."""
        runs = client(self.folder / store).search_runs(["0", "1"])
        (parent,) = (run for run in runs if PARENT not in run.data.tags)
        return parent, [run for run in runs if PARENT in run.data.tags]


def test_the_best_is_kept_only_where_it_lives(tmp_path):
    stores = Stores(tmp_path)
    rows = journal.read(stores.place)
    (there, theirs), (elsewhere, others) = stores.runs("b"), stores.runs("a")
    assert there.data.tags["best"] == rows[1].run
    assert own_metrics(there, "best/") == pytest.approx(rows[1].metrics)
    assert "figures/loss.png" in artifacts(there)
    assert {run.info.run_id for run in theirs if "figures/loss.png" in artifacts(run)} == {rows[1].run}
    assert "best" not in elsewhere.data.tags
    assert own_metrics(elsewhere, "best/") == {}
    for run in (elsewhere, *others):
        assert not any("figures/" in path for path in artifacts(run))
    for parent in (there, elsewhere):
        assert own_metrics(parent, "sweep/") == {"jobs": 4, "finished": 4, "failed": 0, "killed": 0}
        assert "sweep.parquet" in artifacts(parent)


def test_jobs_that_were_stopped_are_counted(tmp_path):
    run_jobs(tmp_path, [[f"optimizer.lr={lr}"] for lr in RATES[:2]], SMALL)
    killed = Row(2, {"optimizer.lr": 1.0}, "KILLED", None, {}, None, {}, None, "", "at epoch 1")
    journal.append(tmp_path / "s", [killed])
    end = End(tmp_path / "s", None)
    assert end.complaint is None
    assert end.blocks[0] == "1 KILLED, 2 FINISHED"
    (parent,) = (run for run in client(tmp_path).search_runs(["0", "1"]) if PARENT not in run.data.tags)
    assert own_metrics(parent, "sweep/") == {"jobs": 3, "finished": 2, "failed": 0, "killed": 1}
    assert parent.info.status == "FINISHED"


def rows_of(values: list[float], name: str = "val/nll", **metrics: list[float]) -> list[Row]:
    named = [{metric.replace("_", "/"): of[k] for metric, of in metrics.items()} for k in range(len(values))]
    return [Row(k, {"lr": k}, "FINISHED", None, {name: v}, None, named[k], None) for k, v in enumerate(values)]


@pytest.mark.parametrize(("maximize", "order"), [(False, [2, 0, 3, 1]), (True, [1, 0, 3, 2])])
def test_the_table_of_the_best(maximize, order):
    rows = rows_of([2.0, 3.0, 1.0, 2.0], val_nll=[2.0, 3.0, 1.0, 2.0])
    assert [row.job for row in best_first(rows, maximize)] == order
    lines = summary(rows, maximize).split("the best:\n\n")[1].splitlines()
    assert [int(line.split()[0]) for line in lines[2:]] == order


def test_the_column_is_called_after_the_metric_that_was_asked_for():
    """Also where another has the same values."""
    asked = rows_of([2.0, 3.0], "trainer/steps", val_nll=[2.0, 3.0], trainer_epochs=[2.0, 3.0])
    assert "  trainer/steps  " in summary(asked)
    assert "  val/nll  " in summary(rows_of([5.0, 6.0], val_nll=[5.0, 6.0], val_mae=[5.0, 6.0]))
