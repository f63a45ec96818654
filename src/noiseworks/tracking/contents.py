"""What a run consists of, however it is written: name, params, tags, points of metrics, files."""

from __future__ import annotations

import getpass
import math
import os
import re
import socket
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from noiseworks.config.job import Job
from noiseworks.data.base import Examples
from noiseworks.outcome import Outcome
from noiseworks.runs.artifacts import mean_over_members
from noiseworks.runs.result import JobResult
from noiseworks.versions import versions

if TYPE_CHECKING:
    from mlflow.entities import Dataset

LONGEST_PARAM, LONGEST_TAG = 6000, 5000
GROUPS = ("data", "noise", "model", "optimizer", "schedule", "trainer")


def run_name(job: Job) -> str:
    if job.measures:
        return job.experiment
    return f"{job.choices['data']}-{job.choices['noise']}-{job.choices['optimizer']}"


def params(job: Job) -> dict[str, str]:
    """The whole configuration; of a group that is mounted twice the option, too (noise_data.noise: laplace)."""
    mounted = {mlflow_name(key): option for key, option in job.choices.items() if "@" in key}
    return mounted | {key: str(value)[:LONGEST_PARAM] for key, value in _flat(job.config)}


def tags(job: Job) -> dict[str, str]:
    """The facts to filter by, and where the run comes from."""
    tags = {key: job.choices[key] for key in GROUPS}
    if job.measures:
        tags["task"] = "measure"
    tags |= {"seed": str(job.config["seed"]), "device": device_name(job.trainer.accelerator)}
    return tags | origin()


def experiment_digest(job: Job) -> dict[str, str]:
    """By which a study sees that the experiment has changed since."""
    return {} if job.experiment_digest is None else {"experiment.digest": job.experiment_digest}


@lru_cache
def origin() -> dict[str, str]:
    """Versions, commit, host and user: those of this process."""
    from noiseworks.tracking.live_run import git_commit

    tags = {f"version.{name}": version for name, version in versions().items()}
    tags |= {"mlflow.source.name": "noiseworks", "mlflow.source.type": "LOCAL", "host": socket.gethostname()}
    tags["mlflow.user"] = _user()
    commit = git_commit()
    return tags if commit is None else {**tags, "mlflow.source.git.commit": commit}


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's, without a name
        return str(os.getuid())


def mlflow_name(key: str) -> str:
    """As MLflow takes it: noise@data.noise is noise_data.noise."""
    return re.sub(r"[^\w/. -]", "_", key)


def failure_tag(reason: str) -> dict[str, str]:
    return {"failure": reason[:LONGEST_TAG]}


def end_tags(result: JobResult) -> dict[str, str]:
    """Why a job, or replicates of it, failed; for one that was stopped by the sweeper: when."""
    if result.pruned is not None:
        return {"pruned": result.pruned}
    reasons = [] if result.outcome is None else list(result.outcome.failures.values())
    if result.failure is not None and result.failure not in reasons:
        reasons.append(result.failure)
    return failure_tag("; ".join(reasons)) if reasons else {}


def dataset(examples: Examples) -> Dataset:
    """The data set with its digest, as MLflow shows it in its table of runs."""
    from mlflow.entities import Dataset

    schema = ", ".join([*examples.features, examples.target])
    return Dataset(
        name=Path(examples.source.split(":")[-1]).stem.split(",")[0],
        digest=examples.digest,
        source_type="local",
        source=examples.source,
        profile=f'{{"num_rows": {examples.num_examples}, "columns": "{schema[:1000]}"}}',
    )


def curve_points(outcome: Outcome, when: int) -> list[tuple[str, float, int, int]]:
    """(metric, value, step, when) of every point of every curve; for replicates the mean over those that have one."""
    points = []
    for name, curve in outcome.curves.items():
        values = mean_over_members(curve.values).tolist()
        points += [(name, value, step, when) for step, value in zip(curve.steps, values) if math.isfinite(value)]
    return points


def final_points(metrics: Mapping[str, float], shown: Mapping[str, float], step: int) -> list[tuple[str, float, int]]:
    """Of the metrics those that the curves, whose latest values are `shown`, do not end with."""
    return [(name, value, step) for name, value in metrics.items() if shown.get(name) != value]


@lru_cache
def device_name(accelerator: str) -> str:
    if accelerator in ("gpu", "auto") and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return "tpu" if accelerator == "tpu" else f"cpu, {torch.get_num_threads()} threads"


def _flat(config: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of a configuration under dotted keys; the group's class stands under the group's own name."""
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict):
            yield from _flat(value, f"{name}.")
        elif key == "_target_":
            yield prefix.rstrip("."), value
        elif key != "_partial_":
            yield name, value
