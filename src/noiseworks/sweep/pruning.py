"""Stopping jobs while they train: after each epoch their objectives go to the sweeper, which says whom to stop."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from hydra_members.protocol import Report
from noiseworks.config.job import Job
from noiseworks.errors import UserError
from noiseworks.metrics import KNOWN_EACH_EPOCH
from noiseworks.runs.result import JobRequest


def check_prunable(job: Job) -> None:
    """Refuse an objective that is not known after each epoch; an exact answer has no epochs."""
    names = job.objective.names
    if job.exact or not names or (len(names) == 1 and names[0] in KNOWN_EACH_EPOCH):
        return
    shown = names[0] if len(names) == 1 else f"[{', '.join(names)}]"
    what = "is not known after each epoch" if len(names) == 1 else "is more than one number"
    raise UserError(
        f"objective={shown} {what}, by which trials could be pruned; it must be null or one of "
        f"{', '.join(KNOWN_EACH_EPOCH)}, or hydra/sweeper/pruner must be none."
    )


class Pruning:
    """Which members of a group are to stop; `of` is the job of each."""

    def __init__(self, of: Sequence[JobRequest], report: Report) -> None:
        self.of, self.report = of, report
        self.diverged: set[int] = set()  # numbers of jobs of which a replicate has

    def __call__(self, metrics: dict[str, Tensor], active: Tensor, alive: Tensor, epoch: int) -> Tensor:
        jobs = [self.of[k] for k in active.tolist()]
        self.diverged |= {job.num for job, lives in zip(jobs, alive.tolist()) if not lives}
        told = self._objectives(metrics, jobs)
        unwanted = set(self.report(told, epoch)) if told else set()
        return torch.tensor([job.num in unwanted for job in jobs])

    def _objectives(self, metrics: dict[str, Tensor], jobs: Sequence[JobRequest]) -> dict[int, float]:
        """Job number -> mean over the replicates that are trained, nan if one has diverged. What is not known
        (param/error without an exact answer) is not told."""
        columns = {name: values.tolist() for name, values in metrics.items()}
        values: dict[int, list[float]] = defaultdict(list)
        for i, of in enumerate(jobs):
            (name,) = of.job.objective.names_in(columns)
            values[of.num].append(columns[name][i] if name in columns else math.nan)
        means = {num: sum(own) / len(own) for num, own in values.items()}
        known = {num: mean for num, mean in means.items() if not math.isnan(mean)}
        return known | {num: math.nan for num in means if num in self.diverged}
