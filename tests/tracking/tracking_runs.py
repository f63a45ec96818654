"""Finished runs to write, and everything that a store then says about them."""

from __future__ import annotations

import contextlib
import random
import sqlite3
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Dataset, Run

from noiseworks.tracking.finished_runs import FinishedRun
from noiseworks.tracking.store import local_database

START = 1_700_000_000_000
PARTS = ("runs", "params", "tags", "metrics", "latest_metrics", "inputs")  # tables that grow with each plain run


def dataset(name: str, digest: str = "d1", profile: str | None = '{"num_rows": 10}') -> Dataset:
    return Dataset(name, digest, "local", f"/data/{name}", None, profile)


def plain_runs(number: int, data: str = "prices") -> list[FinishedRun]:
    """Of each run: 3 params, 3 tags with its name, 4 points of 2 metrics, a data set, 2 files."""
    params = {f"optimizer.param{j}": f"{j}" for j in range(3)}
    tags = {"mlflow.user": "ada", "data": data}
    points = [
        ("train/nll", 1.5, 0, START),
        ("train/nll", 1.2, 1, START + 5),
        ("a", 0.0, 0, START),
        ("a", 1.0, 1, START),
    ]
    files = {"coefficients.json": b"{}", "figures/path.svg": b"<svg/>"}
    return [
        FinishedRun(f"run {k}", "FINISHED", START + k, START + k + 9, params, tags, points, dataset(data), files)
        for k in range(number)
    ]


def random_runs(seed: int, number: int) -> list[FinishedRun]:
    """Contents at the limits of what MLflow takes, and beyond them where MLflow cuts."""
    draw = random.Random(seed)
    return [_random_run(draw, k) for k in range(number)]


def _random_run(draw: random.Random, k: int) -> FinishedRun:
    params = {f"{_text(draw, 8)} {j}": _text(draw, draw.choice([0, 5, 300])) for j in range(draw.choice([0, 5, 210]))}
    tags = {f"tag/{_text(draw, 8)}.{j}": _text(draw, draw.choice([0, 5, 300])) for j in range(draw.choice([0, 3, 205]))}
    if draw.random() < 0.5:
        params |= {"k" * 250: "x" * 6000, "cut": "y" * 6001}
        tags |= {"k" * 250: "ü" * 8000, "cut": "ü" * 8001}
    if draw.random() < 0.7:
        tags |= {"mlflow.user": _text(draw, 6), "mlflow.source.name": "noiseworks", "mlflow.source.type": "LOCAL"}
    files = {path: draw.randbytes(draw.choice([0, 10, 5000])) for path in ("a.bin", "b/c.bin", "b/d/é e.bin", "f.json")}
    return FinishedRun(
        name=f"run {k} {_text(draw, 5)}",
        status=draw.choice(["FINISHED", "FAILED", "KILLED"]),
        started=START + draw.randrange(1000),
        ended=START + 1000 + draw.randrange(1000),
        params=params,
        tags=tags,
        points=_random_points(draw, draw.choice([0, 1, 50, 1300])),
        dataset=draw.choice(
            [None, dataset("prices"), dataset("prices", "d2"), dataset(_text(draw, 5)), dataset("old")]
        ),
        files=dict(draw.sample(sorted(files.items()), draw.randrange(len(files) + 1))),
    )


def _random_points(draw: random.Random, number: int) -> list[tuple[str, float, int, int]]:
    """Few distinct ones, so that many are repeated and many share a step and a time."""
    values = [0.0, -0.0, 1.0, -2.5, 1e-300, float("nan"), float("inf"), -float("inf"), 1.7976931348623157e308, 3]
    return [
        (f"m{draw.randrange(9)}", draw.choice(values), draw.randrange(-1, 4), START + draw.randrange(3))
        for _ in range(number)
    ]


def _text(draw: random.Random, length: int) -> str:
    return "".join(draw.choices("abcXYZ019_äßλ漢", k=length))


def empty_run() -> FinishedRun:
    return FinishedRun("empty", "FINISHED", START, START + 1, {}, {}, [], None, {})


def connect(uri: str) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(sqlite3.connect(local_database(uri), timeout=60))


def tables(uri: str, ids: list[str]) -> dict[str, list[str]]:
    """Every row of every table; an id is replaced by what it stands for."""
    with connect(uri) as connection:
        names = {run_id: f"<run {k}>" for k, run_id in enumerate(ids)}
        names |= {row[0]: "<input>" for row in connection.execute("select input_uuid from inputs")}
        there = connection.execute("select dataset_uuid, name, digest from datasets")
        names |= {uuid: f"<data set {name} {digest}>" for uuid, name, digest in there}
        found = {}
        for (table,) in connection.execute("select name from sqlite_master where type = 'table'").fetchall():
            cursor = connection.execute(f'select * from "{table}"')
            columns = [column for column, *_ in cursor.description]
            found[table] = sorted(repr(list(zip(columns, (_named(v, names) for v in row)))) for row in cursor)
    return found


def _named(value: Any, names: dict[str, str]) -> Any:
    if isinstance(value, str) and "/artifacts" in value:
        home, run_id, end = value.rsplit("/", 2)
        return "/".join((home, names.get(run_id, run_id), end))
    return names.get(value, value) if isinstance(value, str) else value


def seen(uri: str, run_id: str) -> dict[str, Any]:
    """A run as MLflow's client shows it; nan is written as text, since it is not equal to itself."""
    client = MlflowClient(uri)
    run = client.get_run(run_id)
    info = run.info
    return {
        "info": (info.run_name, info.status, info.start_time, info.end_time, info.user_id, info.lifecycle_stage),
        "params": run.data.params,
        "tags": run.data.tags,
        "latest": {key: str(value) for key, value in run.data.metrics.items()},
        "points": {key: history(client, run_id, key) for key in run.data.metrics},
        "inputs": [(item.dataset.to_dictionary(), item.tags) for item in run.inputs.dataset_inputs],
        "files": {path: content(client, run_id, path) for path in paths(client, run_id)},
        "artifacts": artifact_home(run),
    }


def artifact_home(run: Run) -> str:
    return run.info.artifact_uri.replace(run.info.run_id, "<run>")


def history(client: MlflowClient, run_id: str, key: str) -> list[tuple[int, int, str]]:
    return sorted((point.step, point.timestamp, str(point.value)) for point in client.get_metric_history(run_id, key))


def paths(client: MlflowClient, run_id: str, folder: str | None = None) -> list[str]:
    found = []
    for item in client.list_artifacts(run_id, folder):
        found += paths(client, run_id, item.path) if item.is_dir else [item.path]
    return found


def content(client: MlflowClient, run_id: str, path: str) -> bytes:
    return Path(client.download_artifacts(run_id, path)).read_bytes()
