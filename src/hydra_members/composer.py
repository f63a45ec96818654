"""The configurations of a sweep's jobs: what Hydra would compose, at a hundredth of its cost.

Hydra composes each job from its files, in about 0.1 s. The jobs of a sweep differ in a few values. So the files are
read once and each choice of groups is merged once; and where jobs set the same keys to other plain values, the
configuration of one is turned into the next one's, and only what refers to other values is resolved again.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from omegaconf import DictConfig, OmegaConf, open_dict

from hydra_members.cached_loader import KEPT_LINES, CachedLoader, is_plain
from hydra_members.job_config import Settled, settle
from hydra_members.protocol import BatchJob
from hydra_members.working_copy import Line, WorkingCopy, copy_plain

KEPT_COPIES = 64  # 1 MB each


class Composer:
    """Files and environment variables that change between two jobs of a sweep are not seen."""

    def __init__(self, config_loader: ConfigLoader, master_config: DictConfig) -> None:
        self.config_loader = config_loader
        self.master_config = master_config
        # A loader of somebody's own may do anything: it is asked for each job.
        cached = CachedLoader(config_loader) if type(config_loader) is ConfigLoaderImpl else None
        self._cached = cached
        self._groups: dict[str, bool] = {}
        self._lines: dict[str, Line] = {}
        self._copies: dict[Any, WorkingCopy] = {}
        self.multirun: Any = None  # see run_together

    def __reduce__(self) -> Any:
        """What it has kept stays behind, and so does Hydra's loader: its search path makes another."""
        loader: Any = self.config_loader
        return _make, (loader.config_search_path if self._cached else loader, self.master_config)

    def compose(self, overrides: Sequence[str], num: int) -> DictConfig:
        """What load_sweep_config gives, with the job's number."""
        known = self._moved(self._read(overrides), num)
        return known.composed(self._cache()) if known else self._load(overrides, num)

    def settle(self, overrides: Sequence[str], num: int) -> Settled:
        """The job's configuration as run_job hands it to the task, to callbacks and to the folder .hydra."""
        return settle(self.compose(overrides, num))

    def check(self, overrides: Sequence[str], num: int) -> None:
        """Raises what composing the job would raise. Interpolations are left until a task reads them, as Hydra does."""
        lines = self._read(overrides)
        if self._moved(lines, num) is None:
            config = self._load(overrides, num)
            with suppress(Exception):  # from a folder's name, which is none of the composition
                self._prepared(settle(config), lines)

    def job(self, overrides: Sequence[str], num: int) -> BatchJob:
        lines = self._read(overrides)
        working = self._moved(lines, num) or self._prepared(settle(self._load(overrides, num)), lines)
        return BatchJob(
            num=num,
            overrides=list(working.overrides),
            config=working.read(),
            choices=copy_plain(working.choices),
            output_dir=working.output_dir,
        )

    def _load(self, overrides: Sequence[str], num: int) -> DictConfig:
        loader = self._cached or self.config_loader
        config = loader.load_sweep_config(self.master_config, list(overrides))
        with open_dict(config):
            config.hydra.job.id = num
            config.hydra.job.num = num
        return config

    def _cache(self) -> dict[str, Any]:
        return OmegaConf.get_cache(self.master_config)

    def _moved(self, lines: list[Line] | None, num: int) -> WorkingCopy | None:
        known = self._copies.pop(_shape(lines), None) if lines is not None else None
        if known is None or lines is None:
            return None
        try:
            known.move(lines, num, self._cache())
        except Exception:  # half moved: it is not used again, and Hydra says what is wrong
            return None
        self._copies[_shape(lines)] = known
        return known

    def _prepared(self, settled: Settled, lines: list[Line] | None) -> WorkingCopy:
        working = WorkingCopy(settled)
        merged = self._cached.merged if self._cached else None
        if lines is not None and merged is not None and working.prepare(merged, lines, self._cache()):
            if len(self._copies) >= KEPT_COPIES:
                del self._copies[next(iter(self._copies))]  # the one unused for longest
            self._copies[_shape(lines)] = working
        return working

    def _read(self, overrides: Sequence[str]) -> list[Line] | None:
        """None: Hydra is asked, about all of them."""
        if self._cached is None or any("hydra.searchpath" in text for text in overrides):
            return None
        try:
            return [self._lines.get(text) or self._read_line(self._cached, text) for text in overrides]
        except Exception:
            return None

    def _read_line(self, loader: CachedLoader, text: str) -> Line:
        override = loader.overrides.read(text)
        key = override.key_or_group
        if key not in self._groups:
            self._groups[key] = loader.group_exists(key, self.master_config)
        is_group = self._groups[key] and not isinstance(override.value(), dict)
        if len(self._lines) >= KEPT_LINES:
            self._lines.clear()
        line = self._lines[text] = Line(override, is_group, moves=not is_group and is_plain(override))
        return line


def _make(source: ConfigLoader | ConfigSearchPath, master_config: DictConfig) -> Composer:
    loader = ConfigLoaderImpl(source) if isinstance(source, ConfigSearchPath) else source
    return Composer(loader, master_config)


def _shape(lines: list[Line]) -> tuple[Any, ...]:
    """What two jobs must have in common for one's configuration to be turned into the other's."""
    fixed = ((line.override.input_line,) for line in lines if not line.moves)
    return os.getcwd(), *(line.override.key_or_group if line.moves else None for line in lines), *fixed
