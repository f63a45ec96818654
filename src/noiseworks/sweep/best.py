"""The best job of a sweep: its figures and its model are kept, for its own run and for the parent's."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

from filelock import FileLock

from noiseworks.runs.artifacts import to_json
from noiseworks.runs.figures import draw_all
from noiseworks.runs.predictor import to_json as predictor
from noiseworks.runs.result import JobResult, mean_of_all
from noiseworks.tracking.parents import SweepFolder


class Best:
    """In the folder `best`: job.json, predictor.json and figures, of the best objective so far, and of equals of the
    first job. The jobs of a sweep may come in several batches, and those of a study in several processes."""

    def __init__(self, sweep: Path) -> None:
        self.folder, self.study = sweep / "best", SweepFolder(sweep).study
        self.maximize = self.study is not None and self.study.directions[0] == "maximize"
        self.place = self._place_kept()
        self.result: JobResult | None = None

    def job(self) -> dict[str, Any] | None:
        path = self.folder / "job.json"
        return dict(json.loads(path.read_text())) if path.exists() else None

    def _place(self, objective: float, job: int) -> tuple[float, int]:
        """The smaller, the better."""
        return (-objective if self.maximize else objective), job

    def _place_kept(self) -> tuple[float, int]:
        found = self.job()
        return self._place(found["objective"], found["job"]) if found else (math.inf, 0)

    def offer(self, result: JobResult) -> None:
        if result.value is None or not math.isfinite(result.value):
            return
        place = self._place(result.value, result.num)
        if place < self.place and self._may_win(result):
            self.place, self.result = place, result

    def _may_win(self, result: JobResult) -> bool:
        """In a study not what breaks a constraint, or only confirms a trial; with several objectives nobody."""
        if self.study is None:
            return True
        if len(self.study.directions) > 1 or result.num >= self.study.confirms_from or result.outcome is None:
            return False
        most = result.job.objective.constraints
        return all(mean_of_all(result.outcome, name) <= most[name] for name in most)

    def save(self) -> None:
        if self.result is None:
            return
        with FileLock(self.folder.with_name(".best.lock")):
            if self._place_kept() > self.place:  # else another process was better
                self._save(self.result)

    def _save(self, result: JobResult) -> None:
        problem, outcome = result.problem, result.outcome
        assert problem is not None
        assert outcome is not None
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        tracking = result.job.tracking
        if tracking.wants("figures", in_sweep=False):
            (self.folder / "figures").mkdir()
            for name, png in draw_all(problem, outcome).items():
                (self.folder / "figures" / name).write_bytes(png)
        if tracking.wants("model", in_sweep=False):
            (self.folder / "predictor.json").write_bytes(to_json(predictor(problem, outcome)))
        facts = {"job": result.num, "objective": result.value, "run": result.run}
        (self.folder / "job.json").write_bytes(to_json(facts))
