"""Signals, and commands that start at the same moment."""

from __future__ import annotations

import json
import signal
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from mlflow.artifacts import download_artifacts

from command_line import QUIET, client, finish, runs, start
from noiseworks.tracking.live_run import undisturbed

PLAIN = [QUIET, "tracking.figures=false", "tracking.model=false"]


def metrics_written(folder: Path) -> int:
    try:
        with closing(sqlite3.connect(f"file:{folder / 'mlflow.db'}?mode=ro", uri=True, timeout=10)) as database:
            return database.execute("select count(*) from latest_metrics").fetchone()[0]
    except sqlite3.OperationalError:  # not there yet
        return 0


SIGTERM = pytest.param(signal.SIGTERM, 143, marks=pytest.mark.soak)


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), SIGTERM])
def test_a_signal_leaves_a_killed_run(tmp_path, number, status):
    process = start(tmp_path, "trainer.max_epochs=100000", *PLAIN)
    try:
        for _ in range(600):
            time.sleep(0.1)
            if process.poll() is not None or metrics_written(tmp_path):
                break
        process.send_signal(number)
        result = finish(process)
    finally:
        process.kill()
    assert result.status == status
    assert "Traceback" not in result.err
    assert "Error" not in result.err
    (run,) = runs(tmp_path)
    assert run.info.status == "KILLED"
    assert run.data.metrics["train/nll"] > 0  # what was buffered is there


def test_a_signal_waits_for_a_write():
    """Else SQLite would stay locked, and the run could not be marked as killed."""

    def stop(number, frame):
        raise SystemExit(128 + number)

    before, written = signal.signal(signal.SIGTERM, stop), []

    def write():
        with undisturbed():
            signal.raise_signal(signal.SIGTERM)
            written.append(True)

    try:
        with pytest.raises(SystemExit, match="143"):
            write()
        assert signal.getsignal(signal.SIGTERM) is stop
    finally:
        signal.signal(signal.SIGTERM, before)
    assert written


@pytest.fixture(scope="module")
def crowd(command, tmp_path_factory) -> Path:
    """A fresh folder in which four commands started at the same moment."""
    folder = tmp_path_factory.mktemp("crowd")
    commands = [[f"seed={seed}", "trainer.max_epochs=2", *PLAIN] for seed in range(4)]
    for result in command.together(folder, commands):
        result.succeeded()
    return folder


@pytest.mark.soak
def test_four_commands_at_once_are_four_runs(crowd):
    """The first to come makes the store and the experiment."""
    found = runs(crowd)
    assert sorted(run.data.params["seed"] for run in found) == ["0", "1", "2", "3"]
    assert {run.info.status for run in found} == {"FINISHED"}
    assert len({run.info.experiment_id for run in found}) == 1
    assert [e.name for e in client(crowd).search_experiments()].count("default") == 1


@pytest.mark.soak
def test_four_commands_at_once_have_files_of_their_own(crowd):
    assert len(list(crowd.glob("outputs/*/*"))) == 4
    for run in runs(crowd):
        there = Path(download_artifacts(run_id=run.info.run_id, tracking_uri=f"sqlite:///{crowd / 'mlflow.db'}"))
        assert f"seed: {run.data.params['seed']}\n" in (there / "config.yaml").read_text()
        metrics = json.loads((there / "metrics.json").read_text())
        assert metrics["val/nll"] == pytest.approx(run.data.metrics["val/nll"])
