"""From a job and its outcome to files, an MLflow run and a printed table."""

from __future__ import annotations

import getpass
import math
import platform
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import torch
from omegaconf import OmegaConf

import noiseworks
from noiseworks.job import Job
from noiseworks.problem import Problem
from noiseworks.tracking import artifacts
from noiseworks.tracking.figures import draw_all
from noiseworks.tracking.predictor import to_json
from noiseworks.tracking.settings import Mlflow
from noiseworks.trainer.monitor import Points
from noiseworks.trainer.outcome import Outcome


class Record:
    """What one job leaves: always files in `folder`, and an MLflow run where tracking says so."""

    def __init__(self, job: Job, problem: Problem | None, folder: Path, sweep: str | None) -> None:
        self.job, self.problem, self.folder, self.sweep = job, problem, folder, sweep
        self.started = time.monotonic()
        self.shown: dict[str, float] = {}  # the latest value of each curve
        self.run = self._start() if isinstance(job.tracking, Mlflow) else None
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.yaml").write_text(OmegaConf.to_yaml(job.config))

    def _start(self) -> Any:
        from noiseworks.tracking.store import experiment_id, open_store

        uri = open_store(self.job.tracking.uri)
        from noiseworks.tracking.run import MlflowRun  # after open_store has set what MLflow reads when imported

        choices = self.job.choices
        name = f"{choices['data']}-{choices['noise']}-{choices['optimizer']}"
        experiment = experiment_id(uri, choices.get("experiment") or "default")
        run = MlflowRun(uri, experiment, name, dict(_flat(self.job.config)), self._tags())
        if self.problem is not None:
            run.log_dataset(self.problem.examples)
        return run

    def _tags(self) -> dict[str, str]:
        from noiseworks.tracking.run import git_commit

        tags = {key: self.job.choices[key] for key in ("data", "noise", "model", "optimizer", "schedule", "trainer")}
        tags |= {"seed": str(self.job.config["seed"]), "device": device_name(self.job.trainer.accelerator)}
        tags |= {f"version.{name}": version for name, version in versions().items()}
        tags |= {"mlflow.source.name": "noiseworks", "mlflow.source.type": "LOCAL", "host": socket.gethostname()}
        tags["mlflow.user"] = getpass.getuser()
        if self.sweep is not None:
            tags["sweep"] = self.sweep
        commit = git_commit()
        return tags if commit is None else {**tags, "mlflow.source.git.commit": commit}

    def live(self, points: Points) -> None:
        """New points of the curves, while training goes on."""
        if self.run is not None:
            for name, values in points.items():
                for step, members in values:
                    value = artifacts.mean_over_members(members).item()
                    if math.isfinite(value):
                        self.run.log(name, value, step)
                        self.shown[name] = value

    def finish(self, outcome: Outcome) -> dict[str, float]:
        """Write everything; the run is FAILED if every member failed."""
        job, problem, folder = self.job, self.problem, self.folder
        assert problem is not None
        metrics = artifacts.final_metrics(outcome)
        metrics["run/seconds"] = time.monotonic() - self.started
        last = max((points[-1][0] for points in outcome.curves.values()), default=0)
        failed = len(outcome.failures) == len(outcome.theta)
        files = [folder / "config.yaml", artifacts.write_json(folder / "metrics.json", metrics)]
        if not failed:
            content = artifacts.coefficients(problem, outcome)
            files.append(artifacts.write_json(folder / "coefficients.json", content))
        if job.replicates > 1:
            files.append(artifacts.write_replicates(folder / "replicates.parquet", problem, outcome))
        if outcome.path is not None:
            files.append(artifacts.write_trajectory(folder / "trajectory.parquet", problem, outcome))
        wants = {key: not failed and job.tracking.wants(key, self.sweep is not None) for key in ("figures", "model")}
        figures = draw_all(folder / "figures", problem, outcome) if wants["figures"] else []
        if self.run is not None:
            for name, value in metrics.items():
                if self.shown.get(name) != value:  # the curves are there already
                    self.run.log(name, value, last)
            for file in files:
                self.run.client.log_artifact(self.run.id, str(file))
            for file in figures:
                self.run.client.log_artifact(self.run.id, str(file), "figures")
            if wants["model"]:
                self._log_model(problem, outcome)
            if outcome.failures:
                self.run.tag({"failure": "; ".join(outcome.failures.values())})
            self.run.finish("FAILED" if failed else "FINISHED")
        return metrics

    def note(self, text: str) -> None:
        """The table that the command prints is the description of the run."""
        if self.run is not None:
            self.run.tag({"mlflow.note.content": f"```\n{text}\n```"})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """A job that ends by an exception is FAILED, or KILLED if somebody stopped it."""
        if error is None or self.run is None:
            return
        stopped = not isinstance(error, Exception)
        self.run.tag({"failure": "stopped from outside" if stopped else str(error)})
        self.run.finish("KILLED" if stopped else "FAILED")

    def _log_model(self, problem: Problem, outcome: Outcome) -> None:
        from noiseworks.tracking.model import log_model

        assert self.run is not None
        good = next(k for k in range(len(outcome.theta)) if k not in outcome.failures)
        scale = None if outcome.scale is None else outcome.scale[good].item()
        log_model(self.run, to_json(problem, outcome.theta[good], scale), problem.examples)

    def where(self) -> str:
        tracked = "" if self.run is None else f"MLflow run {self.run.id} in {self.run.uri}; "
        return f"{tracked}files in {self.folder}"


def versions() -> dict[str, str]:
    from importlib.metadata import version

    names = ("torch", "pytorch-lightning", "mlflow", "hydra-core")
    return {"noiseworks": noiseworks.__version__, "python": platform.python_version()} | {n: version(n) for n in names}


def device_name(accelerator: str) -> str:
    if accelerator in ("gpu", "auto") and torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return "tpu" if accelerator == "tpu" else f"cpu, {torch.get_num_threads()} threads"


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of a configuration under dotted keys; the group's class stands under the group's own name."""
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        elif key == "_target_":
            yield prefix.rstrip("."), value
        elif key != "_partial_":
            yield name, value
