"""A sweep that somebody stops keeps what has ended, and leaves no run RUNNING."""

from __future__ import annotations

import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from sweep_runs import BASIC, Left, coefficients

from command_line import QUIET, finish, start

LONG = [QUIET, "hydra.sweep.dir=s", "data=synthetic", "data.num_examples=60", "trainer.max_epochs=2,100000"]


def count(folder: Path, status: str) -> int:
    try:
        with closing(sqlite3.connect(f"file:{folder / 'mlflow.db'}?mode=ro", uri=True, timeout=10)) as database:
            return database.execute("select count(*) from runs where status = ?", (status,)).fetchone()[0]
    except sqlite3.OperationalError:  # not there yet
        return 0


def stopped(folder: Path, number: int, running: int, *arguments: str) -> Left:
    """The sweep, ended by a signal when its first jobs have ended and `running` runs are under way."""
    process = start(folder, "-m", *LONG, *arguments)
    try:
        for _ in range(1200):
            time.sleep(0.1)
            begun = (folder / "s" / "jobs.jsonl").exists() and count(folder, "RUNNING") == running
            if begun or process.poll() is not None:
                break
        time.sleep(0.5)  # into the training
        process.send_signal(number)
        return Left(folder, "s", finish(process))
    finally:
        process.kill()


SIGINT = pytest.param(signal.SIGINT, 130, marks=pytest.mark.soak)


@pytest.mark.parametrize(("number", "status"), [SIGINT, (signal.SIGTERM, 143)])
@pytest.mark.soak
def test_vectorized(tmp_path, number, status):
    """Two groups: the first has ended, of the second nothing has."""
    left = stopped(tmp_path, number, 1, "seed=0,1")
    assert left.result.status == status
    assert "Traceback" not in left.result.err
    assert "Error" not in left.result.err
    assert left.parent.info.status == "KILLED"
    assert left.parent.data.tags["failure"] == "stopped from outside"
    assert count(tmp_path, "RUNNING") == 0
    assert sorted(left.children) == [0, 1]
    assert {run.info.status for run in left.children.values()} == {"FINISHED"}
    assert all(coefficients(run)["scale"] > 0 for run in left.children.values())
    assert [row["job"] for row in left.table] == [0, 1]
    assert left.parent.data.metrics["sweep/jobs"] == 2


@pytest.mark.soak
def test_one_by_one(tmp_path):
    left = stopped(tmp_path, signal.SIGTERM, 2, BASIC)
    assert left.result.status == 143
    assert "Traceback" not in left.result.err
    assert left.parent.info.status == "KILLED"
    assert count(tmp_path, "RUNNING") == 0
    statuses = sorted(run.info.status for run in left.runs if run.info.run_id != left.parent.info.run_id)
    assert statuses == ["FINISHED", "KILLED"]
    assert [(row["job"], row["status"]) for row in left.table] == [(0, "FINISHED")]
