"""Batches handed to run_batch in this process, as the vectorized launcher does."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mlflow.entities import Run

from command_line import client
from fast_configs import configuration
from hydra_members.protocol import Batch, BatchJob
from noiseworks.sweep.batch import run_batch
from noiseworks.tracking.parents import StudyFacts

SMALL = [
    "data=synthetic", "data.num_examples=60", "data.batch_size=16", "trainer.max_epochs=6",
    "trainer.precision=64-true", "trainer.progress_bar=false", "schedule=constant",
]  # fmt: skip
UNTRACKED = [*SMALL, "tracking=none"]


class Reports:
    """Keeps what it is told; `stop` says, by epoch, which jobs are to stop."""

    def __init__(self, stop: Mapping[int, Sequence[int]] | None = None) -> None:
        self.stop = stop or {}
        self.told: list[tuple[int, dict[int, float]]] = []

    def __call__(self, values: Mapping[int, float], epoch: int) -> Sequence[int]:
        self.told.append((epoch, dict(values)))
        return self.stop.get(epoch, ())

    def of(self, num: int) -> dict[int, float]:
        """Epoch -> what was told of this job."""
        return {epoch: values[num] for epoch, values in self.told if num in values}


def run_jobs(
    folder: Path,
    settings: Sequence[Sequence[str]],
    base: Sequence[str] = UNTRACKED,
    report: Any = None,
    name: str = "s",
    in_study: bool = False,
) -> list[Any]:
    """What run_batch says of a job for each list of overrides, of a sweep in folder/name."""
    place = folder / name
    place.mkdir(parents=True)
    (place / "sweep.json").write_text(json.dumps({"id": name, "overrides": []}))
    if in_study:
        facts = StudyFacts(name="a study", id="1", directions=["minimize"], confirms_from=1_000_000)
        (place / "study.json").write_text(json.dumps(asdict(facts)))
    store = f"tracking.uri=sqlite:///{folder / 'mlflow.db'}"
    jobs = []
    for num, overrides in enumerate(settings):
        config, choices = configuration([*base, *overrides] if "tracking=none" in base else [*base, *overrides, store])
        jobs.append(BatchJob(num, list(overrides), config, choices, str(place / str(num))))
    return list(run_batch(Batch(jobs, str(place), 4.0, False, False, report)))


def journal(folder: Path, name: str = "s") -> dict[int, dict[str, Any]]:
    rows = [json.loads(line) for line in (folder / name / "jobs.jsonl").read_text().splitlines()]
    return {row["job"]: row | {"objective": next(iter(row["objectives"].values()), None)} for row in rows}


def child(folder: Path, num: int, name: str = "s") -> Run:
    return client(folder).get_run(journal(folder, name)[num]["run"])


def curve(folder: Path, run: Run, metric: str) -> dict[int, float]:
    """Step -> value."""
    return {point.step: point.value for point in client(folder).get_metric_history(run.info.run_id, metric)}
