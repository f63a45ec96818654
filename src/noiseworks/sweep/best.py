"""The best job of a sweep: its figures and its model are kept, for its own run and for the parent's."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Hashable
from pathlib import Path
from typing import Any

from filelock import FileLock

from noiseworks.runs import journal
from noiseworks.runs.artifacts import to_json
from noiseworks.runs.figures import draw_all
from noiseworks.runs.predictor import to_json as predictor
from noiseworks.runs.result import JobResult, mean_of_all
from noiseworks.sweep.ranking import SEEDS, best_setting
from noiseworks.tracking.parents import SweepFolder

MOST_KEPT = 200  # settings


class Best:
    """In the folder `best`: job.json, predictor.json and figures, of the best objective so far, and of equals of the
    first job; of a grid whose data vary by seed those of the best setting's first seed. The jobs of a sweep may come
    in several batches, and those of a study in several processes."""

    def __init__(self, sweep: Path) -> None:
        self.folder, self.study = sweep / "best", SweepFolder(sweep).study
        self.maximize = self.study is not None and self.study.directions[0] == "maximize"
        self.place = self._place_kept()
        self.result: JobResult | None = None
        self.first: dict[Hashable, JobResult] = {}  # setting -> its job of the lowest number

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
        if self.study is None and any(key in SEEDS for key in result.request.swept):
            self._keep_first(result)

    def _keep_first(self, result: JobResult) -> None:
        """A setting wins by its mean over seeds, which is known at the end; of very many only the half that began
        better is kept."""
        setting = tuple((key, str(value)) for key, value in result.request.swept.items() if key not in SEEDS)
        if setting not in self.first or result.num < self.first[setting].num:
            self.first[setting] = result
        if len(self.first) > MOST_KEPT:
            better = sorted(self.first.items(), key=lambda item: self._place(item[1].value or 0.0, item[1].num))
            self.first = dict(better[: MOST_KEPT // 2])

    def _may_win(self, result: JobResult) -> bool:
        """In a study not what breaks a constraint, or only confirms a trial; with several objectives nobody."""
        if self.study is None:
            return True
        if len(self.study.directions) > 1 or result.num >= self.study.confirms_from or result.outcome is None:
            return False
        most = result.job.objective.constraints
        return all(mean_of_all(result.outcome, name) <= most[name] for name in most)

    def save(self) -> None:
        with FileLock(self.folder.with_name(".best.lock")):
            if self.study is None:
                self._save_setting()
            elif self.result is not None and self._place_kept() > self.place:  # else another process was better
                self._save(self.result, self.result.value)

    def _save_setting(self) -> None:
        setting, kept = best_setting(journal.read(self.folder.parent), self.maximize), self.job()
        if setting is None or (kept is not None and kept["job"] == setting.first.job):
            return
        results = [*self.first.values(), *([] if self.result is None else [self.result])]
        won = next((result for result in results if result.num == setting.first.job), None)
        if won is not None:  # else it ended in an earlier batch
            self._save(won, setting.mean)

    def _save(self, result: JobResult, objective: float | None) -> None:
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
        facts = {"job": result.num, "objective": objective, "run": result.run}
        (self.folder / "job.json").write_bytes(to_json(facts))
