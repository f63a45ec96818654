"""How a job of a group ended, and what is kept of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from noiseworks.outcome import Outcome
from noiseworks.problem import Problem
from noiseworks.runs import artifacts
from noiseworks.runs.figures import draw_all
from noiseworks.runs.journal import Row
from noiseworks.runs.predictor import to_json as predictor
from noiseworks.sweep.groups import SweepJob
from noiseworks.tracking import contents
from noiseworks.tracking.parents import Parent
from noiseworks.tracking.settings import Mlflow

if TYPE_CHECKING:
    from noiseworks.tracking.finished_runs import FinishedRun


@dataclass
class Ended:
    """`problem` and `outcome` are None for a job whose data said no, `problem` alone for one that is no fit; `failure`
    says why a job failed. One that the sweeper stopped has not failed."""

    of: SweepJob
    problem: Problem | None
    outcome: Outcome | None
    failure: str | None
    seconds: float
    run: str | None = None

    def __post_init__(self) -> None:
        self.metrics: dict[str, float] = {}
        if self.outcome is not None:
            self.metrics = artifacts.final_metrics(self.outcome) | {"run/seconds": self.seconds}
        self.files = artifacts.files(self.of.job, self.problem, self.outcome, self.metrics)
        if self._wants("figures"):
            with TemporaryDirectory() as folder:
                for path in draw_all(Path(folder), self.problem, self.outcome):  # type: ignore[arg-type]
                    self.files[f"figures/{path.name}"] = path.read_bytes()

    def _wants(self, key: str) -> bool:
        return self.failure is None and self.problem is not None and self.of.job.tracking.wants(key, in_sweep=True)

    @property
    def pruned(self) -> str | None:
        """When."""
        if self.failure is not None or self.outcome is None or not self.outcome.pruned:
            return None
        return f"at epoch {max(self.outcome.pruned.values())}"

    @property
    def objective(self) -> float | None:
        """The first, if there are several."""
        if self.status != "FINISHED" or self.outcome is None:
            return None
        return next(iter(artifacts.objective(self.outcome, self.of.job.objective)), None)

    @property
    def status(self) -> str:
        if self.failure is not None:
            return "FAILED"
        return "FINISHED" if self.pruned is None else "KILLED"

    def finished_run(self, parent_tags: dict[str, str], started: int, ended: int) -> FinishedRun:
        from noiseworks.tracking.finished_runs import FinishedRun

        job, tags = self.of.job, contents.tags(self.of.job) | parent_tags
        points: list[tuple[str, float, int, int]] = []
        if self.outcome is not None:
            points = contents.curve_points(self.outcome, ended)
            shown = {name: value for name, value, _, _ in points}
            last = max((step for _, _, step, _ in points), default=0)
            # A millisecond later: of points of the same step and time MLflow takes the largest for the latest.
            points += [(*point, ended + 1) for point in contents.final_points(self.metrics, shown, last)]
        tags |= contents.end_tags(self.outcome, self.failure, self.pruned)
        return FinishedRun(
            name=contents.run_name(job),
            status=self.status,
            started=started,
            ended=ended,
            params=contents.params(job),
            tags=tags,
            points=points,
            dataset=None if self.problem is None else contents.dataset(self.problem.examples),
            files=self.files,
        )

    def row(self) -> Row:
        answer = json.loads(self.files["coefficients.json"]) if "coefficients.json" in self.files else None
        of, value, key = self.of, self.objective, self.of.job.key
        return Row(of.num, of.swept, self.status, self.failure, value, self.run, self.metrics, answer, key, self.pruned)

    def log_model(self, parent: Parent) -> None:
        """If every job of the sweep is to have its own (tracking.model=true)."""
        if self._wants("model"):
            from noiseworks.tracking.live_run import MlflowRun
            from noiseworks.tracking.logged_model import log_model

            assert self.run is not None
            run = MlflowRun(parent.uri, parent.experiment, self.run)
            log_model(run, predictor(self.problem, self.outcome))  # type: ignore[arg-type]

    @property
    def tracked(self) -> bool:
        return isinstance(self.of.job.tracking, Mlflow)
