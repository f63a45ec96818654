"""Two workers on two cores; one thread each, since threads that wait for each other cost more than they give."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

os.environ["OMP_NUM_THREADS"] = "1"  # for the commands that tests start
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"

import pytest
import torch
from filelock import FileLock
from hydra.core.plugins import Plugins

import process_counts
from noiseworks.tracking import store

if TYPE_CHECKING:
    from command_here import Command

torch.set_num_threads(1)
MEMORY = "/dev/shm"


def pytest_configure() -> None:
    """Hydra executes the files of its plugins when it looks for them, whether they are imported or not: before any
    test imports a class that derives from theirs. Folders in memory, where there is room: databases wait for the disk
    after every write."""
    Plugins.instance()
    if os.path.isdir(MEMORY) and os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 4e9:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", MEMORY)


def pytest_sessionstart(session: pytest.Session) -> None:
    if session.config.getoption("numprocesses", None) in (None, 0):  # a worker, or there are none
        process_counts.count()


def pytest_collection_finish() -> None:
    """What is there now, a million objects, is not looked through for garbage again and again."""
    gc.collect()
    gc.freeze()


def pytest_sessionfinish(session: pytest.Session) -> None:
    if hasattr(session.config, "workeroutput"):  # a worker's word to pytest_testnodedown
        session.config.workeroutput["started"] = dict(process_counts.STARTED)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    process_counts.STARTED.update(getattr(node, "workeroutput", {}).get("started", {}))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    terminalreporter.write_line(process_counts.described(process_counts.STARTED))


@pytest.fixture(scope="session")
def command() -> Iterator[Command]:
    """command(folder, *arguments, **environment) -> Result: the command, in this process (command_here.py)."""
    from command_here import Command

    command = Command()
    yield command
    command.close()


def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of all workers."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session", autouse=True)
def stores_are_copied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Making an MLflow store takes 2 s: one is made, the others of this process are copies of it."""
    path, make = shared(tmp_path_factory) / "empty.db", store._create

    def copy(database: Path) -> None:
        with FileLock(f"{path}.lock"):
            if not path.exists():
                make(path)
        shutil.copy(path, database)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "_create", copy)
        yield


@pytest.fixture(scope="session")
def fresh_store(stores_are_copied: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An MLflow store with nothing in it."""
    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    store.open_store(f"sqlite:///{path}")
    return path


@pytest.fixture
def stocked(fresh_store: Path, tmp_path: Path) -> Path:
    """A folder with an MLflow store in it."""
    shutil.copy(fresh_store, tmp_path)
    return tmp_path


def exercises(tmp_path_factory: pytest.TempPathFactory, name: str, *arguments: str) -> Path:
    """Where exercises were run in their small form; stdout beside the report. Once for all workers: whoever comes
    first."""
    from command_line import environment

    folder = shared(tmp_path_factory) / name
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            folder.mkdir()
            command = [sys.executable, "-m", "noiseworks.exercises", "--smoke", *arguments]
            done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=900)
            for name, text in (("stdout", done.stdout), ("stderr", done.stderr), ("status", str(done.returncode))):
                (folder / name).write_text(text)
    said = [(folder / name).read_text() for name in ("stdout", "stderr")]
    assert (folder / "status").read_text() == "0", "\n".join(text[-3000:] for text in said)
    return folder


@pytest.fixture(scope="session")
def smoke(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All exercises, as `make exercises SMOKE=1` runs them."""
    return exercises(tmp_path_factory, "smoke")


@pytest.fixture(scope="session")
def few_exercises(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short one."""
    return exercises(tmp_path_factory, "few", "--only", "T6")
