"""The files that a run leaves: coefficients.json, metrics.json, config.yaml, and the parquet tables."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from noiseworks.problem import Problem
from noiseworks.trainer.outcome import Outcome


def mean_over_members(values: torch.Tensor) -> Any:
    """The mean of what did not fail, over the leading axis."""
    return values.double().nanmean(0)


def coefficients(problem: Problem, outcome: Outcome) -> dict[str, Any]:
    """In the units of the data; for replicates the mean over those that did not fail."""
    good = [k for k in range(len(outcome.theta)) if k not in outcome.failures]
    mean = outcome.coefficients[good].mean(0).tolist()
    named = dict(zip(problem.terms, mean))
    ordered = {"intercept": named.pop("intercept"), **named} if "intercept" in named else named
    scale = None if outcome.scale is None else outcome.scale[good].mean().item()
    return {"noise": problem.noise.name, "scale": scale, "coefficients": ordered, "standard_errors": None}


def final_metrics(outcome: Outcome) -> dict[str, float]:
    """The last value of each metric; for replicates its mean, variance and count over those that did not fail."""
    values = {name: points[-1][1] for name, points in outcome.curves.items()} | outcome.metrics
    metrics: dict[str, float] = {}
    for name, members in values.items():
        finite = members[torch.isfinite(members)].double()
        if not len(finite):
            continue
        metrics[name] = finite.mean().item()
        if len(members) > 1:
            metrics[f"{name}/variance"] = finite.var().item() if len(finite) > 1 else 0.0
            metrics[f"{name}/count"] = float(len(finite))
    return metrics


def write_json(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n")
    return path


def write_replicates(path: Path, problem: Problem, outcome: Outcome) -> Path:
    """One row a copy: its metrics, coefficients and scale, and why it failed if it did."""
    K = len(outcome.theta)
    failed = [outcome.failures.get(k) for k in range(K)]
    columns: dict[str, Any] = {"replicate": list(range(K)), "failure": pa.array(failed, pa.string())}
    columns |= {name: values.double().numpy() for name, values in outcome.metrics.items()}
    columns |= {f"coefficient/{term}": outcome.coefficients[:, j].numpy() for j, term in enumerate(problem.terms)}
    if outcome.scale is not None:
        columns["scale"] = outcome.scale.numpy()
    pq.write_table(pa.table(columns), path)
    return path


def write_trajectory(path: Path, problem: Problem, outcome: Outcome) -> Path:
    """One row a step and copy: the coefficients after that step, in the units of the data."""
    assert outcome.path is not None
    steps, K, _ = outcome.path.shape
    columns: dict[str, Any] = {
        "step": torch.arange(steps).repeat_interleave(K).numpy(),
        "replicate": torch.arange(K).repeat(steps).numpy(),
    }
    flat = outcome.path.flatten(0, 1)
    columns |= {term: flat[:, j].contiguous().numpy() for j, term in enumerate(problem.terms)}
    pq.write_table(pa.table(columns), path)
    return path
