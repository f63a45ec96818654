"""A grid that was killed goes on: only what is missing runs."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from study_runs import ONE_STEP, Kept, ended_jobs, journal, until
from study_toy import APP, calls

from command_here import Command
from command_line import QUIET
from soaked import every

SMALL = ["-m", QUIET, "tracking.figures=false", "tracking.model=false", *ONE_STEP]
RATES, SIZES = [0.5, 0.25, 2.0, 1.0], [40, 80]
GRID = [*SMALL, "optimizer.lr=0.5,0.25,2.0,1.0", "data.batch_size=40,80"]
RESUME, TWO = "hydra.sweeper.resume=true", "hydra.sweeper.max_batch_size=2"
ALL = [{"optimizer.lr": rate, "data.batch_size": size} for size, rate in product(SIZES, RATES)]


def kill(command: Command, folder: Path, arguments: Sequence[str], jobs: int) -> None:
    """When so many have ended, and others are under way; with 0 as soon as the sweep has written down what it is."""
    started = command.start(folder, [arguments])
    until(lambda: ended_jobs(folder) >= jobs and list(folder.glob("multirun/*/*/multirun.yaml")), started)
    started.kill()
    assert started.wait()[0].status == -signal.SIGKILL


def check(folder: Path, settings: list[dict[str, Any]]) -> Kept:
    """Every job of the grid has ended once, in the journal and in MLflow, under one parent."""
    kept = Kept(folder)
    assert sorted(swept(kept), key=str) == sorted(settings, key=str)
    children = kept.children("job")
    assert children.keys() == kept.rows.keys()
    parent = kept.parent
    assert parent.info.status == "FINISHED"
    assert parent.data.metrics["sweep/jobs"] == len(settings)
    for job, runs in children.items():
        (run,) = (run for run in runs if run.info.status != "KILLED")
        assert run.info.run_id == kept.rows[job]["run"]
        assert run.info.status == kept.rows[job]["status"]
        assert {run.data.tags["mlflow.parentRunId"] for run in runs} == {parent.info.run_id}
        assert float(run.data.params["optimizer.lr"]) == kept.rows[job]["swept"]["optimizer.lr"]
    return kept


def swept(kept: Kept) -> list[dict[str, Any]]:
    """By job. (The others have one value.)"""
    keys, rows = ("optimizer.lr", "data.batch_size"), sorted(kept.rows.items())
    return [{key: row["swept"][key] for key in keys} for _, row in rows]


def objectives(kept: Kept) -> list[float]:
    return [next(iter(row["objectives"].values())) for _, row in sorted(kept.rows.items())]


@pytest.mark.parametrize("jobs", [2, *(pytest.param(jobs, marks=pytest.mark.soak) for jobs in (0, 5))])
@pytest.mark.soak
def test_killed(command, folder, new_folder, jobs):
    """And killed again when it goes on, before anything more has ended."""
    kill(command, folder, [*GRID, TWO], jobs)
    place = min(folder.glob("multirun/*/*"))
    started = command.start(folder, [[*GRID, RESUME]])
    until(lambda: not jobs or Kept(folder).parent.info.status == "RUNNING", started)
    started.kill()
    started.wait()
    before = journal(place)
    result = command(folder, *GRID, RESUME).succeeded()
    kept = check(folder, ALL)
    assert journal(place)[: len(before)] == before, "a job that had ended ran again"
    assert f"{len(before)} of 8 jobs have ended" in result.out
    assert swept(kept) == ALL, "a job has another number"
    others = [path.name for path in folder.glob("multirun/*/*/*") if path.parent != place]
    assert set(others) <= {"sweep.json"}

    if jobs == 5:
        whole = new_folder("whole")
        command(whole, *GRID, "tracking=none").succeeded()
        assert objectives(Kept(whole)) == pytest.approx(objectives(kept), rel=1e-6)


@pytest.mark.soak
def test_killed_while_jobs_run_one_by_one(command, folder):
    few = [*SMALL, "hydra/launcher=basic", "optimizer.lr=0.5,0.25,2.0"]
    kill(command, folder, few, 1)
    command(folder, *few, RESUME).succeeded()
    kept = check(folder, [{"optimizer.lr": rate, "data.batch_size": 80} for rate in RATES[:3]])
    assert {path.name for path in kept.place.iterdir() if path.name.isdigit()} == {"0", "1", "2"}


def test_nothing_is_missing(command, folder):
    command(folder, *GRID).succeeded()
    before, runs = journal(Kept(folder).place), {run.info.run_id for run in Kept(folder).runs}
    result = command(folder, *GRID, RESUME).succeeded()
    assert "8 of 8 jobs have ended" in result.out
    kept = check(folder, ALL)
    assert journal(kept.place) == before
    assert {run.info.run_id for run in kept.runs} == runs


@pytest.mark.soak
def test_nothing_is_missing_and_some_have_failed(command, folder):
    """They are not tried again: the same configuration fails again. The status says so each time."""
    few = [*SMALL, "optimizer.lr=0.5,1e300,0.25"]
    for more in ([], [RESUME], [RESUME]):
        result = command(folder, *few, *more)
        assert result.status == 1
        assert "1 of 3 jobs failed; job 1:" in result.err
    kept = check(folder, [{"optimizer.lr": rate, "data.batch_size": 80} for rate in (0.5, 1e300, 0.25)])
    assert [row["status"] for _, row in sorted(kept.rows.items())] == ["FINISHED", "FAILED", "FINISHED"]


def test_the_first_time(command, folder):
    """There is nothing to go on with."""
    command(folder, *GRID, RESUME).succeeded()
    check(folder, ALL)


@pytest.mark.soak
def test_a_range_that_grows(command, folder):
    """In the folder that is named; jobs whose numbers are taken get others."""
    command(folder, *GRID).succeeded()
    place = Kept(folder).place
    before = journal(place)
    command(folder, *GRID[:-1], "data.batch_size=40,20,80", RESUME, f"hydra.sweep.dir={place}").succeeded()
    more = [{"optimizer.lr": rate, "data.batch_size": 20} for rate in RATES]
    kept = check(folder, ALL + more)
    assert journal(place)[:8] == before
    assert sorted(kept.rows) == list(range(12))
    command(folder, *GRID[:-1], "data.batch_size=40,20,80", RESUME).succeeded()
    check(folder, ALL + more)


@pytest.mark.soak
def test_another_configuration(command, folder):
    """Jobs that are not the same run anew, under numbers of their own."""
    command(folder, *SMALL, "optimizer.lr=0.5,0.25").succeeded()
    place = Kept(folder).place
    command(
        folder, *SMALL, "optimizer.lr=0.5,0.25", "data.batch_size=20", RESUME, f"hydra.sweep.dir={place}"
    ).succeeded()
    rows = Kept(folder).rows
    assert sorted(rows) == [0, 1, 2, 3]
    assert rows[0]["objectives"] != rows[2]["objectives"]
    command(folder, *SMALL, "optimizer.lr=0.5,0.25", "data.batch_size=10", RESUME).succeeded()
    assert len(Kept(folder).places) == 2, "it went on with a sweep of other overrides"


@pytest.mark.parametrize(
    ("name", "place"),
    [
        ("plain", "out/${now:%Y}/at_${now:%H-%M-%S-%f}"),
        ("a [1] *", "${hydra.job.name}-${now:%S-%f}"),
        ("plain", "of ${now:%S-%f}/${oc.env:NOWHERE,${hydra.job.name}}"),
    ],
)
@pytest.mark.soak
def test_folders_of_any_name(command, new_folder, name, place):
    folder = new_folder(name)
    arguments = [*SMALL, "optimizer.lr=0.5,0.25", f"hydra.sweep.dir='{place}'", "tracking=none"]
    command(folder, *arguments).succeeded()
    (found,) = Kept(folder).places
    command(folder, *arguments, "seed=0").succeeded()
    before = journal(found)
    command(folder, *arguments, RESUME).succeeded()
    assert len(Kept(folder).places) == 2
    assert journal(found) == before


@pytest.mark.parametrize("torn", every(5, ["hydra:\n  overrides:\n    ta", "", "{[", "other: 1\n", "- 1\n"]))
def test_what_others_have_left_is_passed_over(command, new_folder, torn):
    """A sweep that was killed in its first moment, and files of somebody else."""
    folder = new_folder("here")
    arguments = [*SMALL, "optimizer.lr=0.5,0.25", "tracking=none"]
    command(folder, *arguments).succeeded()
    place = Kept(folder).place
    other = place.parent / "other"
    other.mkdir()
    (other / "multirun.yaml").write_text(torn)
    before = journal(place)
    command(folder, *arguments, RESUME).succeeded()
    assert journal(place) == before
    assert Kept(folder).places == sorted([place, other])


@pytest.mark.soak
def test_of_several_the_newest(command, folder):
    arguments = [*SMALL, "optimizer.lr=0.5,0.25", "tracking=none"]
    for _ in range(2):
        command(folder, *arguments).succeeded()
    old, new = Kept(folder).places
    (new / "jobs.jsonl").unlink()
    before = journal(old)
    command(folder, *arguments, RESUME).succeeded()
    assert len(journal(new)) == 2
    assert journal(old) == before


def test_a_task_that_does_not_know(command, tmp_path):
    result = command.script(tmp_path, APP, "-m", "hydra/sweeper=grid", RESUME, "x=1,2")
    assert result.status == 1
    said = "hydra.sweeper.resume=true needs a task that knows which of its jobs have ended (an attribute `recover`)"
    assert said in result.err
    assert "it must be false" in result.err
    assert calls(tmp_path) == []
