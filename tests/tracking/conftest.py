from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import DatasetInput
from tracking_runs import dataset

from mlflow_server import serving
from noiseworks.tracking.store import experiment_id, open_store


@pytest.fixture(scope="session")
def seed_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the experiment 1 and, in it, a data set of another profile than the runs' data set of that name."""
    path = tmp_path_factory.mktemp("store") / "seed.db"
    uri = open_store(f"sqlite:///{path}")
    assert experiment_id(uri, "sweeps") == "1"
    client = MlflowClient(uri)
    run = client.create_run("1", run_name="earlier")
    client.log_inputs(run.info.run_id, [DatasetInput(dataset("old", profile="who came first"))])
    return path


@pytest.fixture
def new_store(seed_store: Path, tmp_path: Path) -> Callable[[str], str]:
    """new_store(name) -> the URI of a copy; making one afresh takes 2 s."""

    def copy(name: str) -> str:
        shutil.copy(seed_store, tmp_path / f"{name}.db")
        return f"sqlite:///{tmp_path / name}.db"

    return copy


@pytest.fixture(scope="module")
def server(seed_store: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an MLflow server."""
    folder = tmp_path_factory.mktemp("server")
    shutil.copy(seed_store, folder / "mlflow.db")
    with serving(folder / "mlflow.db", folder / "files") as address:
        yield address
