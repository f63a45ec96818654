"""The files that a run leaves: coefficients.json, metrics.json, config.yaml, and the parquet tables."""

from __future__ import annotations

import io
import json
import math
from functools import lru_cache
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
import torch
from omegaconf import OmegaConf
from yaml.representer import SafeRepresenter

from noiseworks.config.job import Job
from noiseworks.inference import LEVEL
from noiseworks.outcome import Outcome
from noiseworks.problem import Problem

NUMBERS = SafeRepresenter()


def to_yaml(config: dict[str, Any], indent: str = "") -> str:
    """What `OmegaConf.to_yaml` gives for plain containers. The jobs of a sweep share most of their lines, and a line is
    made once."""
    text = []
    for key, value in config.items():
        if isinstance(value, dict) and value:
            text += [_key(key, indent), "\n", to_yaml(value, indent + "  ")]
        elif isinstance(value, (list, dict)):
            text.append(_lines_of_json(key, json.dumps(value), indent))
        elif type(value) is float:  # a search has other ones in every job
            text.append(f"{_key(key, indent)} {NUMBERS.represent_float(value).value}\n")
        else:
            text.append(_lines(key, value, indent))
    return "".join(text)


def _key(key: str, indent: str) -> str:
    return _lines(key, None, indent).removesuffix(" null\n")


@lru_cache(maxsize=10_000, typed=True)  # typed: 1 is not true
def _lines(key: str, value: Any, indent: str) -> str:
    lines = OmegaConf.to_yaml({key: value}).splitlines(keepends=True)
    return "".join(indent + line if line.strip() else line for line in lines)


@lru_cache(maxsize=10_000)
def _lines_of_json(key: str, text: str, indent: str) -> str:
    return _lines.__wrapped__(key, json.loads(text), indent)


T = TypeVar("T")
ENCODE = json.JSONEncoder(allow_nan=False).encode


def files(
    job: Job,
    problem: Problem | None,
    outcome: Outcome | None,
    metrics: dict[str, float],
    coefficients: dict[str, Any] | None,
) -> dict[str, bytes]:
    """Name -> content; of a job that had no outcome, or is no fit, what there is."""
    content = {"config.yaml": to_yaml(job.config).encode()}
    if outcome is None:
        return content
    content["metrics.json"] = to_json(metrics)
    if problem is None:
        return content | ({"replicates.parquet": to_parquet(copies(outcome))} if job.replicates > 1 else {})
    if coefficients is not None:
        content["coefficients.json"] = to_json(coefficients)
    if job.replicates > 1:
        content["replicates.parquet"] = to_parquet(replicates(problem, outcome))
    if outcome.path is not None:
        content["trajectory.parquet"] = to_parquet(trajectory(problem, outcome))
    return content


def mean_over_members(values: torch.Tensor) -> torch.Tensor:
    """The mean of what did not fail, over the leading axis."""
    return values.double().nanmean(0) if len(values) > 1 else values[0].double()


def coefficients(problem: Problem, outcome: Outcome) -> dict[str, Any] | None:
    """In the units of the data; for replicates the mean over those that did not fail; None if all failed."""
    good = [k for k in range(len(outcome.theta)) if k not in outcome.failures]
    if not good:
        return None
    mean = (outcome.coefficients[0] if len(outcome.theta) == 1 else outcome.coefficients[good].mean(0)).tolist()
    scale = None if outcome.scale is None else outcome.scale[good].mean().item()
    known = {"noise": problem.noise.name, "scale": scale, "coefficients": _by_name(problem, mean)}
    found = intervals(problem, outcome)
    known |= {"standard_errors": standard_errors(problem, outcome), "intervals": found}
    return known | {"level": None if found is None else LEVEL}


def standard_errors(problem: Problem, outcome: Outcome) -> dict[str, float | None] | None:
    """None for a coefficient that cannot be estimated; no dictionary for trained coefficients, nor for the mean of
    replicates, whose spread is that of the replicates."""
    if outcome.standard_errors is None or len(outcome.theta) > 1:
        return None
    errors = outcome.standard_errors[0].tolist()
    return {name: error if math.isfinite(error) else None for name, error in _by_name(problem, errors).items()}


def intervals(problem: Problem, outcome: Outcome) -> dict[str, list[float] | None] | None:
    """[low, high] of each coefficient; None as for the standard errors."""
    if outcome.intervals is None or len(outcome.theta) > 1:
        return None
    named = _by_name(problem, outcome.intervals[0].tolist())
    return {name: ends if all(map(math.isfinite, ends)) else None for name, ends in named.items()}


def _by_name(problem: Problem, values: list[T]) -> dict[str, T]:
    """The intercept first."""
    named = dict(zip(problem.terms, values))
    return {"intercept": named.pop("intercept"), **named} if "intercept" in named else named


def final_metrics(outcome: Outcome) -> dict[str, float]:
    """The last value of each metric; for replicates its mean, variance and count over those that did not fail."""
    metrics: dict[str, float] = {}
    for name in outcome.names:
        members = outcome.last(name)
        if len(members) == 1:
            if math.isfinite(value := members.item()):
                metrics[name] = value
            continue
        finite = members[torch.isfinite(members)].double()
        if len(finite):
            metrics[name] = finite.mean().item()
            metrics[f"{name}/variance"] = finite.var().item() if len(finite) > 1 else 0.0
            metrics[f"{name}/count"] = float(len(finite))
    return metrics


def to_json(content: dict[str, Any]) -> bytes:
    """A key a line. (Python's own indentation takes ten times as long, which thousands of runs feel.)"""
    lines = [f"  {ENCODE(key)}: {ENCODE(value)}" for key, value in content.items()]
    return ("{\n" + ",\n".join(lines) + "\n}\n").encode()


def to_parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def copies(outcome: Outcome) -> pa.Table:
    """One row a copy: what was measured in each."""
    K = len(outcome.theta)
    columns = {name: values.numpy() for name, values in outcome.metrics.items() if len(values) == K}
    return pa.table({"replicate": list(range(K)), **columns})


def replicates(problem: Problem, outcome: Outcome) -> pa.Table:
    """One row a copy: its metrics, coefficients and scale, and why it failed if it did."""
    K = len(outcome.theta)
    failed = [outcome.failures.get(k) for k in range(K)]
    columns: dict[str, Any] = {"replicate": list(range(K)), "failure": pa.array(failed, pa.string())}
    columns |= {name: values.double().numpy() for name, values in outcome.metrics.items()}
    columns |= {f"coefficient/{term}": outcome.coefficients[:, j].numpy() for j, term in enumerate(problem.terms)}
    if outcome.standard_errors is not None:
        errors = outcome.standard_errors.numpy()
        columns |= {f"standard_error/{term}": errors[:, j] for j, term in enumerate(problem.terms)}
    if outcome.intervals is not None:
        for end, values in zip(("low", "high"), outcome.intervals.numpy().transpose(2, 1, 0)):
            columns |= {f"interval_{end}/{term}": of_term for term, of_term in zip(problem.terms, values)}
    if outcome.scale is not None:
        columns["scale"] = outcome.scale.numpy()
    return pa.table(columns)


def trajectory(problem: Problem, outcome: Outcome) -> pa.Table:
    """One row a step and copy: the coefficients after that step, in the units of the data."""
    assert outcome.path is not None
    steps, K, _ = outcome.path.shape
    columns: dict[str, Any] = {
        "step": torch.arange(steps).repeat_interleave(K).numpy(),
        "replicate": torch.arange(K).repeat(steps).numpy(),
    }
    flat = outcome.path.flatten(0, 1)
    for j, term in enumerate(problem.terms):  # a feature may have one of those names
        columns[f"coefficient/{term}" if term in columns else term] = flat[:, j].contiguous().numpy()
    return pa.table(columns)
