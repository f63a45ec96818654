"""`hydra/sweeper=grid`: every combination of the values given, like Hydra's basic sweeper.

Unlike it, all jobs of the sweep are checked before the first of them runs, each at a hundredth of the cost; all batches
are run before the first failure is raised; and a sweep that was killed goes on where it was.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from hydra_members.composer import Composer
from hydra_members.protocol import offered, tell
from hydra_members.resume import Missing, find_begun, launch_numbered, save_asked

log = logging.getLogger(__name__)


@dataclass
class GridConf:
    _target_: str = "hydra_plugins.noiseworks.grid_sweeper.GridSweeper"
    max_batch_size: int | None = None
    resume: bool = False  # go on with the newest sweep of the same overrides: run the jobs that have not ended
    params: dict[str, str] | None = None


class Grid(Sweeper):
    def __init__(self, max_batch_size: int | None, resume: bool = False, params: Any = None) -> None:
        self.max_batch_size, self.resume = max_batch_size, resume
        self.params: dict[str, Any] = params or {}

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context: HydraContext = hydra_context
        self.config: DictConfig = config
        self.task = task_function
        self.launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )
        self.composer = Composer(hydra_context.config_loader, config)

    def sweep(self, arguments: list[str]) -> Any:
        tell(self.task, "sweep_begins", self.config)
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        params = [f"{key}={value}" for key, value in self.params.items()]
        jobs = combinations(parser.parse_overrides([*params, *arguments]))
        begun = find_begun(self.config, self.task) if self.resume else None
        sweep_dir = Path(self.config.hydra.sweep.dir)
        sweep_dir.mkdir(parents=True, exist_ok=True)
        save_asked(self.config, sweep_dir)
        missing = self._missing(jobs, begun)
        returns = self._launch(missing)
        for failure in missing.failures:
            raise failure
        for job_return in (each for batch in returns for each in batch):
            _ = job_return.return_value  # raises what a failed job has raised
        return returns

    def _launch(self, missing: Missing) -> list[Sequence[JobReturn]]:
        jobs, numbers = missing.jobs, missing.numbers
        size = self.max_batch_size or max(1, len(jobs))
        if len(jobs) > size or not getattr(self.launcher, "composes_first", False):
            self._check(jobs)
        starts = range(0, len(jobs), size)
        return [launch_numbered(self.launcher, jobs[k : k + size], numbers[k : k + size]) for k in starts]

    def _missing(self, jobs: Sequence[Sequence[str]], begun: Path | None) -> Missing:
        if begun is None:
            return Missing(list(jobs), list(range(len(jobs))), [])
        recover = offered(self.task, "recover")
        assert recover is not None  # find_begun has seen to it
        missing = Missing.of(jobs, self.composer, recover(str(begun), None), self.task)
        log.info(f"Going on in {begun}: {len(jobs) - len(missing.jobs)} of {len(jobs)} jobs have ended")
        return missing

    def _check(self, jobs: Sequence[Sequence[str]]) -> None:
        start = time.perf_counter()
        for num, overrides in enumerate(jobs):
            self.composer.check(overrides, num)
        log.debug("Checked %d jobs in %.2f s", len(jobs), time.perf_counter() - start)


def combinations(overrides: Sequence[Override]) -> list[list[str]]:
    """The overrides of each job, the last key fastest; of a key that is given twice the last values, where the key
    stood first."""
    lines: dict[str, list[str]] = {}
    for override in overrides:
        key = override.get_key_element()
        if not override.is_sweep_override():
            lines[key] = [f"{key}={override.get_value_element_as_str()}"]
        elif override.is_discrete_sweep():
            lines[key] = [f"{key}={value}" for value in override.sweep_string_iterator()]
        else:
            raise HydraException(
                f"hydra/sweeper=grid (GridSweeper) tries every value, and an interval has no end of them:"
                f" '{override.input_line}'. Name the values, as {key}=choice(...) or {key}=range(...),"
                f" or let hydra/sweeper=optuna search the interval."
            )
    return [list(job) for job in product(*lines.values())]
