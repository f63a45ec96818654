"""What there is of a sweep whose processes were killed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hydra_plugins.noiseworks.batch import EndedJob
from noiseworks.errors import FitFailed
from noiseworks.tracking import journal
from noiseworks.tracking.contents import failure_tag
from noiseworks.tracking.journal import Row
from noiseworks.tracking.sweep import Parent, Sweep

if TYPE_CHECKING:
    from mlflow.entities import Run

PAGE = 1000  # at least as many as are written at once


def recover(folder: Path, numbers: Collection[int] | None) -> list[EndedJob]:
    """The jobs that have ended are those in the journal: it is written after MLflow. The runs of those of `numbers`
    (None: of all) that are not in it are KILLED, and the parents run again."""
    rows = journal.read(folder)
    sweep = Sweep(folder)
    for parent in sweep.parents():
        _reopen(parent)
        for run in _left_behind(parent, {row.run for row in rows}, numbers):
            _kill(parent, run.info.run_id)
    return [EndedJob(row.job, row.key, _result(row)) for row in rows if numbers is None or row.job in numbers]


def _result(row: Row) -> Any:
    if row.status == "KILLED":
        from optuna import TrialPruned

        return TrialPruned(row.pruned)
    return FitFailed(f"The fit failed: {row.failure}.") if row.status == "FAILED" else row.returned


def _left_behind(parent: Parent, known: Collection[str | None], numbers: Collection[int] | None) -> Iterator[Run]:
    """Runs that say RUNNING, and those among the last that were written that have no row in the journal."""
    from mlflow import MlflowClient

    if numbers is not None and not numbers:
        return
    child = f"tags.mlflow.parentRunId = '{parent.run}'"
    for wanted in (f"{child} and attributes.status = 'RUNNING'", f"{child} and attributes.status = 'FINISHED'"):
        order = ["attributes.end_time desc"]
        for run in MlflowClient(parent.uri).search_runs([parent.experiment], wanted, max_results=PAGE, order_by=order):
            number = run.data.tags.get("trial") or run.data.tags.get("job")
            if run.info.run_id not in known and (numbers is None or (number and int(number) in numbers)):
                yield run


def _reopen(parent: Parent) -> None:
    from noiseworks.tracking.run import MlflowRun

    MlflowRun(parent.uri, parent.experiment, parent.run).reopen()


def _kill(parent: Parent, run: str) -> None:
    from noiseworks.tracking.run import MlflowRun

    left = MlflowRun(parent.uri, parent.experiment, run)
    left.tag(failure_tag("its process ended before it"))
    left.finish("KILLED")
