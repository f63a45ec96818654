"""One MLflow run: buffered metrics, artifacts, and a true status."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput, Metric, Param, RunTag
from mlflow.exceptions import MlflowException

METRICS, PARAMS, TAGS = 1000, 100, 100  # what MLflow takes in one log_batch
LONGEST_NOTE = 7000
FLUSH_SECONDS = 3.0


class MlflowRun:
    """A run that is RUNNING until `finish`. Metrics are written every few seconds and at the end."""

    def __init__(self, uri: str, experiment: str, run: str) -> None:
        self.client = MlflowClient(uri)
        self.uri, self.experiment, self.id = uri, experiment, run
        self.buffer: list[Metric] = []
        self.flushed = time.monotonic()

    @classmethod
    def start(
        cls,
        uri: str,
        experiment: str,
        name: str,
        params: Mapping[str, str],
        tags: Mapping[str, str],
        started: int | None = None,
    ) -> MlflowRun:
        """`started`: ms since 1970; now if not given."""
        client = MlflowClient(uri)
        with undisturbed():
            run = client.create_run(experiment, started, dict(tags), name).info.run_id
            for chunk in _chunks([Param(key, value) for key, value in params.items()], PARAMS):
                client.log_batch(run, params=chunk)
        return cls(uri, experiment, run)

    @classmethod
    def find(cls, uri: str, experiment: str, tag: str, value: str) -> MlflowRun | None:
        """The newest run that has this tag."""
        wanted = f"tags.{tag} = '{value}'"
        found = MlflowClient(uri).search_runs([experiment], wanted, max_results=1, order_by=["start_time desc"])
        return cls(uri, experiment, found[0].info.run_id) if found else None

    def reopen(self) -> None:
        """RUNNING again."""
        with undisturbed():
            self.client.update_run(self.id, status="RUNNING")

    def log_dataset(self, dataset: Dataset) -> None:
        log_dataset(self.client, self.id, dataset)

    def log_files(self, files: Sequence[Path], folder: str | None = None) -> None:
        for file in files:
            self.client.log_artifact(self.id, str(file), folder)

    def log_results(self, home: Path, names: Iterable[str]) -> None:
        """Files of a folder under the names that they have in it: figures/fit.png."""
        for name in names:
            self.client.log_artifact(self.id, str(home / name), os.path.dirname(name) or None)

    def note(self, text: str) -> None:
        """The description of the run, shown at the top of its page."""
        self.tag({"mlflow.note.content": f"```\n{text[:LONGEST_NOTE]}\n```"})

    def log(self, name: str, value: float, step: int = 0) -> None:
        self.buffer.append(Metric(name, value, time.time_ns() // 1_000_000, step))
        if time.monotonic() - self.flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        with undisturbed():
            for chunk in _chunks(self.buffer, METRICS):
                self.client.log_batch(self.id, metrics=chunk)
            self.buffer, self.flushed = [], time.monotonic()

    def tag(self, tags: Mapping[str, str]) -> None:
        with undisturbed():
            self.client.log_batch(self.id, tags=[RunTag(key, value) for key, value in tags.items()])

    def finish(self, status: str, ended: int | None = None) -> None:
        """`ended`: ms since 1970; now if not given."""
        self.flush()
        with undisturbed():
            self.client.set_terminated(self.id, status, ended)


def log_dataset(client: MlflowClient, run: str, dataset: Dataset) -> None:
    """Of two that bring a new data set at the same time MLflow refuses one, which then finds it there."""
    try:
        client.log_inputs(run, [DatasetInput(dataset)])
    except MlflowException as error:
        if error.error_code != "BAD_REQUEST":
            raise
        client.log_inputs(run, [DatasetInput(dataset)])


@contextlib.contextmanager
def undisturbed() -> Iterator[None]:
    """A signal waits until a write is done: an exception in the middle of one leaves SQLite locked."""
    if threading.current_thread() is not threading.main_thread():  # signals go to the main thread
        yield
        return
    came: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: came.append(number))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])


def git_commit() -> str | None:
    """The commit of the folder the command was typed in, with -dirty if it has changes; None outside git."""
    try:
        command = ["git", "-c", "core.fsmonitor=false", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        # fsmonitor: a program that a repository's own settings name
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None


def _chunks(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[start : start + size] for start in range(0, len(items), size))
