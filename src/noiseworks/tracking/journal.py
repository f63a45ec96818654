"""The journal of a sweep: a line for each job that has ended, and the table made of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

JOURNAL = "jobs.jsonl"


@dataclass(frozen=True)
class Row:
    """How one job ended."""

    job: int
    swept: dict[str, Any]  # override -> value
    status: str  # FINISHED, FAILED
    failure: str | None
    objective: float | None  # what the job returned
    run: str | None  # its id in MLflow
    metrics: dict[str, float]
    answer: dict[str, Any] | None  # what coefficients.json holds


def swept_values(overrides: Iterable[str], config: Mapping[str, Any], choices: Mapping[str, str]) -> dict[str, Any]:
    """The keys that a job's overrides set, and what stands there now: numbers as numbers, options of groups by name."""
    values: dict[str, Any] = {}
    for override in overrides:
        key, _, text = override.lstrip("+").partition("=")
        values[key] = choices[key] if key in choices else _look_up(config, key, text)
    return values


def _look_up(config: Mapping[str, Any], key: str, otherwise: str) -> Any:
    node: Any = config
    for part in key.split("."):
        if not isinstance(node, dict) or part not in node:
            return otherwise
        node = node[part]
    return node if isinstance(node, (bool, int, float, str, type(None))) else otherwise


def append(folder: Path, rows: Sequence[Row]) -> None:
    """One write at the end of the file: the jobs of a sweep may run in several processes."""
    text = "".join(json.dumps(vars(row)) + "\n" for row in rows)
    descriptor = os.open(folder / JOURNAL, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(descriptor, text.encode())
    finally:
        os.close(descriptor)


def read(folder: Path) -> list[Row]:
    """In the order of the jobs; none if nothing has ended."""
    if not (folder / JOURNAL).exists():
        return []
    lines = (folder / JOURNAL).read_text().splitlines()
    return sorted((Row(**json.loads(line)) for line in lines), key=lambda row: row.job)


def to_table(rows: Sequence[Row]) -> pa.Table:
    """One row a job: its overrides under their keys, how it ended, last metrics, scale, coefficients; null: none."""
    keys = list(dict.fromkeys(key for row in rows for key in row.swept))
    metrics = sorted({name for row in rows for name in row.metrics})
    answers = [row.answer or {"scale": None, "coefficients": {}} for row in rows]
    terms = list(dict.fromkeys(term for answer in answers for term in answer["coefficients"]))
    columns: dict[str, Any] = {"job": [row.job for row in rows]}
    columns |= {key: _column([row.swept.get(key) for row in rows]) for key in keys if key != "job"}
    columns["status"] = [row.status for row in rows]
    columns["failure"] = pa.array([row.failure for row in rows], pa.string())
    columns["run"] = pa.array([row.run for row in rows], pa.string())
    columns |= {name: pa.array([row.metrics.get(name) for row in rows], pa.float64()) for name in metrics}
    columns["scale"] = pa.array([answer["scale"] for answer in answers], pa.float64())
    for term in terms:
        values = [answer["coefficients"].get(term) for answer in answers]
        columns[f"coefficient/{term}"] = pa.array(values, pa.float64())
    return pa.table(columns)


def _column(values: list[Any]) -> pa.Array:
    """Arrow has one type a column; values of several are text."""
    kinds = {type(value) for value in values if value is not None}
    if len(kinds) > 1 and not kinds <= {int, float}:
        values = [None if value is None else str(value) for value in values]
    return pa.array([float(v) if isinstance(v, int) else v for v in values] if kinds == {int, float} else values)
