"""`hydra/sweeper=grid`: every combination of the values given, like Hydra's basic sweeper.

Unlike it, all jobs of the sweep are checked before the first of them runs, each at a hundredth of the cost; and all
batches are run before the first failure is raised.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins import basic_sweeper
from hydra.core.config_store import ConfigStore
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from omegaconf import OmegaConf

from hydra_plugins.noiseworks._composition import Composer

log = logging.getLogger(__name__)


@dataclass
class GridSweeperConf:
    _target_: str = "hydra_plugins.noiseworks.grid_sweeper.GridSweeper"
    max_batch_size: int | None = None
    params: dict[str, str] | None = None


ConfigStore.instance().store(group="hydra/sweeper", name="grid", node=GridSweeperConf, provider="noiseworks")


class GridSweeper(basic_sweeper.BasicSweeper):
    def sweep(self, arguments: list[str]) -> Any:
        assert self.config is not None
        assert self.launcher is not None
        assert self.hydra_context is not None
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        overrides = parser.parse_overrides([*self._parse_config(), *arguments])
        _refuse_intervals(overrides)
        self.overrides = batches = self.split_arguments(overrides, self.max_batch_size)
        sweep_dir = Path(self.config.hydra.sweep.dir)
        sweep_dir.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(self.config, sweep_dir / "multirun.yaml")
        if len(batches) > 1 or not getattr(self.launcher, "composes_first", False):
            self.validate_batch_is_legal([job for batch in batches for job in batch])
        returns: list[Sequence[JobReturn]] = []
        while not self.is_done():
            first = sum(map(len, batches[: self.batch_index]))
            returns.append(self.launcher.launch(self.get_job_batch(), initial_job_idx=first))
        for job_return in (each for batch in returns for each in batch):
            _ = job_return.return_value  # raises what a failed job has raised
        return returns

    def validate_batch_is_legal(self, batch: Sequence[Sequence[str]]) -> None:
        assert self.config is not None
        assert self.hydra_context is not None
        composer = Composer(self.hydra_context.config_loader, self.config)
        start = time.perf_counter()
        for num, overrides in enumerate(batch):
            composer.check(overrides, num)
        log.debug("Checked %d jobs in %.2f s", len(batch), time.perf_counter() - start)


def _refuse_intervals(overrides: Sequence[Override]) -> None:
    for override in overrides:
        if override.is_sweep_override() and not override.is_discrete_sweep():
            key = override.get_key_element()
            raise HydraException(
                f"hydra/sweeper=grid (GridSweeper) tries every value, and an interval has no end of them:"
                f" '{override.input_line}'. Name the values, as {key}=choice(...) or {key}=range(...),"
                f" or let hydra/sweeper=optuna search the interval."
            )
