"""The task of the command: a configuration in, a recorded run out."""

from __future__ import annotations

import gc
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from noiseworks import signals as stop
from noiseworks.chunked.fit import chunked_outcome
from noiseworks.config.job import Job, make_job
from noiseworks.errors import FitFailed, UserError
from noiseworks.fit import check_trainable, solutions, solve_exactly, train
from noiseworks.outcome import Outcome
from noiseworks.problem import Problem
from noiseworks.runs import journal
from noiseworks.runs.artifacts import coefficients, objective
from noiseworks.runs.held_out import HeldOut, test_rows
from noiseworks.runs.journal import Row
from noiseworks.runs.measurement import measured
from noiseworks.runs.printed_table import summary
from noiseworks.runs.record import Record
from noiseworks.runs.returned import returned, why_failed
from noiseworks.text_table import layout
from noiseworks.tracking.parents import SweepFolder
from noiseworks.train.ensemble import Member


def run(cfg: DictConfig) -> Any:
    """Fit, record and print; returns what a sweeper minimises.

    Mistakes are found before the MLflow run is started, so that none is left half made.
    """
    hydra, started = HydraConfig.get(), time.monotonic()
    job = make_job(cfg, hydra.runtime.choices)
    folder = Path(hydra.runtime.output_dir)
    if hydra.mode == RunMode.MULTIRUN:
        sweep = SweepFolder(Path(hydra.sweep.dir).absolute())
        return _in_sweep(job, folder, sweep, int(hydra.job.num), list(hydra.overrides.task), started)
    members, solved = _prepare(job)
    record = Record(job, _problem(members), folder, None)
    outcome, _, failure = _fit(job, members, solved, record, started)
    return _result(job, outcome, failure, record)


def _fit(
    job: Job, members: list[Member], solved: Outcome | None, record: Record, started: float
) -> tuple[Outcome, dict[str, float], str | None]:
    with record:
        gc.freeze()  # what was imported stays
        gc.enable()
        outcome = measured(job) if job.measures else solved or _train(job, members, record)
        failure = why_failed(outcome, job.objective)
        metrics = record.finish(outcome, failure)
    if failure is None:
        table = _table(job, members, outcome, metrics, time.monotonic() - started)
        if record.sweep is None:
            record.note(table)
        print(f"\n{table}\n\n{record.where()}")
    return outcome, metrics, failure


def _result(job: Job, outcome: Outcome, failure: str | None, record: Record) -> Any:
    if failure is not None:
        raise FitFailed(f"The fit failed: {failure}. {record.where()}")
    return returned(outcome, job.objective, record.sweep is not None and record.sweep.study is not None)


def _in_sweep(job: Job, folder: Path, sweep: SweepFolder, num: int, overrides: list[str], started: float) -> Any:
    """A job of a sweep that runs by itself. A mistake that only the data reveal is a FAILED run, and the sweep goes
    on; how the job ended stands in the sweep's journal."""
    swept = journal.swept_values(overrides, job.config, job.choices)
    row = Row(num, swept, "FAILED", None, None, None, {}, None, job.key)
    record = None
    try:
        try:
            members, solved = _prepare(job)
        except UserError as error:
            with (record := Record(job, None, folder, sweep, num)):
                raise FitFailed(str(error)) from error
        problem = _problem(members)
        record = Record(job, problem, folder, sweep, num)
        outcome, metrics, failure = _fit(job, members, solved, record, started)
    except Exception as error:
        stop.check()
        run = None if record is None else record.run_id
        journal.append(sweep.folder, [replace(row, failure=str(error), run=run)])
        raise
    answer = None if problem is None else coefficients(problem, outcome)
    row = replace(row, metrics=metrics, run=record.run_id, failure=failure, answer=answer)
    if failure is None:
        value = returned(outcome, job.objective, sweep.study is not None)
        first = next(iter(objective(outcome, job.objective)), None)
        row = replace(row, status="FINISHED", objective=first, returned=value)
        if sweep.compares_noise and problem is not None and (held_out := HeldOut.of(problem, outcome)):
            held_out.save(sweep.folder, num)
            row = replace(row, test_rows=test_rows(problem))
    journal.append(sweep.folder, [row])
    return _result(job, outcome, failure, record)


def _prepare(job: Job) -> tuple[list[Member], Outcome | None]:
    """Members to train, and their exact answers if these are what is asked for. None for what is no fit."""
    if job.measures:
        return [], None
    members = job.members()
    if job.exact:
        if (streamed := chunked_outcome(members)) is not None:
            return members, streamed
        answers = solutions(members)
        errors = [answer for answer in answers if isinstance(answer, UserError)]
        if len(errors) == len(answers):
            raise errors[-1]
        return members, solve_exactly(members, answers)
    check_trainable(members[0], job.trainer)
    job.trainer.lightning([])  # refuses a device that there is not
    return members, None


def _problem(members: list[Member]) -> Problem | None:
    return members[0].problem if members else None


def _train(job: Job, members: list[Member], record: Record) -> Outcome:
    points = job.tracking.points(record.sweep is not None)
    return train(members, job.trainer, points, job.tracking.trajectory, record.live)


def _table(job: Job, members: list[Member], outcome: Outcome, metrics: dict[str, float], seconds: float) -> str:
    if job.measures:
        return f"{job.experiment} in {seconds:.1f} s\n\n" + layout(
            [["metric", "value"], *([k, f"{v:.6g}"] for k, v in metrics.items())]
        )
    return summary(_title(job, members, outcome, seconds), members[0].problem, outcome, metrics)


def _title(job: Job, members: list[Member], outcome: Outcome, seconds: float) -> str:
    problem = members[0].problem
    examples, n = problem.examples, problem.num_rows("train")
    how = "exact answer" if outcome.exact is None else f"optimizer.method={outcome.kind}"
    if "trainer/epochs" in outcome.metrics:
        epochs = round(outcome.metrics["trainer/epochs"].nanmean().item())
        how = f"{job.choices['optimizer']}, {epochs} epoch{'s' * (epochs != 1)}"
    copies = "" if len(members) == 1 else f", {len(members)} replicates"
    names = [column.name for column in examples.columns]
    terms = " + ".join(names[:6]) + (" + ..." if len(names) > 6 else "")
    level = problem.noise.quantile_level
    noise = problem.noise.name + " noise" + (f" at tau={level:g}" if level not in (None, 0.5) else "")
    return (
        f"{examples.target} ~ {terms or '1'}, {noise}, {how}{copies}; "
        f"fitted on {n} of {examples.num_examples} rows in {seconds:.1f} s"
    )
