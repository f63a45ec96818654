"""One job that runs by itself: its files, and its MLflow run while it happens."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Self

import torch

from noiseworks import signals as stop
from noiseworks.config.job import Job
from noiseworks.outcome import Outcome
from noiseworks.problem import Problem
from noiseworks.runs import artifacts
from noiseworks.runs.figures import draw_all
from noiseworks.runs.predictor import to_json
from noiseworks.tracking import contents
from noiseworks.tracking.parents import SweepFolder
from noiseworks.tracking.settings import Mlflow
from noiseworks.train.monitor import Points


class Record:
    """What one job leaves: always files in `folder`, and an MLflow run where tracking says so."""

    def __init__(
        self, job: Job, problem: Problem | None, folder: Path, sweep: SweepFolder | None, num: int = 0
    ) -> None:
        self.job, self.problem, self.folder, self.sweep, self.num = job, problem, folder, sweep, num
        self.started = time.monotonic()
        self.shown: dict[str, float] = {}  # the latest value of each curve
        self.last_step = 0  # of any curve
        self.run = self._start() if isinstance(job.tracking, Mlflow) else None
        self._write(artifacts.files(job, None, None, {}))

    def _start(self) -> Any:
        from noiseworks.tracking.store import experiment_id, open_store

        uri = open_store(self.job.tracking.uri)
        from noiseworks.tracking.live_run import MlflowRun  # after open_store has set what MLflow reads when imported

        job = self.job
        tags = contents.tags(job) | ({} if self.sweep is None else self.sweep.tags(job, self.num))
        experiment = experiment_id(uri, job.experiment)
        run = MlflowRun.start(uri, experiment, contents.run_name(job), contents.params(job), tags)
        if self.problem is not None:
            run.log_dataset(contents.dataset(self.problem.examples))
        return run

    def _write(self, files: dict[str, bytes]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (self.folder / name).write_bytes(content)

    def live(self, points: Points) -> None:
        """New points of the curves, while training goes on."""
        if self.run is not None:
            for name, values in points.items():
                for step, members in values:
                    value = artifacts.mean_over_members(members)
                    if torch.isfinite(value):
                        self.shown[name] = value.item()
                        self.run.log(name, self.shown[name], step)
                        self.last_step = max(self.last_step, step)

    def finish(self, outcome: Outcome, failure: str | None) -> dict[str, float]:
        """Write everything; the run is FAILED if there is a reason."""
        job, problem, folder = self.job, self.problem, self.folder
        metrics = artifacts.final_metrics(outcome)
        metrics["run/seconds"] = time.monotonic() - self.started
        failed = failure is not None
        files = artifacts.files(job, problem, outcome, metrics)
        self._write(files)
        fitted = not failed and problem is not None
        wants = {key: fitted and job.tracking.wants(key, self.sweep is not None) for key in ("figures", "model")}
        figures = draw_all(folder / "figures", problem, outcome) if wants["figures"] and problem else []
        if self.run is not None:
            for point in contents.final_points(metrics, self.shown, self.last_step):
                self.run.log(*point)
            self.run.log_files([folder / name for name in files])
            self.run.log_files(figures, "figures")
            if wants["model"] and problem:
                self._log_model(problem, outcome)
            if tags := contents.end_tags(outcome, failure):
                self.run.tag(tags)
            self.run.finish("FAILED" if failed else "FINISHED")
        return metrics

    def note(self, text: str) -> None:
        """The table that the command prints is the description of the run."""
        if self.run is not None:
            self.run.note(text)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """A job that ends by an exception is FAILED, or KILLED if somebody stopped it."""
        if error is None or self.run is None:
            return
        stopped = stop.came() or not isinstance(error, Exception)
        self.run.tag(contents.failure_tag("stopped from outside" if stopped else str(error)))
        if not stopped:
            self.run.log_files([self.folder / "config.yaml"])
        self.run.finish("KILLED" if stopped else "FAILED")

    def _log_model(self, problem: Problem, outcome: Outcome) -> None:
        from noiseworks.tracking.logged_model import log_model

        assert self.run is not None
        log_model(self.run, to_json(problem, outcome))

    @property
    def run_id(self) -> str | None:
        return None if self.run is None else self.run.id

    def where(self) -> str:
        tracked = "" if self.run is None else f"MLflow run {self.run.id} in {self.run.uri}; "
        return f"{tracked}files in {self.folder}"
