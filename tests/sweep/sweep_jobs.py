"""Jobs of a sweep made in this process, without a command."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from fast_configs import configuration
from noiseworks.config.instantiation import Pieces
from noiseworks.config.job import make_job
from noiseworks.runs.execution import Circumstances, run_jobs
from noiseworks.runs.result import JobRequest, JobResult
from noiseworks.sweep.groups import Group
from noiseworks.sweep.pruning import Pruning
from noiseworks.train.monitor import Watch

BASE = ["data=synthetic", "data.num_examples=60", "data.batch_size=16", "trainer.max_epochs=3", "tracking=none"]


class Bar:
    """Counts what it is told."""

    def __init__(self) -> None:
        self.told: list[float] = []

    def update(self, n: float) -> None:
        self.told.append(n)


def make_jobs(settings: Sequence[Sequence[str]], base: Sequence[str] = BASE) -> list[JobRequest]:
    """A job for each list of overrides."""
    return jobs_of([configuration([*base, *overrides]) for overrides in settings])


def jobs_of(configs: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> list[JobRequest]:
    pieces = Pieces()
    made = [make_job(config, choices, pieces) for config, choices in configs]
    return [JobRequest(num, job, {}, Path(str(num))) for num, job in enumerate(made)]


def run_group(group: Group, bar: Any, report: Any = None) -> Iterator[JobResult]:
    """As a sweep runs it."""
    pruning = None if report is None else partial(Pruning, report=report)
    return run_jobs(group.jobs, Circumstances(in_sweep=True, watch=Watch(bar=bar), pruning=pruning))
