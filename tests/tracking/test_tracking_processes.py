"""Several writers at once, and writers that are stopped."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tracking_runs import PARTS, connect, plain_runs

NewStore = Callable[[str], str]
WRITER = Path(__file__).with_name("tracking_writer.py")
ROWS = {"runs": 1, "params": 3, "tags": 3, "metrics": 4, "latest_metrics": 2, "inputs": 1}  # of a plain run


def start(uri: str, way: str, number: int, data: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(WRITER), uri, way, str(number), data])


def assert_whole(uri: str, number: int | None = None) -> int:
    """Every run that is there has all its rows and files; their number."""
    with connect(uri) as connection:
        found = connection.execute("select run_uuid, artifact_uri from runs where name like 'run %'").fetchall()
        for table in PARTS:
            owner = "destination_id" if table == "inputs" else "run_uuid"
            rows = Counter(run_id for (run_id,) in connection.execute(f"select {owner} from {table}"))
            assert {rows[run_id] for run_id, _ in found} == {ROWS[table]}, table
        assert {
            end for (end,) in connection.execute("select end_time - start_time from runs where name like 'run %'")
        } == {9}
    for _, home in found:
        for path, content in plain_runs(1)[0].files.items():
            assert Path(home.removeprefix("file://"), path).read_bytes() == content
    assert number is None or len(found) == number
    return len(found)


def number_of_runs(uri: str) -> int:
    try:
        with connect(uri) as connection:
            return connection.execute("select count(*) from runs where name like 'run %'").fetchone()[0]
    except sqlite3.OperationalError:  # not made yet
        return 0


@pytest.mark.soak
def test_two_processes_into_a_fresh_store(tmp_path: Path) -> None:
    """Of a data set that both use, the store has one."""
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    writers = [start(uri, "fast", 400, "shared"), start(uri, "fast", 400, "shared")]
    assert [writer.wait(timeout=120) for writer in writers] == [0, 0]
    assert_whole(uri, 800)
    with connect(uri) as connection:
        assert connection.execute("select name from datasets").fetchall() == [("shared",)]
        assert len(connection.execute("select distinct source_id from inputs").fetchall()) == 1


@pytest.mark.parametrize(
    ("way", "number"),
    [
        ("fast", signal.SIGKILL),
        pytest.param("fast", signal.SIGTERM, marks=pytest.mark.soak),
        pytest.param("public", signal.SIGTERM, marks=pytest.mark.soak),
    ],
)
@pytest.mark.soak
def test_a_stopped_writer_leaves_whole_runs(
    new_store: NewStore, seed_store: Path, way: str, number: signal.Signals
) -> None:
    """What can wait for the end of a write leaves no files without a run either."""
    uri = new_store("a")
    home = seed_store.parent / "mlartifacts" / "sweeps"
    before = set(os.listdir(home)) if home.exists() else set()
    writer = start(uri, way, 100_000, "prices")
    try:
        while number_of_runs(uri) == 0:
            assert writer.poll() is None
            time.sleep(0.01)
        time.sleep(0.2)
        writer.send_signal(number)
        assert writer.wait(timeout=60) == -number
    finally:
        writer.kill()
        writer.wait()
    runs = assert_whole(uri)
    if number != signal.SIGKILL:
        assert len(set(os.listdir(home)) - before) == runs
    assert runs % (50 if way == "fast" else 8) == 0
