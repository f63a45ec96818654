"""Where the fast way is not known to be right, MLflow's own calls are made."""

from __future__ import annotations

import inspect
import json
import uuid
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import mlflow
import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from tracking_runs import START, connect, empty_run, plain_runs, random_runs, seen

from noiseworks.tracking import bulk
from noiseworks.tracking import finished_runs as finished
from noiseworks.tracking.finished_runs import write_runs
from noiseworks.tracking.store import experiment_id

NewStore = Callable[[str], str]


@pytest.fixture
def ways(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ways taken so far."""
    bulk._say_that_it_is_slow.cache_clear()
    taken: list[str] = []

    def spy(module: Any, function: str, name: str) -> None:
        original = getattr(module, function)
        monkeypatch.setattr(module, function, lambda *arguments: taken.append(name) or original(*arguments))

    spy(bulk, "write", "fast")
    spy(finished, "_write_publicly", "public")
    return taken


def test_the_version_that_is_installed_was_tested() -> None:
    assert mlflow.__version__ in bulk.TESTED


def test_a_local_store_takes_the_fast_way(new_store: NewStore, ways: list[str]) -> None:
    write_runs(new_store("a"), "1", plain_runs(1))
    assert ways == ["fast"]


def test_another_version(
    new_store: NewStore, ways: list[str], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(bulk, "TESTED", ("3.0.0", "3.1.0"))
    for name in "ab":
        write_runs(new_store(name), "1", plain_runs(1))
    assert ways == ["public"] * 2
    [line] = [record.message for record in caplog.records if record.name == bulk.__name__]  # once, however often
    assert f"this is {mlflow.__version__}, not 3.0.0 or 3.1.0" in line


def test_other_columns(new_store: NewStore, ways: list[str]) -> None:
    uri = new_store("a")
    with connect(uri) as connection:
        connection.execute("alter table params add column colour text")
    write_runs(uri, "1", plain_runs(1))
    assert ways == ["public"]


def test_artifacts_elsewhere(new_store: NewStore, ways: list[str]) -> None:
    uri = new_store("a")
    elsewhere = MlflowClient(uri).create_experiment("elsewhere", "s3://bucket/folder")
    write_runs(uri, elsewhere, [empty_run()])
    assert ways == ["public"]


def test_a_plain_folder_for_artifacts(new_store: NewStore, ways: list[str], tmp_path: Any) -> None:
    uri = new_store("a")
    with connect(uri) as connection, connection:
        connection.execute("update experiments set artifact_location = ?", (str(tmp_path / "with space"),))
    [run_id] = write_runs(uri, "1", plain_runs(1))
    assert ways == ["fast"]
    assert seen(uri, run_id)["files"] == plain_runs(1)[0].files


def test_an_active_model(new_store: NewStore, ways: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow would tie each metric to it."""
    uri = new_store("a")
    model = MlflowClient(uri).create_logged_model("1", "m")
    monkeypatch.setattr(mlflow, "get_active_model_id", lambda: model.model_id)
    write_runs(uri, "1", plain_runs(1))
    assert ways == ["public"]


def test_workspaces(new_store: NewStore, monkeypatch: pytest.MonkeyPatch) -> None:
    uri = new_store("a")
    home = MlflowClient(uri).get_experiment("1")
    monkeypatch.setenv("MLFLOW_ENABLE_WORKSPACES", "true")
    assert not bulk.is_known(uri, home)


@pytest.mark.parametrize("experiment", ["1", "77"])
def test_an_experiment_that_is_gone(new_store: NewStore, experiment: str) -> None:
    uri = new_store("a")
    MlflowClient(uri).delete_experiment("1")
    with pytest.raises(MlflowException, match=r"active|No Experiment"):
        write_runs(uri, experiment, plain_runs(1))


def test_another_writer_of_the_same_data_set(new_store: NewStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow looks for it, then adds it; somebody else adds it in between."""
    monkeypatch.setattr(bulk, "TESTED", ())
    uri, other = new_store("a"), uuid.uuid4().hex
    find = uuid.uuid4

    def add_it_first() -> uuid.UUID:
        if inspect.stack()[1].function == "_log_inputs_impl":
            monkeypatch.setattr(uuid, "uuid4", find)
            with connect(uri) as connection, connection:
                row = (other, 1, "prices", "d1", "local", "/data/prices", None, None)
                connection.execute("insert into datasets values (?, ?, ?, ?, ?, ?, ?, ?)", row)
        return find()

    monkeypatch.setattr(uuid, "uuid4", add_it_first)
    [run_id] = write_runs(uri, "1", plain_runs(1))
    [found] = MlflowClient(uri).get_run(run_id).inputs.dataset_inputs
    assert found.dataset.name == "prices"
    assert found.dataset.profile is None


def test_requests_are_within_what_mlflow_takes() -> None:
    [plain] = plain_runs(1)
    heavy = {f"{'k' * 240}{j}": "漢" * 6000 for j in range(230)}
    points = [("m" * 250, 0.1 * k, k, START) for k in range(3500)]
    for run in (replace(plain, params=heavy, tags=heavy, points=points), *random_runs(5, 6), empty_run()):
        batches = list(finished._batches(run))
        for batch in batches:
            assert max(len(batch["params"]), len(batch["tags"])) <= 100
            assert sum(map(len, batch.values())) <= 1000
            assert len(json.dumps([dict(entity) for kind in batch.values() for entity in kind], indent=2)) < 1_000_000
        assert {param.key: param.value for batch in batches for param in batch["params"]} == run.params
        assert {tag.key: tag.value for batch in batches for tag in batch["tags"]} == run.tags
        found = [(m.key, m.value, m.step, m.timestamp) for batch in batches for m in batch["metrics"]]
        assert repr(found) == repr(run.points)


@pytest.mark.soak
def test_over_http_the_same_is_there(
    new_store: NewStore, server: str, ways: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    runs = [*random_runs(1, 6), empty_run(), *plain_runs(70)]
    local, remote = new_store("local"), experiment_id(server, "far")
    local_ids, remote_ids = write_runs(local, "1", runs), write_runs(server, remote, runs)
    assert ways == ["fast", "public"]
    assert capfd.readouterr().out == ""  # no links
    for local_id, remote_id in zip(local_ids[:9], remote_ids[:9]):
        found, expected = seen(server, remote_id), seen(local, local_id)
        assert found.pop("artifacts") == f"mlflow-artifacts:/{remote}/<run>/artifacts"
        expected.pop("artifacts")
        if "old" in str(expected["inputs"]):  # the two experiments have each its own data set of that name
            del found["inputs"], expected["inputs"]
        assert found == expected
    names = [MlflowClient(server).get_run(run_id).info.run_name for run_id in remote_ids]
    assert names == [run.name for run in runs]
