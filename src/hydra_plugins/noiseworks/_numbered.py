"""Jobs whose numbers need not follow each other, through launchers that count on from the first."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from hydra.core.utils import JobReturn


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
