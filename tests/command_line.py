"""Starting the command, and reading back what it left."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Run

from process_counts import STARTED

QUIET = "trainer.progress_bar=false"
MUTE = [QUIET, "tracking=none"]


@dataclass(frozen=True)
class Result:
    status: int
    out: str
    err: str

    def succeeded(self) -> Result:
        assert self.status == 0, self.err
        return self


def environment(**changes: str) -> dict[str, str]:
    """That of the tests, without what would lead the command elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_T", "HYDRA_", "PYTEST_"))}
    return kept | {"MLFLOW_DISABLE_TELEMETRY": "true", **changes}


def start(folder: Path, *arguments: str, **changes: str) -> subprocess.Popen[str]:
    """The real command in a process of its own."""
    command = [sys.executable, "-m", "noiseworks", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, cwd=folder, env=environment(**changes), stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
    )


def finish(process: subprocess.Popen[str]) -> Result:
    out, err = process.communicate(timeout=120)
    return Result(process.returncode, out, err)


def noiseworks(folder: Path, *arguments: str, **changes: str) -> Result:
    return finish(start(folder, *arguments, **changes))


class Started:
    """Commands that run."""

    def __init__(self, server: Server, logs: tempfile.TemporaryDirectory[str], pids: list[int]) -> None:
        self.server, self.logs, self.pids = server, logs, pids
        self.results: list[Result] | None = None

    def kill(self, number: int = 0, how: int = signal.SIGKILL) -> None:
        with contextlib.suppress(ProcessLookupError):  # it has ended
            os.kill(self.pids[number], how)

    def end(self) -> None:
        for number in range(len(self.pids)) if self.results is None else ():
            self.kill(number)
        self.wait()

    def wait(self) -> list[Result]:
        if self.results is None:
            statuses = json.loads(self.server.answer())
            with self.logs as folder:
                texts = [[_said(Path(folder), i, name) for name in ("out", "err")] for i in range(len(statuses))]
            self.results = [Result(status, *text) for status, text in zip(statuses, texts)]
        return self.results


def _said(folder: Path, number: int, name: str) -> str:
    """Nothing if it was killed before it could say anything."""
    path = folder / f"{number}.{name}"
    return path.read_text() if path.exists() else ""


class Server:
    """The same command in processes, fast: see command_server.py."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("command_server.py"))],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self.answer() == "ready"
        self.last: Started | None = None

    def start(
        self, folder: Path, commands: Sequence[Sequence[str]], script: Path | None = None, **changes: str
    ) -> Started:
        """Several at the same time; nothing else can be started before they have ended. A script takes the place of
        the command."""
        if self.last is not None:  # of a test that has failed
            self.last.end()
        logs = tempfile.TemporaryDirectory()
        common = {"folder": str(folder), "environment": changes, "script": str(script) if script else None}
        requests = [
            {"arguments": arguments, "stdout": f"{logs.name}/{i}.out", "stderr": f"{logs.name}/{i}.err", **common}
            for i, arguments in enumerate(commands)
        ]
        assert self.process.stdin is not None
        STARTED["commands forked"] += len(requests)
        self.process.stdin.write(json.dumps(requests) + "\n")
        self.process.stdin.flush()
        self.last = Started(self, logs, json.loads(self.answer()))
        return self.last

    def close(self) -> None:
        if self.last is not None:
            self.last.end()
        self.process.communicate(timeout=30)

    def answer(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()


def output_folder(folder: Path) -> Path:
    """Where the one run of `folder` put its files."""
    (found,) = folder.glob("outputs/*/*")
    return found


def read(folder: Path, name: str) -> Any:
    return json.loads((output_folder(folder) / name).read_text())


def client(folder: Path) -> MlflowClient:
    return MlflowClient(f"sqlite:///{folder / 'mlflow.db'}")


def runs(folder: Path) -> list[Run]:
    """All runs in the folder's mlflow.db, the latest first; none if there is no such file."""
    if not (folder / "mlflow.db").exists():
        return []
    found = client(folder)
    return list(found.search_runs([experiment.experiment_id for experiment in found.search_experiments()]))
