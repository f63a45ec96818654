"""What there is of a sweep whose processes were killed."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from hydra_members.protocol import EndedJob, other_versions
from noiseworks.runs import journal
from noiseworks.tracking.contents import failure_tag
from noiseworks.tracking.parents import Parent, SweepFolder
from noiseworks.versions import versions

if TYPE_CHECKING:
    from mlflow.entities import Run


PAGE = 1000  # at least as many as are written at once


def recover(folder: Path, numbers: Collection[int] | None) -> list[EndedJob]:
    """The jobs that have ended are those in the journal: it is written after MLflow. The runs of those of `numbers`
    (None: of all) that are not in it are KILLED, and the parents run again."""
    rows, sweep = journal.read(folder), SweepFolder(folder)
    known = {row.run for row in rows}
    if numbers is None and (others := other_versions(sweep.versions, versions())):
        print(f"sweep: it began with {', '.join(others)}", flush=True)
    for parent in sweep.parents():
        _reopen(parent)
        for run in _last_runs(parent) if numbers is None or numbers else ():
            if run.info.run_id not in known and (numbers is None or sweep.number(run.data.tags) in numbers):
                _kill(parent, run.info.run_id)
    return [EndedJob(row.job, row.key, row.told(), row.inputs) for row in rows if numbers is None or row.job in numbers]


def _last_runs(parent: Parent) -> Iterator[Run]:
    """Those that say RUNNING, and the last that were written."""
    from mlflow import MlflowClient

    child, order = f"tags.mlflow.parentRunId = '{parent.run}'", ["attributes.end_time desc"]
    states = [f"attributes.status = '{status}'" for status in ("RUNNING", "FINISHED", "FAILED")]
    for state in (*states, "tags.pruned != ''"):
        wanted = f"{child} and {state}"
        yield from MlflowClient(parent.uri).search_runs([parent.experiment], wanted, max_results=PAGE, order_by=order)


def _reopen(parent: Parent) -> None:
    from noiseworks.tracking.live_run import MlflowRun

    MlflowRun(parent.uri, parent.experiment, parent.run).reopen()


def _kill(parent: Parent, run: str) -> None:
    from noiseworks.tracking.live_run import MlflowRun

    left = MlflowRun(parent.uri, parent.experiment, run)
    if "pruned" in left.client.get_run(run).data.tags:
        left.client.delete_tag(run, "pruned")
    left.tag(failure_tag("its process ended before it"))
    left.finish("KILLED")
