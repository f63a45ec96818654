"""The sweep that a job belongs to: its folder and its parent run in MLflow."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from filelock import FileLock
from hydra.core.override_parser.overrides_parser import OverridesParser

from noiseworks.config.job import Job
from noiseworks.tracking import contents

ASKED, STUDY, PARENTS = "sweep.json", "study.json", "parents.json"


@dataclass(frozen=True)
class Parent:
    """The run under which the jobs of a sweep stand: one in each MLflow experiment that the sweep writes to."""

    uri: str
    experiment: str  # its id
    run: str


@dataclass(frozen=True)
class StudyFacts:
    """What the Optuna sweeper says of itself. The numbers of its jobs are those of its trials; from `confirms_from` on
    they confirm the trial whose number is left when this is taken off."""

    name: str
    id: str  # another one for another study of the same name
    directions: list[str]  # minimize, maximize
    confirms_from: int

    def tag(self, num: int) -> dict[str, str]:
        if num >= self.confirms_from:
            return {"confirm": str(num - self.confirms_from)}
        return {"trial": str(num)}


class SweepFolder:
    """Jobs run in one process or in several; the first that is recorded starts the parent run."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.name = folder, folder.name
        self.known: dict[tuple[str | None, str], Parent] = {}

    @property
    def asked(self) -> list[str]:
        """The overrides as they were typed: seed=range(0,20)."""
        return list(self._begun.get("overrides", []))

    @property
    def typed(self) -> list[str]:
        """Of these what does not stand in the experiment's own file."""
        return [override for override in self._begun.get("typed", []) if not override.startswith("experiment=")]

    @property
    def versions(self) -> dict[str, str]:
        """With which it began."""
        return dict(self._begun.get("versions", {}))

    @cached_property
    def _begun(self) -> dict[str, Any]:
        path = self.folder / ASKED
        return dict(json.loads(path.read_text())) if path.exists() else {}

    @cached_property
    def study(self) -> StudyFacts | None:
        """None for a sweep that is no study."""
        path = self.folder / STUDY
        return StudyFacts(**json.loads(path.read_text())) if path.exists() else None

    @cached_property
    def compares_noise(self) -> bool:
        """Several noise models were asked for, or settings of one; in a study it is the sweeper that chooses."""
        asked = [override for override in self.asked if re.match(r"\+*noise(\.\w+)?=", override)]
        parsed = OverridesParser.create().parse_overrides(asked) if self.study is None else []
        return any(override.is_sweep_override() for override in parsed)

    def tags(self, job: Job, num: int) -> dict[str, str]:
        number = self.study.tag(num) if self.study else {"job": str(num)}
        return {"sweep": self.name, "mlflow.parentRunId": self.parent(job).run} | number

    def number(self, tags: Mapping[str, str]) -> int:
        """Of the job whose run has these tags."""
        if self.study and "confirm" in tags:
            return self.study.confirms_from + int(tags["confirm"])
        return int(tags.get("trial") or tags["job"])

    def parent(self, job: Job) -> Parent:
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
            parent = Parent(uri, experiment, self._find(uri, experiment) or self._start(uri, experiment, job))
            self._keep([*parents, parent])
        return parent

    def _keep(self, parents: list[Parent]) -> None:
        fresh = self.folder / f".{PARENTS}.{os.getpid()}"
        fresh.write_text(json.dumps([asdict(parent) for parent in parents]))
        os.replace(fresh, self.folder / PARENTS)  # whole, even if the process is killed

    @property
    def _id(self) -> str:
        """Of the study, wherever it is worked on; else of the sweep that began in this folder."""
        return self.study.id if self.study else str(self._begun.get("id", ""))

    @property
    def _title(self) -> str:
        return f"study {self.study.name}" if self.study else f"sweep {self.name}"

    def _find(self, uri: str, experiment: str) -> str | None:
        """The parent run of a study that was begun in another folder, or by a process that was killed before it could
        write the run down."""
        from noiseworks.tracking.live_run import MlflowRun

        found = MlflowRun.find(uri, experiment, "sweep_id", self._id) if self._id else None
        if found is not None:
            found.reopen()
        return None if found is None else found.id

    def _start(self, uri: str, experiment: str, job: Job) -> str:
        from noiseworks.tracking.live_run import MlflowRun

        asked = dict(override.lstrip("+").split("=", 1) for override in self.asked if "=" in override)
        params = {contents.mlflow_name(key): value[: contents.LONGEST_PARAM] for key, value in asked.items()}
        tags = contents.origin() | {"sweep": self.name, "sweep_id": self._id, "overrides": " ".join(self.typed)}
        tags |= {"study": self.study.name} if self.study else {}
        tags |= contents.experiment_digest(job)
        return MlflowRun.start(uri, experiment, self._title, params, tags).id
