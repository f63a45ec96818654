"""Many finished MLflow runs at once."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, Metric, Param, RunStatus, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import verify_artifact_path

from noiseworks.runs.result import JobResult
from noiseworks.tracking import bulk, contents
from noiseworks.tracking.live_run import METRICS, PARAMS, TAGS, log_dataset, undisturbed
from noiseworks.tracking.store import quieten

ENTITIES, LETTERS = 1000, 900_000  # what MLflow takes in one log_batch in all: metrics, params and tags; bytes of JSON
THREADS = 8  # over HTTP; more made a server on the same two cores no faster
BATCH = 8  # runs a thread writes before a signal gets through


@dataclass(frozen=True)
class FinishedRun:
    """A run of which everything is known."""

    name: str
    status: str  # FINISHED, FAILED, KILLED
    started: int  # ms since 1970
    ended: int
    params: Mapping[str, str]
    tags: Mapping[str, str]  # without mlflow.runName; mlflow.user and mlflow.source.* may be among them
    points: Sequence[tuple[str, float, int, int]]  # metric, value, step, ms since 1970; in any order
    dataset: Dataset | None
    files: Mapping[str, bytes]  # artifact path -> content


def finished_run(result: JobResult, parent_tags: Mapping[str, str], started: int, ended: int) -> FinishedRun:
    """started, ended: ms since 1970."""
    job, points = result.job, list[tuple[str, float, int, int]]()
    if result.outcome is not None:
        points = contents.curve_points(result.outcome, ended)
        shown = {name: value for name, value, _, _ in points}
        last = max((step for _, _, step, _ in points), default=0)
        # A millisecond later: of points of the same step and time MLflow takes the largest for the latest.
        points += [(*point, ended + 1) for point in contents.final_points(result.metrics, shown, last)]
    return FinishedRun(
        name=contents.run_name(job),
        status=result.status,
        started=started,
        ended=ended,
        params=contents.params(job),
        tags=contents.tags(job) | dict(parent_tags) | contents.end_tags(result),
        points=points,
        dataset=None if result.problem is None else contents.dataset(result.problem.examples),
        files=result.files,
    )


def write_runs(uri: str, experiment: str, runs: Sequence[FinishedRun]) -> list[str]:
    """Their ids, in order.

    Into a local SQLite store of an MLflow that `bulk` knows they go a thousand at a time, all of them or none; by
    MLflow's own calls one by one. Either way a run that MLflow refuses raises its error and those before it stay.
    """
    quieten()
    for path in {path for run in runs for path in run.files}:
        verify_artifact_path(path)
    for status in {run.status for run in runs}:
        RunStatus.from_string(status)  # else MLflow refuses it at the end, with all the rest written
    client = MlflowClient(uri)
    home = client.get_experiment(experiment)
    if bulk.is_known(uri, home):
        return bulk.write(uri, home, runs)
    return _write_publicly(client, uri, experiment, runs)


def _write_publicly(client: MlflowClient, uri: str, experiment: str, runs: Sequence[FinishedRun]) -> list[str]:
    threads = THREADS if uri.startswith("http") else 1
    ids: list[str] = []
    with ThreadPoolExecutor(threads) as pool:
        for start in range(0, len(runs), BATCH * threads):
            with undisturbed():
                ids += pool.map(partial(_write_one, client, experiment), runs[start : start + BATCH * threads])
    return ids


def _write_one(client: MlflowClient, experiment: str, run: FinishedRun) -> str:
    user = {key: value for key, value in run.tags.items() if key == "mlflow.user"}  # MLflow keeps it in the run's row
    run_id: str = client.create_run(experiment, run.started, user, run.name).info.run_id
    try:
        for batch in _batches(run):
            client.log_batch(run_id, batch["metrics"], batch["params"], batch["tags"])
        if run.dataset is not None:
            log_dataset(client, run_id, run.dataset)
    except MlflowException as error:
        if error.error_code == "INVALID_PARAMETER_VALUE":
            client.delete_run(run_id)  # half of it is there
        raise
    if run.files:
        _upload(client, run_id, run.files)
    client.set_terminated(run_id, run.status, run.ended)
    return run_id


def _batches(run: FinishedRun) -> Iterator[dict[str, list[Any]]]:
    """Arguments of log_batch, each within what MLflow takes."""
    most = {"params": PARAMS, "tags": TAGS, "metrics": METRICS}
    batch: dict[str, list[Any]] = {kind: [] for kind in most}
    letters = 0
    for kind, entity, length in _entities(run):
        full = len(batch[kind]) == most[kind] or sum(map(len, batch.values())) == ENTITIES
        if full or letters + length > LETTERS:
            yield batch
            batch, letters = {kind: [] for kind in most}, 0
        batch[kind].append(entity)
        letters += length
    yield batch


def _entities(run: FinishedRun) -> Iterator[tuple[str, Any, int]]:
    """Params, tags and metrics, each with the most that it takes in JSON: six bytes a letter, and its punctuation."""
    for key, value in run.params.items():
        yield "params", Param(key, value), 100 + 6 * len(key + value)
    for key, value in run.tags.items():
        yield "tags", RunTag(key, value), 100 + 6 * len(key + value)
    for key, number, step, when in run.points:
        yield "metrics", Metric(key, number, when, step), 200 + 6 * len(key)


def _upload(client: MlflowClient, run_id: str, files: Mapping[str, bytes]) -> None:
    with tempfile.TemporaryDirectory(prefix="noiseworks-") as folder:
        for path, content in files.items():
            target = Path(folder, path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        client.log_artifacts(run_id, folder)
