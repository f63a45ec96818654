"""The fast way to store finished runs: rows straight into MLflow's tables, files straight into its folder.

It stands below MLflow's public calls, which take thirty times as long, and so it knows one version of MLflow's tables
and rules. Tests compare what both ways leave, table by table. Any other version or kind of store gets the calls.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import shutil
import sqlite3
import sys
import uuid
from collections.abc import Iterable, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.entities import Experiment
from mlflow.environment_variables import MLFLOW_ENABLE_WORKSPACES
from mlflow.utils import name_utils, validation
from mlflow.utils.file_utils import local_file_uri_to_path
from mlflow.utils.uri import append_to_uri_path

from noiseworks.tracking.live_run import undisturbed
from noiseworks.tracking.store import local_database

if TYPE_CHECKING:
    from noiseworks.tracking.finished_runs import FinishedRun

log = logging.getLogger(__name__)

TESTED = ("3.17.2",)
CHUNK = 1000  # runs in one transaction: others wait a second for it, and MLflow's own connections give up after 20
CACHE_KIB = 64 * 1024  # of pages that a chunk touches, before they go to disk
PATIENCE = 60.0  # seconds that this waits for the transactions of others

Rows = list[tuple[Any, ...]]
COLUMNS = {  # in the order of the rows below
    "runs": "run_uuid name source_type source_name entry_point_name user_id status start_time end_time deleted_time "
    "source_version lifecycle_stage artifact_uri experiment_id",
    "params": "run_uuid key value",
    "tags": "run_uuid key value",
    "metrics": "run_uuid key value timestamp step is_nan",
    "latest_metrics": "run_uuid key value timestamp step is_nan",
    "datasets": "dataset_uuid experiment_id name digest dataset_source_type dataset_source dataset_schema "
    "dataset_profile",
    "inputs": "input_uuid source_type source_id destination_type destination_id",
}
LEFT_TO_SQLITE = {"inputs": {"step"}}  # columns whose default MLflow takes too


def is_known(uri: str, experiment: Experiment) -> bool:
    """Whether this is a local store of a version that the fast way was tested with, and an experiment that is open."""
    database = local_database(uri)
    if database is None or not database.is_file():
        return False
    if mlflow.__version__ not in TESTED:
        _say_that_it_is_slow(mlflow.__version__)
        return False
    if MLFLOW_ENABLE_WORKSPACES.get() or mlflow.get_active_model_id() is not None:  # MLflow would store more
        return False
    local = experiment.artifact_location.startswith(("/", "file:///"))
    return local and experiment.lifecycle_stage == "active" and _has_columns(database)


@cache  # a sweep writes many times
def _say_that_it_is_slow(version: str) -> None:
    known = " or ".join(TESTED)
    log.warning(f"Runs are stored by MLflow's own calls, at thirty times the cost: this is {version}, not {known}")


def _has_columns(database: Path) -> bool:
    with contextlib.closing(sqlite3.connect(database, timeout=PATIENCE)) as connection:
        for table, columns in COLUMNS.items():
            there = {column for _, column, *_ in connection.execute(f"pragma table_info({table})")}
            if there != {*columns.split(), *LEFT_TO_SQLITE.get(table, ())}:
                return False
    return True


def write(uri: str, experiment: Experiment, runs: Sequence[FinishedRun]) -> list[str]:
    """The ids of the runs, in order."""
    database = local_database(uri)
    assert database is not None
    ids = sorted(uuid.uuid4().hex for _ in runs)  # a chunk then touches one part of each index: no slower when it grows
    for start in range(0, len(runs), CHUNK):
        chunk = slice(start, start + CHUNK)
        with undisturbed():
            _write_chunk(database, experiment, dict(zip(ids[chunk], runs[chunk])))
    return ids


def _write_chunk(database: Path, experiment: Experiment, runs: Mapping[str, FinishedRun]) -> None:
    """All of it or nothing; the files first, so that a run that is seen has them."""
    homes = {run_id: append_to_uri_path(experiment.artifact_location, run_id, "artifacts") for run_id in runs}
    rows = _rows(int(experiment.experiment_id), homes, runs)
    folders = {run_id: local_file_uri_to_path(home) for run_id, home in homes.items()}
    try:
        for run_id, run in runs.items():
            _write_files(folders[run_id], run.files)
        with contextlib.closing(sqlite3.connect(database, timeout=PATIENCE, isolation_level=None)) as connection:
            connection.execute(f"pragma cache_size = -{CACHE_KIB}")
            connection.execute("begin immediate")  # so that nobody adds a data set between the look and the insert
            rows |= _input_rows(connection, int(experiment.experiment_id), runs)
            for table, content in rows.items():
                columns = COLUMNS[table].split()
                marks = ", ".join("?" * len(columns))
                connection.executemany(f"insert into {table} ({', '.join(columns)}) values ({marks})", content)
            connection.execute("commit")
    except BaseException:
        for folder in folders.values():
            shutil.rmtree(os.path.dirname(folder), ignore_errors=True)
        raise


def _write_files(folder: str, files: Mapping[str, bytes]) -> None:
    for parent in {os.path.dirname(os.path.join(folder, path)) for path in files}:
        os.makedirs(parent, exist_ok=True)
    for path, content in files.items():
        with open(os.path.join(folder, path), "wb", buffering=0) as file:
            file.write(content)


def _rows(experiment: int, homes: Mapping[str, str], runs: Mapping[str, FinishedRun]) -> dict[str, Rows]:
    """What does not depend on what is in the store."""
    rows: dict[str, Rows] = {table: [] for table in ("runs", "params", "tags", "metrics", "latest_metrics")}
    for run_id, run in runs.items():
        name = run.name or name_utils._generate_random_name()
        user = run.tags.get("mlflow.user", "unknown")
        about = (run.status, run.started, run.ended, None, "", "active", homes[run_id], experiment)
        rows["runs"].append((run_id, name, "UNKNOWN", "", "", user, *about))
        rows["params"] += [(run_id, key, _param(key, value)) for key, value in run.params.items()]
        rows["tags"].append((run_id, "mlflow.runName", name))
        rows["tags"] += [(run_id, key, _tag(key, value)) for key, value in run.tags.items()]
        metrics = _metrics(run_id, run.points)
        rows["metrics"] += metrics
        rows["latest_metrics"] += _latest(metrics)
        if run.dataset is not None:
            validation._validate_dataset(run.dataset)
    return rows


@lru_cache(10_000)  # the same few names come with every run
def _check_name(kind: str, key: str) -> None:
    if kind == "metric":
        validation._validate_metric(key, 0.0, 0, 0)
    else:
        {"param": validation._validate_param, "tag": validation._validate_tag}[kind](key, "")


def _param(key: str, value: str) -> str:
    _check_name("param", key)
    if len(value) <= validation.MAX_PARAM_VAL_LENGTH:
        return value
    return validation._validate_param(key, value).value  # cut or refused, as MLflow is set


def _tag(key: str, value: str) -> str:
    _check_name("tag", key)
    if len(value) <= validation.MAX_TAG_VAL_LENGTH:
        return value
    return validation._validate_tag(key, value).value


def _metrics(run_id: str, points: Sequence[tuple[str, float, int, int]]) -> Rows:
    """Each point once. SQL knows no nan and no infinity: MLflow writes 0 with a flag, and the largest number."""
    rows: dict[tuple[Any, ...], None] = {}
    for key, value, step, when in points:
        _check_name("metric", key)
        if when < 0:
            validation._validate_metric(key, value, when, step)
        if math.isfinite(value):
            row = (run_id, key, float(value), when, step, False)
        elif math.isnan(value):
            row = (run_id, key, 0.0, when, step, True)
        else:
            row = (run_id, key, math.copysign(sys.float_info.max, value), when, step, False)
        rows[row] = None
    return list(rows)


def _latest(metrics: Rows) -> Iterable[tuple[Any, ...]]:
    """Of each metric the point with the largest step, then time, then value; the first of equals."""
    latest: dict[str, tuple[Any, ...]] = {}
    for row in metrics:
        _, key, value, when, step, _ = row
        best = latest.get(key)
        if best is None or (step, when, value) > (best[4], best[3], best[2]):
            latest[key] = row
    return latest.values()


def _input_rows(connection: sqlite3.Connection, experiment: int, runs: Mapping[str, FinishedRun]) -> dict[str, Rows]:
    """A data set of one name and digest is in an experiment once, whoever came first."""
    rows: dict[str, Rows] = {"datasets": [], "inputs": []}
    there = "select name, digest, dataset_uuid from datasets where experiment_id = ?"
    known = {(name, digest): dataset_id for name, digest, dataset_id in connection.execute(there, (experiment,))}
    for run_id, run in runs.items():
        data = run.dataset
        if data is None:
            continue
        if (data.name, data.digest) not in known:
            known[data.name, data.digest] = uuid.uuid4().hex
            about = (data.name, data.digest, data.source_type, data.source, data.schema, data.profile)
            rows["datasets"].append((known[data.name, data.digest], experiment, *about))
        rows["inputs"].append((uuid.uuid4().hex, "DATASET", known[data.name, data.digest], "RUN", run_id))
    return rows
