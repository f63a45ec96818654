"""The journal of a sweep: a line for each job, from several processes, of which any may be killed in the middle."""

from __future__ import annotations

import json
import multiprocessing
from dataclasses import replace
from pathlib import Path

import pytest

from noiseworks.runs.journal import JOURNAL, Row, append, read

pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
SWEPT = {"optimizer.lr": 0.1, "noise": "ä\u2028\x85"}
ROW = Row(0, SWEPT, "FINISHED", None, {"val/nll": 0.5}, "r0", {"val/nll": 1e-300}, None, "k")


def rows(*jobs: int) -> list[Row]:
    return [replace(ROW, job=job, run=f"r{job}", returned={"objective": [0.5, float(job)]}) for job in jobs]


def test_what_was_written(tmp_path):
    assert read(tmp_path) == []
    append(tmp_path, rows(2))
    append(tmp_path, rows(1, 0))
    assert read(tmp_path) == rows(0, 1, 2)


def test_torn_anywhere(tmp_path):
    """The job of a torn line has not ended, whatever part of it was written; who writes next begins a new line."""
    append(tmp_path, rows(0, 1))
    whole = (tmp_path / JOURNAL).read_bytes()
    start = whole.rstrip(b"\n").rfind(b"\n") + 1
    for cut in range(start, len(whole) - 1):
        (tmp_path / JOURNAL).write_bytes(whole[:cut])
        assert read(tmp_path) == rows(0)
        append(tmp_path, rows(1))
        assert read(tmp_path) == rows(0, 1)
        append(tmp_path, rows(3, 2))
        assert read(tmp_path) == rows(0, 1, 2, 3)


def test_only_the_end_of_the_line_is_missing(tmp_path):
    """All that is said of the job is there: it has ended, once."""
    append(tmp_path, rows(0, 1))
    path = tmp_path / JOURNAL
    path.write_bytes(path.read_bytes()[:-1])
    assert read(tmp_path) == rows(0, 1)
    append(tmp_path, rows(2))
    assert read(tmp_path) == rows(0, 1, 2)


def test_not_a_line_of_text(tmp_path):
    """What a file system may leave of a page that was never written."""
    append(tmp_path, rows(0))
    with (tmp_path / JOURNAL).open("ab") as file:
        file.write(b"\0\xff\xfe{\xc3")
    append(tmp_path, rows(1))
    assert read(tmp_path) == rows(0, 1)


def write(folder: Path, start: int) -> None:
    for job in range(start, start + 100, 2):
        append(folder, rows(job, job + 1))


def test_several_processes(tmp_path):
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=write, args=[tmp_path, start]) for start in (0, 100, 200, 300)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
        assert writer.exitcode == 0
    assert read(tmp_path) == rows(*range(400))
    jobs = [json.loads(line)["job"] for line in (tmp_path / JOURNAL).read_text().split("\n")[:-1]]
    assert all(second == first + 1 for first, second in zip(jobs[::2], jobs[1::2])), "what is appended together is torn"
