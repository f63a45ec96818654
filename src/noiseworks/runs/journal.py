"""The journal of a sweep: a line for each job that has ended, and the table made of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from noiseworks.errors import FitFailed, UserError
from noiseworks.runs.result import JobResult, pruned_trial

JOURNAL = "jobs.jsonl"


@dataclass(frozen=True)
class Row:
    """How one job ended."""

    job: int
    swept: dict[str, Any]  # override -> value
    status: str  # FINISHED, FAILED, KILLED (pruned)
    failure: str | None
    objectives: dict[str, float]  # metric -> what a sweep minimises; none of a job that is not finished
    run: str | None  # its id in MLflow
    metrics: dict[str, float]
    coefficients: dict[str, Any] | None  # what coefficients.json holds
    key: str = ""  # of its configuration: see config_key
    pruned: str | None = None  # when
    returned: Any = None  # to the sweeper, if it is finished
    test_rows: str | None = None  # their digest, in a sweep that compares noise models
    criterion: str | None = None  # see Job.criterion
    inputs: dict[str, str] = field(default_factory=dict)  # see Data.inputs
    data: str = ""  # another for other data, or for those of another seed

    @classmethod
    def of(cls, result: JobResult, test_rows: str | None = None) -> Row:
        of, finished = result.request, result.status == "FINISHED"
        return cls(
            of.num,
            of.swept,
            result.status,
            result.failure,
            result.objective,
            result.run,
            result.metrics,
            result.coefficients,
            of.job.key,
            result.pruned,
            result.returned if finished else None,
            test_rows,
            of.job.criterion,
            _inputs(result),
            f"{'' if result.problem is None else result.problem.examples.digest} {of.job.data.seed}",
        )

    @property
    def objective(self) -> float | None:
        """The first, by which jobs are ranked."""
        return next(iter(self.objectives.values()), None)

    def told(self) -> Any:
        """What the sweeper was handed, or would have been."""
        if self.status == "KILLED":
            return pruned_trial(self.pruned)
        return FitFailed(f"The fit failed: {self.failure}.") if self.status == "FAILED" else self.returned


def _inputs(result: JobResult) -> dict[str, str]:
    with suppress(UserError, OSError):  # the file that was read is gone
        return {} if result.problem is None else result.problem.data.inputs()
    return {}


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
    descriptor = os.open(folder / JOURNAL, os.O_RDWR | os.O_CREAT | os.O_APPEND)
    try:
        size = os.fstat(descriptor).st_size
        torn = size and os.pread(descriptor, 1, size - 1) != b"\n"  # by a process killed while it wrote
        os.write(descriptor, ("\n" * bool(torn) + text).encode())
    finally:
        os.close(descriptor)


def read(folder: Path) -> list[Row]:
    """In the order of the jobs; none if nothing has ended."""
    if not (folder / JOURNAL).exists():
        return []
    lines = (folder / JOURNAL).read_text(errors="replace").splitlines()
    return sorted((Row(**line) for line in map(_parse, lines) if line), key=lambda row: row.job)


def _parse(line: str) -> dict[str, Any] | None:
    """None for a line that a process was killed while it wrote: its job has not ended."""
    try:
        row = dict(json.loads(line))
    except ValueError:
        return None
    if "answer" in row:  # of 0.1.0, which did not write down what it minimised
        value = row.pop("objective")
        row |= {"coefficients": row.pop("answer"), "objectives": {} if value is None else {"objective": value}}
    return row


def to_table(rows: Sequence[Row]) -> pa.Table:
    """One row a job: its overrides under their keys, how it ended, last metrics, scale, coefficients; null: none."""
    keys = list(dict.fromkeys(key for row in rows for key in row.swept))
    metrics = sorted({name for row in rows for name in row.metrics})
    answers = [row.coefficients or {"scale": None, "coefficients": {}} for row in rows]
    terms = list(dict.fromkeys(term for answer in answers for term in answer["coefficients"]))
    columns: dict[str, Any] = {"job": [row.job for row in rows]}
    columns |= {key: _column([row.swept.get(key) for row in rows]) for key in keys if key != "job"}
    columns["status"] = [row.status for row in rows]
    columns["failure"] = pa.array([row.failure for row in rows], pa.string())
    columns["pruned"] = pa.array([row.pruned for row in rows], pa.string())
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
