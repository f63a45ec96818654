"""What the fast way leaves is what MLflow's own calls leave."""

from __future__ import annotations

import contextlib
import dataclasses
import math
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient
from mlflow.entities import Dataset
from mlflow.exceptions import MlflowException
from tracking_runs import START, connect, dataset, empty_run, plain_runs, random_runs, seen, tables

from noiseworks.tracking import bulk
from noiseworks.tracking.finished_runs import FinishedRun, write_runs
from noiseworks.tracking.store import local_database
from soaked import every

NewStore = Callable[[str], str]


def write_both(
    new_store: NewStore, monkeypatch: pytest.MonkeyPatch, runs: list[FinishedRun]
) -> tuple[tuple[str, list[str]], tuple[str, list[str]]]:
    fast, public = new_store("fast"), new_store("public")
    fast_ids = write_runs(fast, "1", runs)
    with monkeypatch.context() as patch:
        patch.setattr(bulk, "TESTED", ())
        public_ids = write_runs(public, "1", runs)
    return (fast, fast_ids), (public, public_ids)


def assert_same_tables(fast: tuple[str, list[str]], public: tuple[str, list[str]]) -> None:
    found, expected = tables(*fast), tables(*public)
    for table, rows in expected.items():
        assert found[table] == rows, table


def changed(**changes: Any) -> FinishedRun:
    return dataclasses.replace(plain_runs(1)[0], **changes)


@pytest.mark.parametrize("seed", every(3, range(3)))
def test_both_ways_leave_the_same(new_store: NewStore, monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    runs = [*random_runs(seed, 6), empty_run(), *plain_runs(2)]
    fast, public = write_both(new_store, monkeypatch, runs)
    assert_same_tables(fast, public)
    for run, fast_id, public_id in zip(runs, fast[1], public[1]):
        found = seen(fast[0], fast_id)
        assert found == seen(public[0], public_id)
        assert found["files"] == run.files


def test_chunks_do_not_show(new_store: NewStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "CHUNK", 3)
    runs = [*plain_runs(4), *random_runs(9, 3), *plain_runs(3, "others")]
    fast, public = write_both(new_store, monkeypatch, runs)
    assert_same_tables(fast, public)


def test_no_runs(new_store: NewStore, monkeypatch: pytest.MonkeyPatch) -> None:
    fast, public = write_both(new_store, monkeypatch, [])
    assert fast[1] == public[1] == []
    assert_same_tables(fast, public)


def test_ids_and_inputs_are_unique(new_store: NewStore) -> None:
    uri = new_store("fast")
    ids = write_runs(uri, "1", plain_runs(20))
    assert len(set(ids)) == 20
    assert all(len(run_id) == 32 and int(run_id, 16) for run_id in ids)
    with connect(uri) as connection:
        assert connection.execute("select count(distinct input_uuid) from inputs").fetchone() == (
            21,
        )  # and the earlier
        assert connection.execute("select count(*) from datasets").fetchone() == (2,)


def test_a_run_without_a_name_gets_one(new_store: NewStore) -> None:
    uri = new_store("fast")
    run = MlflowClient(uri).get_run(write_runs(uri, "1", [changed(name="")])[0])
    assert run.info.run_name
    assert run.info.run_name == run.data.tags["mlflow.runName"]


def test_search_finds_them(new_store: NewStore, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = [3.0, math.nan, 1.0, math.inf, 2.0]
    runs = [
        changed(params={"lr": f"0.{k}"}, tags={"noise": f"n{k % 2}"}, points=[("loss", loss, 0, START)])
        for k, loss in enumerate(losses)
    ]
    fast, public = write_both(new_store, monkeypatch, runs)
    queries = [
        "",
        "params.lr = '0.2'",
        "tags.noise = 'n1'",
        "metrics.loss < 2.5",
        "status = 'FINISHED'",
        "dataset.name = 'prices'",
    ]
    for query in queries:
        for order in (["metrics.loss ASC"], ["metrics.loss DESC"], ["params.lr DESC"]):
            hits = [
                [
                    ids.index(run.info.run_id)
                    for run in MlflowClient(uri).search_runs("1", query, order_by=order)
                    if run.info.run_id in ids
                ]
                for uri, ids in (fast, public)
            ]
            assert hits[0] == hits[1]
            assert hits[0]
    assert hits[0] == [4, 3, 2, 1, 0]


def test_latest_is_by_step_then_time_then_value(new_store: NewStore) -> None:
    points = [("m", 1.0, 5, START), ("m", 9.0, 4, START + 9), ("m", 2.0, 5, START + 1), ("m", 3.0, 5, START + 1)]
    uri = new_store("fast")
    for order in (points, points[::-1]):
        [run_id] = write_runs(uri, "1", [changed(points=order)])
        assert MlflowClient(uri).get_run(run_id).data.metrics == {"m": 3.0}


REFUSED = {
    "param": {"params": {"a&b": "1"}},
    "param path": {"params": {"../a": "1"}},
    "long param": {"params": {"k" * 251: "1"}},
    "tag": {"tags": {"a&b": "1"}},
    "long tag": {"tags": {"k" * 251: "1"}},
    "metric": {"points": [("a&b", 1.0, 0, START)]},
    "long metric": {"points": [("k" * 251, 1.0, 0, START)]},
    "time": {"points": [("m", 1.0, 0, -1)]},
    "file": {"files": {"../outside": b""}},
    "absolute file": {"files": {"/tmp/outside": b""}},
    "data set": {"dataset": Dataset("n" * 501, "d", "local", "s")},
    "digest": {"dataset": dataset("n", "d" * 37)},
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("way", ["fast", "public"])
def test_what_mlflow_refuses(new_store: NewStore, monkeypatch: pytest.MonkeyPatch, case: str, way: str) -> None:
    """The fast way leaves nothing of the chunk, MLflow's own calls the runs before it, and no half one."""
    if way == "public":
        monkeypatch.setattr(bulk, "TESTED", ())
    uri = new_store(way)
    with pytest.raises(MlflowException):
        write_runs(uri, "1", [*plain_runs(1), changed(name="refused", **REFUSED[case])])
    assert_left(uri, ["earlier"] if way == "fast" or "file" in case else ["earlier", "run 0"])


@pytest.mark.parametrize("tested", [(), bulk.TESTED])
def test_a_status_that_mlflow_does_not_know(
    new_store: NewStore, monkeypatch: pytest.MonkeyPatch, tested: tuple[str, ...]
) -> None:
    monkeypatch.setattr(bulk, "TESTED", tested)
    uri = new_store("a")
    with pytest.raises(Exception, match="DONE"):
        write_runs(uri, "1", [*plain_runs(1), changed(status="DONE")])
    assert_left(uri, ["earlier"])


def assert_left(uri: str, expected: list[str]) -> None:
    assert sorted(run.info.run_name for run in MlflowClient(uri).search_runs("1")) == expected


def test_long_values_are_refused_where_mlflow_says_so(new_store: NewStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRUNCATE_LONG_VALUES", "false")
    for change in ({"params": {"a": "x" * 6001}}, {"tags": {"a": "x" * 8001}}):
        with pytest.raises(MlflowException, match="exceeds the maximum length"):
            write_runs(new_store("fast"), "1", [changed(**change)])


def test_a_failed_chunk_takes_its_files_along(new_store: NewStore, seed_store: Any) -> None:
    """The database refuses rows that come last."""
    uri = new_store("fast")
    with connect(uri) as connection:
        connection.execute("create trigger no_inputs before insert on inputs begin select raise(abort, 'full'); end")
    home = seed_store.parent / "mlartifacts" / "sweeps"
    before = sorted(home.glob("*")) if home.exists() else []
    with pytest.raises(Exception, match="full"):
        write_runs(uri, "1", plain_runs(2))
    assert (sorted(home.glob("*")) if home.exists() else []) == before
    assert_left(uri, ["earlier"])
    with connect(uri) as connection:
        assert connection.execute("select count(*) from params").fetchone() == (0,)


def test_nobody_adds_a_data_set_between_the_look_and_the_insert(
    new_store: NewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = bulk._input_rows
    answers = []

    def then_another_writes(*arguments: Any) -> Any:
        found = look(*arguments)
        with contextlib.closing(sqlite3.connect(local_database(uri), timeout=0)) as other:
            try:
                other.execute("begin immediate")
            except sqlite3.OperationalError as error:
                answers.append(str(error))
        return found

    monkeypatch.setattr(bulk, "_input_rows", then_another_writes)
    uri = new_store("fast")
    write_runs(uri, "1", plain_runs(1))
    assert answers == ["database is locked"]


def test_a_run_without_files_has_no_folder(new_store: NewStore) -> None:
    uri = new_store("fast")
    [run_id] = write_runs(uri, "1", [empty_run()])
    home = MlflowClient(uri).get_run(run_id).info.artifact_uri
    assert home.startswith("file://")
    assert not Path(home.removeprefix("file://")).parent.exists()
