"""The end of a study: the search is summed up, not only the jobs that ran in this folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from optuna.study import Study

from noiseworks.runs import journal
from noiseworks.runs.journal import Row
from noiseworks.search.figures import draw_study
from noiseworks.search.findings import Findings
from noiseworks.search.text import describe
from noiseworks.sweep.report import Report, report_jobs
from noiseworks.tracking.contents import LONGEST_TAG, mlflow_name
from noiseworks.tracking.parents import StudyFacts

RESULTS = "optimization_results.yaml"  # by the sweeper
OF_TRIAL = ("number", "value", "datetime_start", "datetime_complete", "duration", "params", "user_attrs", "state")


def report_search(
    study: Study, error: BaseException | None, folder: Path, facts: StudyFacts | None, rows: Sequence[Row]
) -> Report:
    """Of the study, whose trials may have run in other folders, too; of the jobs in this one where it is no longer to
    be had."""
    if facts is None or study.study_name != facts.name:
        return report_jobs(folder, facts, rows)
    try:
        study.get_trials(deepcopy=False)
    except Exception:
        if error is None:
            raise
        return report_jobs(folder, facts, rows)  # its storage is what failed
    return report_study(folder, study, facts, rows, error)


def report_study(
    folder: Path, study: Study, facts: StudyFacts, rows: Sequence[Row], error: BaseException | None
) -> Report:
    """That jobs fail is part of a search: it is said, but no complaint."""
    found = Findings(study, facts.confirms_from, rows)
    complaint = None
    if error is not None:
        complaint = f"the study {facts.name} was ended by an error: {error}"
    elif not found.complete:
        complaint = f"no trial of the study {facts.name} is complete."
    return Report(
        describe(found),
        complaint,
        has_result=bool(found.complete),
        jobs_may_fail=True,
        best=found.best_row,
        best_metrics={} if found.best_row is None else found.best_row.metrics,
        metrics=_metrics(found),
        tags=_tags(found),
        files=_files(folder, found, facts, rows),
        figures=draw_study(folder / "study", found),
    )


def _metrics(found: Findings) -> dict[str, float]:
    """importance/KEY; of several objectives importance/OBJECTIVE/KEY."""
    metrics: dict[str, float] = {}
    for objective, shares in zip(found.objectives, found.importances):
        prefix = "importance" if found.single else f"importance/{objective.name}"
        metrics |= {mlflow_name(f"{prefix}/{key}"): share for key, share in shares.items()}
    if found.best:
        metrics["best/value"] = found.objectives[0].value(found.best)
    if (confirmed := found.best_confirmed) and confirmed.values:
        metrics["confirmed/value"] = confirmed.values[0]
        if confirmed.standard_error is not None:
            metrics["confirmed/standard_error"] = confirmed.standard_error
    return metrics


def _tags(found: Findings) -> dict[str, str]:
    """The best settings. (Params cannot be changed in MLflow, and a study that goes on may find better ones.)"""
    if found.best is None:
        return {}
    settings = {mlflow_name(f"best.{key}"): str(value)[:LONGEST_TAG] for key, value in found.best.params.items()}
    return {"best_trial": str(found.best.number), **settings}


def _files(folder: Path, found: Findings, facts: StudyFacts, rows: Sequence[Row]) -> list[Path]:
    files = [folder / RESULTS] if (folder / RESULTS).exists() else []
    if found.trials:
        _write_trials(folder / "trials.csv", found)
        files.append(folder / "trials.csv")
    if rows:
        pq.write_table(_table(facts, rows), folder / "sweep.parquet")
        files.append(folder / "sweep.parquet")
    return files


def _write_trials(path: Path, found: Findings) -> None:
    """As Optuna tabulates them, with their runs and constraints; without what samplers keep for themselves."""
    table = found.study.trials_dataframe(attrs=OF_TRIAL)
    table.insert(1, "run", [found.run(trial) for trial in found.trials])
    for name in found.constraints:
        table[f"constraints_{name}"] = [trial.constraints.get(name) for trial in found.trials]
    table.to_csv(path, index=False)


def _table(facts: StudyFacts, rows: Sequence[Row]) -> pa.Table:
    """With the trial of each job, or that which it confirms."""
    table = journal.to_table(rows)
    for i, column in enumerate(("trial", "confirm")):
        numbers = [facts.tag(row.job).get(column) for row in rows]
        table = table.add_column(1 + i, column, pa.array(numbers, pa.string()).cast(pa.int64()))
    return table
