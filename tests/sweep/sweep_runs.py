"""What a sweep left: its folder, its journal, its runs in MLflow."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import yaml
from mlflow.entities import Run

from command_here import Command
from command_line import QUIET, Result, client

SMALL = [QUIET, "data=synthetic", "data.num_examples=60", "data.batch_size=16", "trainer.max_epochs=3"]
DOUBLE = "trainer.precision=64-true"
BASIC, JOBLIB = "hydra/launcher=basic", "hydra/launcher=joblib"
PARENT = "mlflow.parentRunId"
NUMBERS = {"job": 0, "trial": 0, "confirm": 1_000_000}
OF_THE_MOMENT = {"sweep", "job", PARENT, "mlflow.runName", "mlflow.note.content"}  # tags that two sweeps do not share


@dataclass
class Left:
    """A sweep that ended: `folder` is where the command ran, `name` the sweep's own folder in it."""

    folder: Path
    name: str
    result: Result | None = None

    @property
    def path(self) -> Path:
        return self.folder / self.name

    @cached_property
    def journal(self) -> dict[int, dict[str, Any]]:
        lines = (self.path / "jobs.jsonl").read_text().splitlines()
        rows = {row["job"]: row for row in map(json.loads, lines)}
        for row in rows.values():
            row["objective"] = next(iter(row["objectives"].values()), None)
        assert len(rows) == len(lines)
        return dict(sorted(rows.items()))

    @cached_property
    def runs(self) -> list[Run]:
        """All runs of the sweep, parents too."""
        found = client(self.folder)
        everywhere = [experiment.experiment_id for experiment in found.search_experiments()]
        runs = found.search_runs(everywhere, max_results=5000)
        return [run for run in runs if run.data.tags.get("sweep") == self.name]

    @cached_property
    def parents(self) -> list[Run]:
        return [run for run in self.runs if PARENT not in run.data.tags]

    @cached_property
    def parent(self) -> Run:
        (parent,) = self.parents
        return parent

    @cached_property
    def children(self) -> dict[int, Run]:
        """Job -> its run; every run but the parent is a job's."""
        by_id = {run.info.run_id: run for run in self.runs if PARENT in run.data.tags}
        children = {job: by_id.pop(row["run"]) for job, row in self.journal.items()}
        assert all(job in _numbers(run) for job, run in children.items())
        assert not by_id, "runs that the journal does not know"
        return children

    @cached_property
    def table(self) -> list[dict[str, Any]]:
        return pq.read_table(self.path / "sweep.parquet").to_pylist()


def _numbers(run: Run) -> set[int]:
    """That its tag gives it: a job's, a trial's, or that of a trial that was confirmed."""
    tags = run.data.tags
    return {int(tags[name]) + first for name, first in NUMBERS.items() if name in tags}


def sweep(command: Command, folder: Path, *arguments: str, name: str = "s", **environment: str) -> Left:
    """`noiseworks -m` with these arguments, and its folder called `name`."""
    result = command(folder, "-m", f"hydra.sweep.dir={name}", *arguments, **environment)
    return Left(folder, name, result)


def artifacts(run: Run) -> dict[str, Path]:
    root = Path(run.info.artifact_uri.removeprefix("file://"))
    return {str(path.relative_to(root)): path for path in sorted(root.rglob("*")) if path.is_file()}


def histories(folder: Path, run: Run) -> dict[str, list[tuple[int, float]]]:
    """Metric -> (step, value) in the order of the steps."""
    found = client(folder)
    names = [name for name in run.data.metrics if name != "run/seconds"]
    return {name: sorted((m.step, m.value) for m in found.get_metric_history(run.info.run_id, name)) for name in names}


def read_any(path: Path) -> Any:
    """The content of a file that a run leaves, without the time it took."""
    if path.suffix == ".parquet":
        return pq.read_table(io.BytesIO(path.read_bytes())).to_pydict()
    if path.suffix == ".yaml":
        return yaml.safe_load(path.read_text())
    content = json.loads(path.read_text())
    content.pop("run/seconds", None)
    return content


def contents(folder: Path, run: Run) -> dict[str, Any]:
    """All that a run holds, but its ids, times, figures and model."""
    inputs = [
        (given.dataset.name, given.dataset.digest, given.dataset.source, given.dataset.source_type,
         given.dataset.profile, given.dataset.schema)
        for given in run.inputs.dataset_inputs
    ]  # fmt: skip
    files = {path: read_any(file) for path, file in artifacts(run).items() if not path.startswith("figures/")}
    return {
        "name": run.info.run_name,
        "status": run.info.status,
        "user": run.info.user_id,
        "lifecycle": run.info.lifecycle_stage,
        "experiment": run.info.experiment_id,
        "params": dict(run.data.params),
        "tags": {key: value for key, value in run.data.tags.items() if key not in OF_THE_MOMENT},
        "has run/seconds": run.data.metrics.get("run/seconds", -1.0) >= 0,
        "metrics": histories(folder, run),
        "inputs": inputs,
        "files": files,
    }


def differences(ours: Any, theirs: Any, tolerance: float, where: str = "") -> Iterator[str]:
    """Sentences on what differs; numbers may by `tolerance`, relative to the larger one or to 1."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in ours.keys() | theirs.keys():
            if key not in ours or key not in theirs:
                yield f"{where}/{key}: only {'ours' if key in ours else 'theirs'}"
            else:
                yield from differences(ours[key], theirs[key], tolerance, f"{where}/{key}")
    elif isinstance(ours, (list, tuple)) and isinstance(theirs, (list, tuple)):
        if len(ours) != len(theirs):
            yield f"{where}: {len(ours)} and {len(theirs)} entries"
        for i, (one, other) in enumerate(zip(ours, theirs)):
            yield from differences(one, other, tolerance, f"{where}[{i}]")
    elif isinstance(ours, float) and isinstance(theirs, float):
        both_nan = math.isnan(ours) and math.isnan(theirs)
        if not both_nan and not math.isclose(ours, theirs, rel_tol=tolerance, abs_tol=tolerance):
            yield f"{where}: {ours!r} and {theirs!r}"
    elif type(ours) is not type(theirs) or ours != theirs:
        yield f"{where}: {ours!r} and {theirs!r}"


def assert_same_contents(run: Run, other: Run, folder: Path, tolerance: float, what: object = "") -> None:
    found = list(differences(contents(folder, run), contents(folder, other), tolerance))
    assert not found, f"{what}: {found[:5]}"


def assert_same_runs(ours: Left, theirs: Left, tolerance: float) -> None:
    """Job by job everything but what belongs to the moment, and under one parent each."""
    assert ours.folder == theirs.folder
    assert ours.children.keys() == theirs.children.keys()
    for job, run in ours.children.items():
        other = theirs.children[job]
        assert run.data.tags[PARENT] == ours.parent.info.run_id
        assert other.data.tags[PARENT] == theirs.parent.info.run_id
        assert_same_contents(run, other, ours.folder, tolerance, f"job {job} {ours.journal[job]['swept']}")


def assert_same_journals(ours: Left, theirs: Left, tolerance: float, status: str) -> None:
    """Of the jobs that ended with this status."""

    def told(left: Left) -> dict[int, Any]:
        rows = {job: row for job, row in left.journal.items() if row["status"] == status}
        return {job: row | {"run": None, "metrics": untimed(row["metrics"])} for job, row in rows.items()}

    found = list(differences(told(ours), told(theirs), tolerance))
    assert not found, found[:5]


def untimed(metrics: dict[str, float]) -> dict[str, float]:
    return {key: value for key, value in metrics.items() if key != "run/seconds"}


def coefficients(run: Run) -> dict[str, Any]:
    return read_any(artifacts(run)["coefficients.json"])
