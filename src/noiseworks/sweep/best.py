"""The best job of a sweep: its figures and its model are kept, for its own run and for the parent's."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

from noiseworks.sweep.ended import Ended
from noiseworks.tracking.artifacts import to_json
from noiseworks.tracking.figures import draw_all
from noiseworks.tracking.predictor import to_json as predictor


class Best:
    """In the folder `best`: job.json, predictor.json and figures, of the smallest objective so far. The jobs of a sweep
    may come in several batches."""

    def __init__(self, sweep: Path) -> None:
        self.folder = sweep / "best"
        self.value = float(found["objective"]) if (found := self.job()) else math.inf
        self.ended: Ended | None = None

    def job(self) -> dict[str, Any] | None:
        path = self.folder / "job.json"
        return dict(json.loads(path.read_text())) if path.exists() else None

    def offer(self, ended: Ended) -> None:
        if ended.objective is not None and ended.objective < self.value:
            self.value, self.ended = ended.objective, ended

    def save(self) -> None:
        if self.ended is None:
            return
        ended, problem, outcome = self.ended, self.ended.problem, self.ended.outcome
        assert problem is not None
        assert outcome is not None
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir()
        tracking = ended.of.job.tracking
        if tracking.wants("figures", in_sweep=False):
            draw_all(self.folder / "figures", problem, outcome)
        if tracking.wants("model", in_sweep=False):
            (self.folder / "predictor.json").write_bytes(to_json(predictor(problem, outcome)))
        facts = {"job": ended.of.num, "objective": self.value, "run": ended.run}
        (self.folder / "job.json").write_bytes(to_json(facts))
