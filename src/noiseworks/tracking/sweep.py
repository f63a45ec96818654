"""The sweep that a job belongs to: its folder and its parent run in MLflow."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from noiseworks.job import Job
from noiseworks.tracking import contents
from noiseworks.tracking.settings import Mlflow

ASKED, PARENTS = "sweep.json", "parents.json"


@dataclass(frozen=True)
class Parent:
    """The run under which the jobs of a sweep stand: one in each MLflow experiment that the sweep writes to."""

    uri: str
    experiment: str  # its id
    run: str


class Sweep:
    """Jobs run in one process or in several; the first that is recorded starts the parent run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, folder.name
        self.known: dict[tuple[str | None, str], Parent] = {}

    @property
    def asked(self) -> list[str]:
        """The overrides as they were typed: seed=range(0,20)."""
        path = self.folder / ASKED
        return list(json.loads(path.read_text())["overrides"]) if path.exists() else []

    def tags(self, job: Job) -> dict[str, str]:
        return {"sweep": self.name, "mlflow.parentRunId": self.parent(job).run}

    def parent(self, job: Job) -> Parent:
        assert isinstance(job.tracking, Mlflow)
        key = (job.tracking.uri, job.experiment)
        if key not in self.known:
            self.known[key] = self._find_or_start(job, job.tracking.uri)
        return self.known[key]

    def parents(self) -> list[Parent]:
        path = self.folder / PARENTS
        return [Parent(**parent) for parent in json.loads(path.read_text())] if path.exists() else []

    def _find_or_start(self, job: Job, uri: str | None) -> Parent:
        from noiseworks.tracking.store import experiment_id, open_store

        uri = open_store(uri)
        experiment = experiment_id(uri, job.experiment)
        with FileLock(self.folder / f".{PARENTS}.lock"):
            parents = self.parents()
            for parent in parents:
                if (parent.uri, parent.experiment) == (uri, experiment):
                    return parent
            parent = Parent(uri, experiment, self._start(uri, experiment))
            (self.folder / PARENTS).write_text(json.dumps([asdict(p) for p in [*parents, parent]]))
        return parent

    def _start(self, uri: str, experiment: str) -> str:
        from noiseworks.tracking.run import MlflowRun

        asked = dict(override.lstrip("+").split("=", 1) for override in self.asked if "=" in override)
        tags = contents.origin() | {"sweep": self.name}
        params = {key: value[: contents.LONGEST_PARAM] for key, value in asked.items()}
        return MlflowRun.start(uri, experiment, f"sweep {self.name}", params, tags).id
