"""What there is to say of a sweep: of its jobs here, of a study in study_report.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow.parquet as pq

from noiseworks.runs import journal
from noiseworks.runs.journal import Row
from noiseworks.sweep.figure import draw_sweep
from noiseworks.sweep.noise_ranking import choose_noise, noise_table
from noiseworks.sweep.ranking import best_setting
from noiseworks.sweep.table import summary
from noiseworks.tracking.parents import StudyFacts


@dataclass
class Report:
    """What is to be said of a sweep, and kept in its parent run."""

    text: str
    complaint: str | None  # what the command says when it ends
    has_result: bool
    jobs_may_fail: bool = False  # without that the sweep has failed
    best: Row | None = None  # the best job, or that of the best setting's first seed, if it ran in this folder
    best_metrics: dict[str, float] = field(default_factory=dict)  # its own, or means over the seeds
    metrics: dict[str, float] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    files: list[Path] = field(default_factory=list)
    figures: list[Path] = field(default_factory=list)  # go to study/


def report_jobs(folder: Path, facts: StudyFacts | None, rows: Sequence[Row]) -> Report:
    if not rows:
        return Report(f"No job of the sweep has ended; its folder is {folder}.", None, has_result=False)
    pq.write_table(journal.to_table(rows), folder / "sweep.parquet")
    maximize = facts is not None and facts.directions[0] == "maximize"
    figures = draw_sweep(folder / "sweep.png", rows, maximize)
    failed = [row for row in rows if row.failure is not None]
    complaint = (
        f"{len(failed)} of {len(rows)} jobs failed; job {failed[0].job}: {str(failed[0].failure).rstrip('.')}."
        if failed
        else None
    )
    best = best_setting([row for row in rows if facts is None or row.job < facts.confirms_from], maximize)
    noises = choose_noise(folder, rows) if facts is None else None
    text = summary(rows, maximize)
    return Report(
        text if noises is None else f"{text}\n\n{noise_table(noises, rows)}",
        complaint,
        has_result=best is not None or any(row.status == "FINISHED" and row.objective is None for row in rows),
        best=None if best is None else best.first,
        best_metrics={} if best is None else best.metrics,
        metrics={} if noises is None else noises.metrics,
        files=[folder / "sweep.parquet", *figures, *([] if noises is None else noises.save(folder))],
    )
