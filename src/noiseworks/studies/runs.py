"""The runs of an experiment, read back from MLflow. Nothing is fitted again."""

from __future__ import annotations

import math
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import pyarrow.parquet as pq
from mlflow import MlflowClient
from mlflow.artifacts import download_artifacts
from mlflow.entities import Run as MlflowRun
from numpy.typing import NDArray

from noiseworks.config.experiment import arguments, digest
from noiseworks.errors import UserError
from noiseworks.tracking.contents import mlflow_name
from noiseworks.tracking.store import open_store

Table = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Run:
    """One job: params as strings, the last value of each metric, and its files."""

    found: MlflowRun
    uri: str

    @property
    def id(self) -> str:
        return str(self.found.info.run_id)

    @property
    def params(self) -> Mapping[str, str]:
        return dict(self.found.data.params)

    @property
    def metrics(self) -> Mapping[str, float]:
        return dict(self.found.data.metrics)

    def __getitem__(self, metric: str) -> float:
        """The metric's last value; nan if there is none, as in a run that diverged."""
        return float(self.found.data.metrics.get(metric, math.nan))

    @cached_property
    def copies(self) -> Table:
        """replicates.parquet: metrics, coefficient/<term>, scale, one value a replicate."""
        return self._table("replicates.parquet")

    @cached_property
    def trajectory(self) -> Table:
        """trajectory.parquet: step, replicate and the coefficients (tracking.trajectory=true)."""
        return self._table("trajectory.parquet")

    def curve(self, metric: str) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(steps, values)."""
        points = sorted(MlflowClient(self.uri).get_metric_history(self.id, metric), key=lambda point: point.step)
        return np.array([p.step for p in points], dtype=float), np.array([p.value for p in points])

    def _table(self, name: str) -> Table:
        table = pq.read_table(self.file(name))
        return {column: table[column].to_numpy() for column in table.column_names}

    def file(self, name: str) -> Path:
        return Path(download_artifacts(run_id=self.id, artifact_path=name, tracking_uri=self.uri))


class Sweep(Sequence[Run]):
    """The jobs of one sweep, in their order."""

    def __init__(self, experiment: str, parent: MlflowRun, runs: Sequence[Run]) -> None:
        self.experiment, self.parent, self.runs = experiment, parent, runs

    def __getitem__(self, at: Any) -> Any:
        return self.runs[at]

    def __len__(self) -> int:
        return len(self.runs)

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs)

    def where(self, settings: Mapping[str, Any] | None = None, **more: Any) -> Sweep:
        """The runs with these values of configuration keys: where({"data.num_examples": 50}, noise="laplace"); an
        option of a group by its name."""
        wanted = {**(settings or {}), **more}
        chosen = [run for run in self.runs if all(_has(run, key, value) for key, value in wanted.items())]
        return Sweep(self.experiment, self.parent, chosen)

    def one(self, settings: Mapping[str, Any] | None = None, **more: Any) -> Run:
        found = self.where(settings, **more)
        if len(found) != 1:
            asked = ", ".join(f"{key}={value}" for key, value in {**(settings or {}), **more}.items())
            raise UserError(
                f"The newest sweep of experiment={self.experiment} has {len(found)} runs with "
                f"{asked or 'any setting'}; there must be one: run `noiseworks -m experiment={self.experiment}` again."
            )
        return found[0]


def _has(run: Run, key: str, value: Any) -> bool:
    """Whether the run has this value: numbers as numbers; a group's option is a tag (tags.noise), other keys params."""
    tags = run.found.data.tags
    for known in (tags.get(key), run.params.get(mlflow_name(key))):
        if known is not None and _equal(known, value):
            return True
    return False


def _equal(known: str, value: Any) -> bool:
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        try:
            return math.isclose(float(known), value, rel_tol=1e-12)
        except ValueError:
            return False
    return known == str(value)


class Runs:
    """experiment -> its newest sweep that was asked for with the given overrides beside the experiment's own."""

    def __init__(self, overrides: Mapping[str, Sequence[str]] | None = None, uri: str | None = None) -> None:
        self.uri = open_store(uri or os.environ.get("MLFLOW_TRACKING_URI"))
        mlflow.set_tracking_uri(self.uri)
        self.client, self.overrides = MlflowClient(self.uri), overrides or {}
        self.known: dict[str, Sweep] = {}

    def __getitem__(self, experiment: str) -> Sweep:
        if experiment not in self.known:
            self.known[experiment] = self._read(experiment)
        return self.known[experiment]

    def _read(self, experiment: str) -> Sweep:
        typed = " ".join(self.overrides.get(experiment, []))
        command = shlex.join(["noiseworks", "-m", f"experiment={experiment}", *arguments(experiment), *typed.split()])
        parent = self._parent(experiment, typed)
        if parent is None:
            raise UserError(f"There are no runs of experiment={experiment} in {self.uri}; run `{command}` first.")
        tags, status = parent.data.tags, parent.info.status
        if tags.get("experiment.digest") != digest(experiment):
            raise UserError(
                f"The runs of experiment={experiment} are older than conf/experiment/{experiment}.yaml, or than its "
                f"measure(cfg); run `{command}` again."
            )
        children = self._search(parent.info.experiment_id, f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
        failed = [run for run in children if run.info.status != "FINISHED"]
        if status != "FINISHED" or not children or failed:
            why = next((run.data.tags.get("failure") for run in failed if "failure" in run.data.tags), "it was stopped")
            raise UserError(
                f"The newest sweep of experiment={experiment} is {status}, with {len(failed)} of {len(children)} jobs "
                f"not finished: {str(why).rstrip('.')}. Run `{command}` again."
            )
        children.sort(key=lambda run: int(run.data.tags.get("job") or run.data.tags["trial"]))
        return Sweep(experiment, parent, [Run(run, self.uri) for run in children])

    def _parent(self, experiment: str, typed: str) -> MlflowRun | None:
        found = self.client.get_experiment_by_name(experiment)
        parents = self._search(found.experiment_id, "tags.sweep_id != ''") if found else []
        return next((run for run in parents if run.data.tags.get("overrides", "") == typed), None)

    def _search(self, experiment_id: str, condition: str) -> list[MlflowRun]:
        runs: list[MlflowRun] = []
        token = None
        while True:
            page = self.client.search_runs(
                [experiment_id], condition, max_results=5000, order_by=["start_time desc"], page_token=token
            )
            runs += page
            token = page.token
            if not token:
                return runs
