"""What a sweep that was killed has left to do, the folder in which it goes on, and jobs of any numbers."""

import glob
import io
import os
import re
from collections.abc import Iterable, Sequence
from contextlib import redirect_stderr, suppress
from dataclasses import dataclass
from itertools import count, groupby
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.types import Quote, QuotedString
from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from hydra_members.composer import Composer
from hydra_members.protocol import EndedJob, changed_input, config_key, offered


def result_of(job_return: JobReturn) -> Any:
    """What the job returned, or the exception that it ended with."""
    try:
        with redirect_stderr(io.StringIO()):  # where Hydra writes the overrides of a failed job when it is asked
            return job_return.return_value
    except Exception as error:
        return error


def launch_numbered(
    launcher: Any, jobs: Sequence[Sequence[str]], numbers: Sequence[int], *more: Any
) -> list[JobReturn]:
    """What became of each job. `more` is for a launcher that takes numbers itself: see VectorizedLauncher."""
    if hasattr(launcher, "launch_numbered"):
        return list(launcher.launch_numbered(jobs, numbers, *more))
    returns: list[JobReturn] = []
    for _, run in groupby(enumerate(numbers), key=lambda each: each[1] - each[0]):
        places = [place for place, _ in run]
        part = jobs[places[0] : places[-1] + 1]
        returns += launcher.launch(part, initial_job_idx=numbers[places[0]])
    return returns


def work_in(config: DictConfig, folder: Path) -> None:
    """For this process and for all jobs, in whatever process they run: what they compose is told, too."""
    line = f"hydra.sweep.dir={QuotedString(str(folder), Quote.single).with_quotes()}"
    with read_write(config.hydra), open_dict(config.hydra):
        config.hydra.sweep.dir = str(folder)
        config.hydra.overrides.hydra.append(line)


MARK = "multirun.yaml"
REFERENCE = re.compile(r"\$\{[^{}]*\}")


def find_begun(config: DictConfig, task: Any) -> Path | None:
    """The sweep in this folder, or else the newest one of the same overrides, whose folder this one then takes; None if
    there is none."""
    if offered(task, "recover") is None:
        raise HydraException(
            "hydra.sweeper.resume=true needs a task that knows which of its jobs have ended (an attribute `recover`),"
            " and this one does not; it must be false."
        )
    here = Path(str(config.hydra.sweep.dir)).absolute()
    for folder in _folders_like(config):
        if folder == here:
            return here
        if _asked(folder) == sorted(config.hydra.overrides.task):
            work_in(config, folder)
            return folder
    return None


def _folders_like(config: DictConfig) -> list[Path]:
    """Those of sweeps that have the place of this one, whatever stands for the date and the time; the newest first."""
    raw: Any = OmegaConf.to_container(config.hydra.sweep, resolve=False)
    place, changed = str(Path(raw["dir"]).absolute()), 1
    while changed:  # from the innermost on
        place, changed = REFERENCE.subn("\0", place)
    pattern = "*".join(map(glob.escape, place.split("\0")))
    found = [Path(mark) for mark in glob.glob(f"{pattern}/{MARK}")]
    return [mark.parent for mark in sorted(found, key=lambda mark: mark.stat().st_mtime, reverse=True)]


def _asked(folder: Path) -> list[str] | None:
    """None if it is not known: the file was being written when its process was killed."""
    with suppress(yaml.YAMLError, OmegaConfBaseException, AttributeError, TypeError):
        return sorted(OmegaConf.load(folder / MARK).hydra.overrides.task)
    return None


def save_asked(config: DictConfig, folder: Path) -> None:
    """In one step: a sweep whose file was torn would not be found again."""
    fresh = folder / f".{MARK}.{os.getpid()}"
    OmegaConf.save(config, fresh)
    os.replace(fresh, folder / MARK)


@dataclass
class Missing:
    jobs: list[Sequence[str]]
    numbers: list[int]
    failures: list[Exception]  # of jobs that had ended before

    @classmethod
    def of(cls, jobs: Iterable[Sequence[str]], composer: Composer, ended: Sequence[EndedJob], task: Any) -> "Missing":
        """A job has ended if one of the same configuration has, on the same inputs; it keeps its number unless another
        has taken it."""
        known = {each.key: each for each in ended}
        taken = {each.num for each in ended}
        missing = cls([], [], [])
        for num, job in enumerate(jobs):
            config = composer.job(job, num).config
            before = known.get(config_key(config))
            if before is not None:
                _refuse_other_inputs(before, config, task)
            if before is None:
                missing.jobs.append(job)
                missing.numbers.append(num)
            elif isinstance(before.result, Exception):
                missing.failures.append(before.result)
        free = (num for num in count(max(taken, default=-1) + 1) if num not in missing.numbers)
        missing.numbers = [num if num not in taken else next(free) for num in missing.numbers]
        return missing


def _refuse_other_inputs(before: EndedJob, config: dict[str, Any], task: Any) -> None:
    inputs = offered(task, "inputs")
    changed = changed_input(before.inputs, inputs(config)) if inputs is not None and before.inputs else None
    if changed is not None:
        raise HydraException(
            f"hydra.sweeper.resume=true goes on with a sweep in which job {before.num} has ended, but {changed}."
            " Without it the sweep begins afresh."
        )
