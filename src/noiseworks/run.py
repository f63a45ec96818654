"""The task of the command: a configuration in, a recorded run out."""

from __future__ import annotations

import gc
import time
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from noiseworks.errors import FitFailed, UserError
from noiseworks.job import Job, make_job
from noiseworks.tracking.record import Record
from noiseworks.tracking.table import summary
from noiseworks.trainer.ensemble import Member
from noiseworks.trainer.fit import check_trainable, solve_exactly, train
from noiseworks.trainer.outcome import Outcome


def run(cfg: DictConfig) -> float:
    """Fit, record and print; returns val/nll (train/nll where nothing validates) for a sweeper to minimise.

    Mistakes are found before the MLflow run is started, so that none is left half made.
    """
    hydra = HydraConfig.get()
    job = make_job(cfg, hydra.runtime.choices)
    sweep = str(Path(hydra.sweep.dir).name) if hydra.mode == RunMode.MULTIRUN else None
    folder, started = Path(hydra.runtime.output_dir), time.monotonic()
    try:
        members = job.members()
        solved = solve_exactly(members) if job.exact else None
        if solved is None:
            check_trainable(members[0], job.trainer)
            job.trainer.lightning([])  # refuses a device that there is not
    except UserError as error:
        if sweep is None:
            raise
        Record(job, None, folder, sweep).abort("FAILED", str(error))
        raise FitFailed(str(error)) from error
    record = Record(job, members[0].problem, folder, sweep)
    gc.freeze()  # what was imported stays
    gc.enable()
    try:
        outcome = solved or _train(job, members, record, sweep is not None)
        metrics = record.finish(outcome)
    except (KeyboardInterrupt, SystemExit):
        record.abort("KILLED", "stopped from outside")
        raise
    except Exception as error:
        record.abort("FAILED", str(error))
        raise
    if len(outcome.failures) == len(members):
        raise FitFailed(f"The fit failed: {next(iter(outcome.failures.values()))}. {record.where()}")
    title = _title(job, members, outcome, time.monotonic() - started)
    table = summary(title, members[0].problem, outcome, metrics)
    record.note(table)
    print(f"\n{table}\n\n{record.where()}")
    return metrics.get("val/nll", metrics["train/nll"])


def _train(job: Job, members: list[Member], record: Record, in_sweep: bool) -> Outcome:
    points = job.tracking.points(in_sweep)
    return train(members, job.trainer, points, job.tracking.trajectory, record.live)


def _title(job: Job, members: list[Member], outcome: Outcome, seconds: float) -> str:
    problem = members[0].problem
    examples, n = problem.examples, len(problem.parts["train"])
    epochs = outcome.metrics.get("trainer/epochs")
    how = "exact answer" if epochs is None else f"{job.choices['optimizer']}, {epochs.nanmean():.0f} epochs"
    copies = "" if len(members) == 1 else f", {len(members)} replicates"
    names = [column.name for column in examples.columns]
    terms = " + ".join(names[:6]) + (" + ..." if len(names) > 6 else "")
    return (
        f"{examples.target} ~ {terms or '1'}, {problem.noise.name} noise, {how}{copies}; "
        f"fitted on {n} of {len(examples)} rows in {seconds:.1f} s"
    )
