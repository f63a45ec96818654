"""The end of a sweep, under whatever launcher: it is summed up on the screen, in its folder and in its parent run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from filelock import FileLock

from noiseworks.runs import journal
from noiseworks.sweep.best import Best
from noiseworks.sweep.report import report_jobs
from noiseworks.tracking.parents import StudyFacts, SweepFolder


def end_sweep(folder: Path, error: BaseException | None) -> str | None:
    """A sentence if jobs failed; of a study, in which some may, if it came to nothing or to an error. `error` is what
    Hydra ended with."""
    sweep = SweepFolder(folder)
    with FileLock(folder / ".end.lock"):  # of two processes that work on one study
        rows = journal.read(folder)
        study = _live(sweep.study, error)
        if study is not None and sweep.study is not None:
            from noiseworks.search.summary import report_study

            report = report_study(folder, study, sweep.study, rows, error)
        else:
            report = report_jobs(folder, sweep.study, rows)
        parents = sweep.parents()
        for parent in parents:
            from noiseworks.sweep.parent_run import finish  # only now: it imports MLflow

            finish(parent, report, rows, Best(folder), error)
    places = [f"MLflow run {parent.run} in {parent.uri}" for parent in parents]
    places += [f"table in {folder}/sweep.parquet", *([f"figures in {folder}/study"] if report.figures else [])]
    print("\n".join(["", report.text, "", f"sweep: {'; '.join(places)}"]), flush=True)
    return report.complaint


def _live(facts: StudyFacts | None, error: BaseException | None) -> Any:
    """The study that this process has worked on; None if it is no study, or if its storage is what failed."""
    from hydra_members import current as _current

    study = _current.study
    if facts is None or study is None or study.study_name != facts.name:
        return None
    try:
        study.get_trials(deepcopy=False)
    except Exception:
        if error is None:
            raise
        return None
    return study
