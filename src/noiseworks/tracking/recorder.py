"""The MLflow run of one job, written while the job runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Self

import torch

from noiseworks.problem import Problem
from noiseworks.runs.artifacts import mean_over_members
from noiseworks.runs.result import JobRequest, JobResult
from noiseworks.tracking import contents
from noiseworks.train.monitor import Points


class Recorder:
    """What is done for a job that is not tracked: nothing. `run`: the id in MLflow."""

    run: str | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """A job that is stopped from outside is KILLED."""

    def begin(self, problem: Problem | None) -> None:
        """From here on there is a run."""

    def live(self, points: Points) -> None:
        """New points of the curves, while training goes on."""

    def finish(self, result: JobResult, note: str | None) -> None:
        """All that the job leaves; `note`: the printed table, which is the description of the run."""

    @property
    def where(self) -> str:
        return ""


class LiveRecorder(Recorder):
    """parent_tags: those that make the run a child of a sweep's, asked for when the run starts."""

    def __init__(self, request: JobRequest, parent_tags: Callable[[], dict[str, str]]) -> None:
        self.request, self.parent_tags = request, parent_tags
        self.started = time.time_ns() // 1_000_000
        self.shown: dict[str, float] = {}  # the latest value of each curve
        self.last_step = 0  # of any curve
        self.live_run: Any = None

    def begin(self, problem: Problem | None) -> None:
        from noiseworks.tracking.store import experiment_id, open_store

        job = self.request.job
        uri = open_store(job.tracking.uri)
        from noiseworks.tracking.live_run import MlflowRun  # after open_store has set what MLflow reads when imported

        tags = contents.tags(job) | self.parent_tags()
        experiment = experiment_id(uri, job.experiment)
        name, params = contents.run_name(job), contents.params(job)
        self.live_run = MlflowRun.start(uri, experiment, name, params, tags, self.started)
        self.run = self.live_run.id
        if problem is not None:
            self.live_run.log_dataset(contents.dataset(problem.examples))

    def live(self, points: Points) -> None:
        for name, values in points.items():
            for step, members in values:
                value = mean_over_members(members)
                if torch.isfinite(value):
                    self.shown[name] = value.item()
                    self.live_run.log(name, self.shown[name], step)
                    self.last_step = max(self.last_step, step)

    def finish(self, result: JobResult, note: str | None) -> None:
        if self.live_run is None:  # nothing was trained or measured
            self.begin(result.problem)
        result.run = self.run
        run = self.live_run
        for point in contents.final_points(result.metrics, self.shown, self.last_step):
            run.log(*point)
        run.log_results(result.request.folder, result.files)
        if (saved := result.predictor()) is not None:
            from noiseworks.tracking.logged_model import log_model

            log_model(run, saved)
        if tags := contents.end_tags(result):
            run.tag(tags)
        if note is not None:
            run.note(note)
        run.finish(result.status, self.started + round(1000 * result.seconds))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is not None and self.live_run is not None:
            stopped = not isinstance(error, Exception)
            self.live_run.tag(contents.failure_tag("stopped from outside" if stopped else str(error)))
            self.live_run.finish("KILLED" if stopped else "FAILED")

    @property
    def where(self) -> str:
        return "" if self.live_run is None else f"MLflow run {self.run} in {self.live_run.uri}; "
