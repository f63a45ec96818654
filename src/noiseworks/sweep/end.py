"""The end of a sweep, under whatever launcher: the table of all jobs, the best of them, and the parent's own record."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from noiseworks.sweep.best import Best
from noiseworks.sweep.figure import draw_sweep
from noiseworks.sweep.table import summary
from noiseworks.tracking import journal
from noiseworks.tracking.contents import failure_tag
from noiseworks.tracking.journal import Row
from noiseworks.tracking.sweep import Parent, Sweep


def end_sweep(folder: Path, error: BaseException | None) -> str | None:
    """A sentence if jobs failed. `error` is what Hydra ended with."""
    sweep, rows = Sweep(folder), journal.read(folder)
    parents = sweep.parents()
    files = []
    text = f"No job of the sweep has ended; its folder is {folder}."
    if rows:
        pq.write_table(journal.to_table(rows), folder / "sweep.parquet")
        files = [folder / "sweep.parquet", *draw_sweep(folder / "sweep.png", rows)]
        text = summary(rows)
    best = Best(folder)
    for parent in parents:
        _finish(parent, sweep, rows, files, text, best, error)
    places = [f"MLflow run {parent.run} in {parent.uri}" for parent in parents]
    print("\n".join(["", text, "", f"sweep: {'; '.join([*places, f'table in {folder}/sweep.parquet'])}"]), flush=True)
    failed = [row for row in rows if row.failure is not None]
    return f"{len(failed)} of {len(rows)} jobs failed; job {failed[0].job}: {failed[0].failure}." if failed else None


def _finish(
    parent: Parent,
    sweep: Sweep,
    rows: Sequence[Row],
    files: Sequence[Path],
    text: str,
    best: Best,
    error: BaseException | None,
) -> None:
    from noiseworks.tracking.run import MlflowRun

    run = MlflowRun(parent.uri, parent.experiment, parent.run)
    counts = Counter(row.status for row in rows)
    run.log("sweep/jobs", len(rows))
    for status in ("FINISHED", "FAILED"):
        run.log(f"sweep/{status.lower()}", counts[status])
    finished = [row for row in rows if row.objective is not None]
    if finished:
        first = min(finished, key=lambda row: row.objective or 0.0)
        for name, value in first.metrics.items():
            run.log(f"best/{name}", value)
        run.tag({"best": first.run} if first.run else {})
    run.log_files(files)
    run.note(text)
    _log_best(parent, best)
    if error is not None and not isinstance(error, Exception):
        run.tag(failure_tag("stopped from outside"))
        run.finish("KILLED")
    elif error is not None and not counts["FAILED"]:  # it was no job's
        run.tag(failure_tag(f"{type(error).__name__}: {error}"))
        run.finish("FAILED")
    else:
        run.finish("FINISHED" if finished else "FAILED")


def _log_best(parent: Parent, best: Best) -> None:
    """Figures and model of the best job, in its own run and in the parent's."""
    from noiseworks.tracking.run import MlflowRun

    job = best.job()
    if job is None or job["run"] is None:
        return
    predictor = best.folder / "predictor.json"
    for id in (job["run"], parent.run):
        run = MlflowRun(parent.uri, parent.experiment, id)
        run.log_files(sorted((best.folder / "figures").glob("*.png")), "figures")
        if predictor.exists():
            from noiseworks.tracking.model import log_model

            log_model(run, json.loads(predictor.read_text()))
