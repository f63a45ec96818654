"""The parent run of a sweep, when the sweep ends. One that goes on later ends again."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence

from mlflow.entities import RunData
from mlflow.exceptions import MlflowException

from noiseworks.runs.journal import Row
from noiseworks.sweep.best import Best
from noiseworks.sweep.report import Report
from noiseworks.tracking.contents import failure_tag
from noiseworks.tracking.live_run import MlflowRun
from noiseworks.tracking.logged_model import log_model
from noiseworks.tracking.parents import Parent

STATUSES = ("FINISHED", "FAILED", "KILLED")


def finish(parent: Parent, report: Report, rows: Sequence[Row], best: Best, error: BaseException | None) -> None:
    run = MlflowRun(parent.uri, parent.experiment, parent.run)
    before: RunData = run.client.get_run(run.id).data
    counts = Counter(row.status for row in rows)
    status, reason = _status(report, counts["FAILED"], error)
    tags = report.tags | (failure_tag(reason) if reason else {})
    metrics = report.metrics | {f"sweep/{each.lower()}": float(counts[each]) for each in STATUSES}
    metrics["sweep/jobs"] = float(len(rows))
    if report.best is not None and _is_child(report.best.run, run):
        if before.tags.get("best") != report.best.run:
            _log_best(run, report.best, best)
        tags["best"] = str(report.best.run)
        metrics |= {f"best/{name}": value for name, value in report.best_metrics.items()}
    elif before.tags.get("best_trial") == tags.get("best_trial"):  # it ran elsewhere, where all this was said
        tags |= {key: value for key, value in before.tags.items() if key == "best"}
        metrics |= {name: value for name, value in before.metrics.items() if name.startswith("best/")}
    _take_back(run, before, tags, metrics)
    for name, value in metrics.items():
        run.log(name, value)
    run.tag(tags)
    run.log_files(report.files)
    run.log_files(report.figures, "study")
    run.note(report.text)
    run.finish(status)


def _status(report: Report, failed: int, error: BaseException | None) -> tuple[str, str | None]:
    """And the reason, if it is no job's."""
    if error is not None and not isinstance(error, Exception):
        return "KILLED", "stopped from outside"
    if error is not None and (report.jobs_may_fail or not failed):
        return "FAILED", f"{type(error).__name__}: {error}"
    return ("FINISHED" if report.has_result else "FAILED"), None


def _is_child(id: str | None, parent: MlflowRun) -> bool:
    """The jobs of a sweep may have their runs in several stores and experiments, each with a parent of its own."""
    if id is None:
        return False
    try:
        return parent.client.get_run(id).data.tags.get("mlflow.parentRunId") == parent.id
    except MlflowException:  # it is in another store
        return False


def _log_best(parent: MlflowRun, row: Row, best: Best) -> None:
    """Figures and model of the best job, in its own run and in the parent's."""
    job = best.job()
    if job is None or job["job"] != row.job:
        return
    predictor = best.folder / "predictor.json"
    for run in (MlflowRun(parent.uri, parent.experiment, str(row.run)), parent):
        run.log_files(sorted((best.folder / "figures").glob("*.png")), "figures")
        if predictor.exists():
            log_model(run, json.loads(predictor.read_text()))


def _take_back(run: MlflowRun, before: RunData, tags: dict[str, str], metrics: dict[str, float]) -> None:
    """What an earlier end said and this one does not. MLflow keeps metrics for ever: these become nan."""
    for key in before.tags.keys() - tags.keys():
        if key in ("best", "best_trial", "failure") or key.startswith("best."):
            run.client.delete_tag(run.id, key)
    said = {name for name in before.metrics if name.startswith(("best/", "confirmed/", "held_out/", "importance/"))}
    metrics |= dict.fromkeys(said - metrics.keys(), math.nan)
