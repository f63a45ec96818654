"""The best job of a sweep: its figures and its model are kept, for its own run and for the parent's."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

from filelock import FileLock

from noiseworks.runs.artifacts import mean_of_all, to_json
from noiseworks.runs.figures import draw_all
from noiseworks.runs.predictor import to_json as predictor
from noiseworks.runs.result import Ended
from noiseworks.tracking.parents import SweepFolder


class Best:
    """In the folder `best`: job.json, predictor.json and figures, of the best objective so far, and of equals of the
    first job. The jobs of a sweep may come in several batches, and those of a study in several processes."""

    def __init__(self, sweep: Path) -> None:
        self.folder, self.study = sweep / "best", SweepFolder(sweep).study
        self.maximize = self.study is not None and self.study.directions[0] == "maximize"
        self.place = self._place_kept()
        self.ended: Ended | None = None

    def job(self) -> dict[str, Any] | None:
        path = self.folder / "job.json"
        return dict(json.loads(path.read_text())) if path.exists() else None

    def _place(self, objective: float, job: int) -> tuple[float, int]:
        """The smaller, the better."""
        return (-objective if self.maximize else objective), job

    def _place_kept(self) -> tuple[float, int]:
        found = self.job()
        return self._place(found["objective"], found["job"]) if found else (math.inf, 0)

    def offer(self, ended: Ended) -> None:
        if ended.objective is None or not math.isfinite(ended.objective):
            return
        place = self._place(ended.objective, ended.of.num)
        if place < self.place and self._may_win(ended):
            self.place, self.ended = place, ended

    def _may_win(self, ended: Ended) -> bool:
        """In a study not what breaks a constraint, or only confirms a trial; with several objectives nobody."""
        if self.study is None:
            return True
        if len(self.study.directions) > 1 or ended.of.num >= self.study.confirms_from or ended.outcome is None:
            return False
        most = ended.of.job.objective.constraints
        return all(mean_of_all(ended.outcome, name) <= most[name] for name in most)

    def save(self) -> None:
        if self.ended is None:
            return
        with FileLock(self.folder.with_name(".best.lock")):
            if self._place_kept() > self.place:  # else another process was better
                self._save(self.ended)

    def _save(self, ended: Ended) -> None:
        problem, outcome = ended.problem, ended.outcome
        assert problem is not None
        assert outcome is not None
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        tracking = ended.of.job.tracking
        if tracking.wants("figures", in_sweep=False):
            draw_all(self.folder / "figures", problem, outcome)
        if tracking.wants("model", in_sweep=False):
            (self.folder / "predictor.json").write_bytes(to_json(predictor(problem, outcome)))
        facts = {"job": ended.of.num, "objective": ended.objective, "run": ended.run}
        (self.folder / "job.json").write_bytes(to_json(facts))
