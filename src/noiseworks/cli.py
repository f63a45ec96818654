"""The command `noiseworks`: a Hydra application. Nothing heavy is imported before a job runs."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig

from noiseworks import signals as stop
from noiseworks.errors import FitFailed, UserError
from noiseworks.paths import conf_folder
from noiseworks.sweep.callback import SweepBegins

CONFIRMING, FRESH = 10, 1_000_000  # seeds, and how far they are from those of the study
FULL_ERROR_WANTED = "NOISEWORKS_FULL_ERROR"  # what HYDRA_FULL_ERROR was when the command was typed


def task(cfg: DictConfig) -> Any:
    """One job. A sweep goes on when a job of it fails, so there the exception is Hydra's to keep.

    Importing torch, Lightning and MLflow makes millions of objects and no garbage: without the collector it takes a
    third less. `run` turns it on again.
    """
    gc.disable()
    from noiseworks.runs.run import run

    stop.check()
    try:
        return run(cfg)
    except Exception as error:
        stop.check()
        message = _explained(error)
        if message is not None and HydraConfig.get().mode == RunMode.MULTIRUN:
            print(f"noiseworks: job {HydraConfig.get().job.num}: {message}", file=sys.stderr)
        elif message is not None and os.environ.get(FULL_ERROR_WANTED) != "1":
            _complain(message, error)
        raise


def run_batch(batch: Any) -> Any:
    """Many jobs at once, from Hydra's vectorized launcher."""
    gc.disable()
    from noiseworks.sweep.batch import run_batch

    return run_batch(batch)


def recover(sweep_dir: str, numbers: Any) -> Any:
    """What has ended of a sweep that is started again."""
    from noiseworks.sweep.recovery import recover

    return recover(Path(sweep_dir), numbers)


def confirming(config: dict[str, Any], seeds: int | None) -> tuple[list[str], int]:
    """The overrides that train the best of a study on seeds that it has not seen, side by side."""
    seeds = CONFIRMING if seeds is None else seeds
    return [f"seed={config['seed'] + FRESH}", f"replicates={seeds}"], seeds


task.run_batch, task.recover, task.confirming = run_batch, recover, confirming  # type: ignore[attr-defined]


def main() -> None:
    """Exit status 0: done; 1: a fit failed; 2: a mistake in what was asked for; 130, 143: stopped by a signal."""
    wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ[FULL_ERROR_WANTED] = str(int(wants_traceback))
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions come through to here
    stop.exit_on_signals()
    try:
        _start()
    except BaseException as error:
        jobs_failed = _end_sweep(error)
        if wants_traceback or not isinstance(error, Exception):
            raise
        message = _explained(error)
        if jobs_failed and message is not None:
            print(f"noiseworks: {jobs_failed}", file=sys.stderr)
            sys.exit(1)
        if message is None:
            raise
        _complain(message, error)
    _end_sweep(None)


def _start() -> None:
    try:
        hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="config")(task)()
    finally:
        stop.check()


def _end_sweep(error: BaseException | None) -> str | None:
    """A sentence if jobs of a sweep failed."""
    folder = SweepBegins.folder()
    if folder is None or not any((folder / name).exists() for name in ("jobs.jsonl", "parents.json")):
        return None  # it never started: a dry run, or a mistake found before
    from noiseworks.sweep.summary import end_sweep

    return end_sweep(folder, error)


def _explained(error: Exception) -> str | None:
    if isinstance(error, (UserError, FitFailed)):
        return str(error)
    from hydra_members.storage import without_passwords
    from noiseworks.config.explanations import explain

    message = explain(error, sys.argv[1:], conf_folder())
    return None if message is None else without_passwords(message)


def _complain(message: str, error: Exception) -> NoReturn:
    print(f"noiseworks: {message}", file=sys.stderr)
    sys.exit(1 if isinstance(error, FitFailed) else 2)
