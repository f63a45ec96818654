"""The end of a sweep, under whatever launcher: it is summed up on the screen, in its folder and in its parent run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from filelock import FileLock

from noiseworks.runs import journal
from noiseworks.runs.journal import Row
from noiseworks.sweep.best import Best
from noiseworks.sweep.report import Report
from noiseworks.tracking.parents import StudyFacts, SweepFolder

MakeReport = Callable[[Path, "StudyFacts | None", Sequence[Row]], Report]


def end_sweep(folder: Path, make_report: MakeReport, error: BaseException | None) -> str | None:
    """A sentence if jobs failed; of a study, in which some may, if it came to nothing or to an error. `error` is what
    Hydra ended with."""
    sweep = SweepFolder(folder)
    with FileLock(folder / ".end.lock"):  # of two processes that work on one study
        rows = journal.read(folder)
        report = make_report(folder, sweep.study, rows)
        print(f"\n{report.text}\n", flush=True)
        parents = sweep.parents()
        for parent in parents:
            from noiseworks.sweep.parent_run import finish  # only now: it imports MLflow

            finish(parent, report, rows, Best(folder), error)
    places = [f"MLflow run {parent.run} in {parent.uri}" for parent in parents]
    places += [f"table in {folder}/sweep.parquet", *([f"figures in {folder}/study"] if report.figures else [])]
    print(f"sweep: {'; '.join(places)}", flush=True)
    return report.complaint
