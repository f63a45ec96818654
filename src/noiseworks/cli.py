"""The command `noiseworks`: a Hydra application. Nothing heavy is imported before a job runs."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from hydra_members.guard import guard
from noiseworks.config.trust import Trust
from noiseworks.errors import FitFailed, UserError
from noiseworks.paths import conf_folder
from noiseworks.signals import Signals
from noiseworks.sweep.beginning import begin_sweep, leave, sweep_folder
from noiseworks.versions import versions

if TYPE_CHECKING:
    from hydra_members.protocol import Batch, EndedJob

CONFIRMING, FRESH = 10, 1_000_000  # seeds, and how far they are from those of the study


class Command:
    """One run of the command: the task that Hydra calls, what it is told on the way, and how it ends.

    `main` makes one and hands it on. Its methods are those of `hydra_members.protocol.SweepTask`. Importing torch,
    Lightning and MLflow makes millions of objects and no garbage: without the collector it takes a third less.
    """

    def __init__(self) -> None:
        self.signals, self.trust = Signals(), Trust.of_this_process()
        self.wants_traceback = os.environ.get("HYDRA_FULL_ERROR") == "1"
        self.sweep: DictConfig | None = None  # its whole configuration
        self.begun = Path()  # the folder in which the sweep began
        self.pieces: Any = None  # made for `inputs`
        self.study: Any = None  # the optuna.Study that this process works on

    def __getstate__(self) -> dict[str, Any]:
        """For processes that run jobs: studies stay where they are."""
        return self.__dict__ | {"study": None, "pieces": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """In such a process, before Hydra does anything for the job."""
        self.__dict__ |= state
        guard(self.trust)

    def __call__(self, cfg: DictConfig) -> Any:
        """One job. A sweep goes on when a job of it fails, so there the exception is Hydra's to keep."""
        gc.disable()
        from noiseworks.sweep.one_job import run_one_job

        _collect_again()
        self.signals.check()
        in_sweep = HydraConfig.get().mode == RunMode.MULTIRUN
        if in_sweep and self.sweep is None:  # by a sweeper of somebody else's
            self._sweep_of_others()
        try:
            self.trust.environment(HydraConfig.get().job.env_set)
            return run_one_job(cfg, self.signals.check)
        except Exception as error:
            self.signals.check()
            message = _explained(error)
            if message is not None and in_sweep:
                print(f"noiseworks: job {HydraConfig.get().job.num}: {message}", file=sys.stderr)
            elif message is not None and not self.wants_traceback:
                _complain(message, error)
            raise

    def run_batch(self, batch: Batch) -> Sequence[Any]:
        """Many jobs at once, from Hydra's vectorized launcher."""
        gc.disable()
        from noiseworks.sweep.batch import run_batch

        _collect_again()
        self.trust.environment(HydraConfig.get().job.env_set)
        return run_batch(batch, self.signals.check)

    def recover(self, sweep_dir: str, numbers: Collection[int] | None) -> Sequence[EndedJob]:
        """What has ended of a sweep that is started again."""
        from noiseworks.sweep.recovery import recover

        return recover(Path(sweep_dir), numbers)

    def inputs(self, config: dict[str, Any]) -> Mapping[str, str]:
        from noiseworks.config.instantiation import Pieces

        self.pieces = self.pieces or Pieces(self.trust)
        return dict(self.pieces.make(config, "data").inputs())

    def check_search_space(self, function: str) -> None:
        self.trust.search_space(function)

    def versions(self) -> Mapping[str, str]:
        return versions()

    def confirming(self, config: dict[str, Any], seeds: int | None) -> tuple[list[str], int]:
        """The overrides that train the best of a study on seeds that it has not seen, side by side."""
        seeds = CONFIRMING if seeds is None else seeds
        return [f"seed={config['seed'] + FRESH}", f"replicates={seeds}"], seeds

    def sweep_begins(self, config: DictConfig) -> None:
        self.sweep, self.begun = config, begin_sweep(config, list(config.hydra.overrides.task))

    def study_opened(self, study: Any) -> None:
        self.study = study

    def start(self) -> None:
        if any(argument.startswith("--experimental-rerun") for argument in sys.argv[1:]):
            raise UserError("--experimental-rerun loads a pickle, which may run anything; a run's config.yaml is text.")
        end_guard = guard(self.trust)
        try:
            hydra.main(version_base="1.3", config_path=str(conf_folder()), config_name="config")(self)()
        finally:
            end_guard()
            self.signals.check()

    def end_sweep(self, error: BaseException | None) -> str | None:
        """A sentence if jobs of a sweep failed; `error` is what Hydra ended with, however it did."""
        if self.sweep is None:
            return None
        folder = sweep_folder(self.sweep)  # another one than that in which it began, where it goes on with an earlier
        if folder != self.begun:
            leave(self.begun)
        if not any((folder / name).exists() for name in ("jobs.jsonl", "parents.json")):
            return None  # it never started: a dry run, or a mistake found before
        from noiseworks.sweep.report import report_jobs
        from noiseworks.sweep.summary import end_sweep

        make_report = report_jobs
        if self.study is not None:
            from noiseworks.search.summary import report_search

            make_report = partial(report_search, self.study, error)
        return end_sweep(folder, make_report, error)

    def _sweep_of_others(self) -> None:
        """Hydra's own sweepers do not say that a sweep begins; what was typed they keep in multirun.yaml."""
        folder = str(HydraConfig.get().sweep.dir)
        whole = OmegaConf.load(Path(folder) / "multirun.yaml")
        assert isinstance(whole, DictConfig)
        whole.hydra.sweep.dir = folder
        self.sweep_begins(whole)


def main() -> None:
    """Exit status 0: done; 1: a fit failed; 2: a mistake in what was asked for; 130, 143: stopped by a signal."""
    command = Command()
    os.environ["HYDRA_FULL_ERROR"] = "1"  # exceptions come through to here
    command.signals.exit_on_signals()
    try:
        command.start()
    except BaseException as error:
        jobs_failed = command.end_sweep(error)
        if command.wants_traceback or not isinstance(error, Exception):
            raise
        message = _explained(error)
        if jobs_failed and message is not None:
            print(f"noiseworks: {jobs_failed}", file=sys.stderr)
            sys.exit(1)
        if message is None:
            raise
        _complain(message, error)
    command.end_sweep(None)


def _collect_again() -> None:
    gc.freeze()  # what was imported stays
    gc.enable()


def _explained(error: Exception) -> str | None:
    cause: BaseException | None = error
    while cause is not None:  # Hydra wraps what is raised while it instantiates
        if isinstance(cause, (UserError, FitFailed)):
            return str(cause)
        cause = cause.__cause__
    if isinstance(error, ValueError) and str(error).startswith("Unable to configure"):  # in another process
        return f"hydra.job_logging is not possible: {error}."
    from hydra_members.storage import without_passwords
    from noiseworks.config.explanations import explain

    message = explain(error, sys.argv[1:], conf_folder())
    return None if message is None else without_passwords(message)


def _complain(message: str, error: Exception) -> NoReturn:
    print(f"noiseworks: {message}", file=sys.stderr)
    sys.exit(1 if isinstance(error, FitFailed) else 2)
