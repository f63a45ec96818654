"""`hydra/launcher=vectorized`: all jobs are handed at once to a task that can run them together.

Any other task is run job by job, as by Hydra's basic launcher.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from hydra import version
from hydra.core.utils import JobReturn, JobStatus, configure_log, filter_overrides, run_job, setup_globals
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_members.batch_run import run_together
from hydra_members.composer import Composer
from hydra_members.protocol import Batch, Report, offered

log = logging.getLogger(__name__)


@dataclass
class BatchLauncherConf:
    _target_: str = "hydra_plugins.noiseworks.vectorized_launcher.VectorizedLauncher"
    memory_gib: float = 4.0  # what the jobs that run together may use
    job_folders: bool = False  # each job's files in a folder of its own, with .hydra
    dry_run: bool = False  # only say what would be done


class BatchLauncher(Launcher):
    composes_first = True  # says to the sweeper that no job runs before all of them have been checked

    def __init__(self, memory_gib: float, job_folders: bool, dry_run: bool) -> None:
        if not memory_gib > 0:
            raise HydraException(f"hydra.launcher.memory_gib={memory_gib} is no size; it must be a number above 0.")
        self.memory_gib = memory_gib
        self.job_folders = job_folders
        self.dry_run = dry_run

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context = hydra_context
        self.task_function = task_function
        self.config = config
        self.composer = Composer(hydra_context.config_loader, config)

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        return self.launch_numbered(job_overrides, range(initial_job_idx, initial_job_idx + len(job_overrides)))

    def launch_numbered(
        self, job_overrides: Sequence[Sequence[str]], numbers: Sequence[int], report: Report | None = None
    ) -> Sequence[JobReturn]:
        """`numbers`: hydra.job.num of each job. `report`: see Batch."""
        setup_globals()
        configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        sweep_dir = Path(str(self.config.hydra.sweep.dir))
        sweep_dir.mkdir(parents=True, exist_ok=True)
        jobs = list(zip(numbers, job_overrides))
        if offered(self.task_function, "run_batch") and not _changes_folder(self.config):
            return self._run_together(jobs, sweep_dir, report)
        for num, overrides in jobs:
            self.composer.check(overrides, num)
        if self.dry_run:
            return [_say(overrides) for overrides in job_overrides]
        return self._run_in_turn(jobs)

    def _run_together(
        self, jobs: Sequence[tuple[int, Sequence[str]]], sweep_dir: Path, report: Report | None
    ) -> Sequence[JobReturn]:
        log.debug("Launching %d jobs together", len(jobs))
        batch = Batch(
            jobs=[self.composer.job(overrides, num) for num, overrides in jobs],
            sweep_dir=os.path.abspath(sweep_dir),
            memory_gib=self.memory_gib,
            job_folders=self.job_folders,
            dry_run=self.dry_run,
            report=report,
        )
        return run_together(batch, self.task_function, self.composer, self.hydra_context.callbacks)

    def _run_in_turn(self, jobs: Sequence[tuple[int, Sequence[str]]]) -> list[JobReturn]:
        log.info(f"Launching {len(jobs)} jobs locally")
        returns = []
        for num, overrides in jobs:
            log.info(f"\t#{num} : {' '.join(filter_overrides(overrides))}")
            job_return = run_job(
                hydra_context=self.hydra_context,
                task_function=self.task_function,
                config=self.composer.compose(overrides, num),
                job_dir_key="hydra.sweep.dir",
                job_subdir_key="hydra.sweep.subdir",
            )
            returns.append(job_return)
            configure_log(self.config.hydra.hydra_logging, self.config.hydra.verbose)
        return returns


def _changes_folder(config: DictConfig) -> bool:
    """Jobs that run together cannot each have a working folder of their own."""
    chdir = config.hydra.job.chdir
    return bool(chdir) if chdir is not None else not version.base_at_least("1.2")


def _say(overrides: Sequence[str]) -> JobReturn:
    print(" ".join(filter_overrides(overrides)))
    return JobReturn(overrides=list(overrides), status=JobStatus.COMPLETED)
