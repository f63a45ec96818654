"""What a sweep that was killed has left to do."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf

from hydra_plugins.noiseworks._batch import EndedJob
from hydra_plugins.noiseworks._composition import Composer
from hydra_plugins.noiseworks._folder import work_in
from hydra_plugins.noiseworks._key import config_key

MARK = "multirun.yaml"
REFERENCE = re.compile(r"\$\{[^{}]*\}")


def find_begun(config: DictConfig, task: Any) -> Path | None:
    """The sweep in this folder, or else the newest one of the same overrides, whose folder this one then takes; None if
    there is none."""
    if not hasattr(task, "recover"):
        raise HydraException(
            "hydra.sweeper.resume=true needs a task that knows which of its jobs have ended (an attribute `recover`),"
            " and this one does not; it must be false."
        )
    here = Path(str(config.hydra.sweep.dir)).absolute()
    for folder in _folders_like(config):
        if folder == here:
            return here
        if sorted(OmegaConf.load(folder / MARK).hydra.overrides.task) == sorted(config.hydra.overrides.task):
            work_in(config, folder)
            return folder
    return None


def _folders_like(config: DictConfig) -> list[Path]:
    """Those of sweeps that have the place of this one, whatever stands for the date and the time; the newest first."""
    raw: Any = OmegaConf.to_container(config.hydra.sweep, resolve=False)
    pattern = Path(REFERENCE.sub("*", raw["dir"])).absolute()
    found = Path(pattern.anchor).glob(f"{pattern.relative_to(pattern.anchor)}/{MARK}")
    return [mark.parent for mark in sorted(found, key=lambda mark: mark.stat().st_mtime, reverse=True)]


@dataclass
class Missing:
    jobs: list[Sequence[str]]
    numbers: list[int]
    failures: list[Exception]  # of jobs that had ended before

    @classmethod
    def of(cls, jobs: Iterable[Sequence[str]], composer: Composer, ended: Sequence[EndedJob]) -> "Missing":
        """A job has ended if one of the same configuration has; it keeps its number unless another has taken it."""
        known = {each.key: each for each in ended}
        taken = {each.num for each in ended}
        missing = cls([], [], [])
        for num, job in enumerate(jobs):
            before = known.get(config_key(composer.job(job, num).config))
            if before is None:
                missing.jobs.append(job)
                missing.numbers.append(num)
            elif isinstance(before.result, Exception):
                missing.failures.append(before.result)
        free = (num for num in count(max(taken, default=-1) + 1) if num not in missing.numbers)
        missing.numbers = [num if num not in taken else next(free) for num in missing.numbers]
        return missing
