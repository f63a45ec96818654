"""The life of a job: one function makes the results of K >= 1 jobs, whether one runs alone or many side by side.

`task=measure` is a question that is no fit."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from noiseworks.chunked.fit import chunked_outcome
from noiseworks.config.experiment import file_of, load
from noiseworks.config.job import Job
from noiseworks.errors import UserError
from noiseworks.fit import check_trainable, solutions, solve_exactly, train
from noiseworks.outcome import Outcome
from noiseworks.problem import Problem
from noiseworks.runs.result import JobRequest, JobResult
from noiseworks.train.ensemble import Member
from noiseworks.train.monitor import Prune, Watch


def measured(job: Job) -> Outcome:
    """What the experiment's `measure(cfg)` gives: name -> a number, or an array of one for each of `replicates`."""
    path = file_of(job.experiment)
    measure = getattr(load(path), "measure", None)
    if measure is None:
        raise UserError(f"task=measure: {path.name} does not define measure(cfg).")
    config = OmegaConf.create(job.config)
    assert isinstance(config, DictConfig)
    metrics = {name: _tensor(name, value, job.replicates) for name, value in _checked(measure(config), path.name)}
    nothing = torch.zeros(job.replicates, 0, dtype=torch.float64)
    return Outcome(theta=nothing, coefficients=nothing, exact=None, scale=None, metrics=metrics, failures={})


def _checked(metrics: Any, source: str) -> Any:
    if not isinstance(metrics, Mapping) or not metrics:
        raise UserError(f"measure(cfg) of {source} returned {metrics!r}; it must return name -> value.")
    return metrics.items()


def _tensor(name: str, value: Any, replicates: int) -> Tensor:
    values = torch.as_tensor(np.asarray(value, dtype=np.float64))
    if values.ndim == 0:
        return values.reshape(1)
    if values.shape != (replicates,):
        raise UserError(
            f"measure(cfg) returned {name} of shape {tuple(values.shape)}; it must be a number, or one for each of "
            f"replicates={replicates}."
        )
    return values


@dataclass(frozen=True)
class Circumstances:
    """What jobs run in.

    watch: who is told and asked while they train. pruning: given the request of each member, makes what decides after
    each epoch which of them are to stop. begin: told their problem when nothing is left that the data could refuse,
    before they are trained or measured. started: when the work on them began, by time.monotonic().
    """

    in_sweep: bool = False
    in_study: bool = False
    watch: Watch = field(default_factory=Watch)
    pruning: Callable[[Sequence[JobRequest]], Prune] | None = None
    begin: Callable[[Problem | None], None] = lambda problem: None
    started: float = field(default_factory=time.monotonic)


def run_jobs(requests: Sequence[JobRequest], under: Circumstances) -> Iterator[JobResult]:
    """The results of jobs that can be trained or solved side by side (see `sweep.groups`), in one fit; a job whose data
    say no, or whose members diverge, fails by itself."""
    work = _Work(under)
    ready: list[tuple[JobRequest, list[Member]]] = []
    problems: dict[str, Problem] = {}
    for request in requests:
        under.watch.check()
        try:
            members = _members(request.job, problems)
        except Exception as error:
            yield work.failed(request, None, error)
        else:
            ready.append((request, members))
    for request, members in ready:
        if not members:
            yield work.measured(request)
    fits = [(request, members) for request, members in ready if members]
    if fits:
        yield from work.fitted(fits)


def _members(job: Job, problems: dict[str, Problem]) -> list[Member]:
    """Those to fit, one for each replicate; none for what is no fit."""
    if job.measures:
        return []
    members = job.members(problems)
    if not job.exact:
        check_trainable(members[0], job.trainer)
    return members


class _Work:
    """The steps of `run_jobs`; a bar counts each job once, whichever way it ends."""

    def __init__(self, under: Circumstances) -> None:
        self.under = under

    def _result(
        self, of: JobRequest, problem: Problem | None, outcome: Outcome | None, error: Exception | None, seconds: float
    ) -> JobResult:
        return JobResult(of, problem, outcome, error, seconds, self.under.in_sweep, self.under.in_study)

    def failed(self, of: JobRequest, problem: Problem | None, error: Exception, count: bool = True) -> JobResult:
        self.under.watch.check()  # it may be what a signal was turned into
        if count:
            self._count(of.job.replicates)
        return self._result(of, problem, None, error, self._seconds())

    def measured(self, of: JobRequest) -> JobResult:
        self.under.begin(None)
        try:
            outcome = measured(of.job)
        except Exception as error:
            return self.failed(of, None, error)
        self._count(of.job.replicates)
        return self._result(of, None, outcome, None, self._seconds())

    def fitted(self, fits: Sequence[tuple[JobRequest, list[Member]]]) -> Iterator[JobResult]:
        try:
            outcome = self._outcome(fits)
        except Exception as error:  # whatever it is, the others go on
            yield from self._halves(fits, error)
            return
        seconds, start = self._seconds() / len(fits), 0
        for of, members in fits:
            own = outcome.take(start, start + len(members))
            start += len(members)
            yield self._result(of, members[0].problem, own, None, seconds)

    def _halves(self, fits: Sequence[tuple[JobRequest, list[Member]]], error: Exception) -> Iterator[JobResult]:
        """A job that a group cannot be fitted with fails by itself: each half is fitted again, until it is found."""
        self.under.watch.check()
        if len(fits) == 1:
            ((of, members),) = fits
            yield self.failed(of, members[0].problem, error, count=False)
            return
        middle = len(fits) // 2
        yield from self.fitted(fits[:middle])
        yield from self.fitted(fits[middle:])

    def _outcome(self, fits: Sequence[tuple[JobRequest, list[Member]]]) -> Outcome:
        """Of all members; what the first job says of how it is fitted holds for all of them."""
        under, job, members = self.under, fits[0][0].job, [m for _, members in fits for m in members]
        if job.exact:
            outcome = chunked_outcome(members) or solve_exactly(members, solutions(members))
            self._count(len(members))
            return outcome
        job.trainer.lightning([])  # refuses a device that there is not
        under.begin(members[0].problem)
        watch, points = under.watch, job.tracking.points(under.in_sweep)
        if under.pruning is not None:
            watch = replace(watch, prune=under.pruning([of for of, members in fits for _ in members]))
        return train(members, job.trainer, points, job.tracking.trajectory, watch)

    def _count(self, members: int) -> None:
        if self.under.watch.bar is not None:
            self.under.watch.bar.update(members)

    def _seconds(self) -> float:
        return time.monotonic() - self.under.started
