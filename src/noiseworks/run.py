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
    hydra, started = HydraConfig.get(), time.monotonic()
    job = make_job(cfg, hydra.runtime.choices)
    sweep = str(Path(hydra.sweep.dir).name) if hydra.mode == RunMode.MULTIRUN else None
    folder = Path(hydra.runtime.output_dir)
    members, solved = _prepare(job, folder, sweep)
    with Record(job, members[0].problem, folder, sweep) as record:
        gc.freeze()  # what was imported stays
        gc.enable()
        outcome = solved or _train(job, members, record, sweep is not None)
        metrics = record.finish(outcome)
    if len(outcome.failures) == len(members):
        raise FitFailed(f"The fit failed: {next(iter(outcome.failures.values()))}. {record.where()}")
    title = _title(job, members, outcome, time.monotonic() - started)
    table = summary(title, members[0].problem, outcome, metrics)
    record.note(table)
    print(f"\n{table}\n\n{record.where()}")
    return metrics.get("val/nll", metrics["train/nll"])


def _prepare(job: Job, folder: Path, sweep: str | None) -> tuple[list[Member], Outcome | None]:
    """Members to train, and their exact answers if these are what is asked for. In a sweep a mistake that only the
    data reveal is a FAILED run, and the sweep goes on."""
    try:
        members = job.members()
        if job.exact:
            return members, solve_exactly(members)
        check_trainable(members[0], job.trainer)
        job.trainer.lightning([])  # refuses a device that there is not
        return members, None
    except UserError as error:
        if sweep is None:
            raise
        with Record(job, None, folder, sweep):
            raise FitFailed(str(error)) from error


def _train(job: Job, members: list[Member], record: Record, in_sweep: bool) -> Outcome:
    points = job.tracking.points(in_sweep)
    return train(members, job.trainer, points, job.tracking.trajectory, record.live)


def _title(job: Job, members: list[Member], outcome: Outcome, seconds: float) -> str:
    problem = members[0].problem
    examples, n = problem.examples, len(problem.parts["train"])
    how = "exact answer"
    if "trainer/epochs" in outcome.metrics:
        epochs = round(outcome.metrics["trainer/epochs"].nanmean().item())
        how = f"{job.choices['optimizer']}, {epochs} epoch{'s' * (epochs != 1)}"
    copies = "" if len(members) == 1 else f", {len(members)} replicates"
    names = [column.name for column in examples.columns]
    terms = " + ".join(names[:6]) + (" + ..." if len(names) > 6 else "")
    return (
        f"{examples.target} ~ {terms or '1'}, {problem.noise.name} noise, {how}{copies}; "
        f"fitted on {n} of {len(examples)} rows in {seconds:.1f} s"
    )
