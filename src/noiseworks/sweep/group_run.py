"""One group of jobs, trained or solved side by side."""

from __future__ import annotations

import time
from collections.abc import Iterator

from hydra_members.protocol import Report
from noiseworks import signals as stop
from noiseworks.chunked.fit import chunked_outcome
from noiseworks.errors import UserError
from noiseworks.fit import check_trainable, solutions, solve_exactly, train
from noiseworks.outcome import Outcome
from noiseworks.problem import Problem
from noiseworks.runs.measurement import measured
from noiseworks.runs.result import Ended
from noiseworks.runs.returned import why_failed
from noiseworks.sweep.groups import Group, SweepJob
from noiseworks.sweep.pruning import Pruning
from noiseworks.train.ensemble import Member
from noiseworks.train.monitor import Bar, Prune


def run_group(group: Group, bar: Bar, report: Report | None = None) -> Iterator[Ended]:
    """One Lightning fit for all; a job whose data say no, or whose members diverge, fails alone."""
    started = time.monotonic()
    ready: list[tuple[SweepJob, list[Member]]] = []
    problems: dict[str, Problem] = {}
    for of in group.jobs:
        stop.check()
        if of.job.measures:
            yield _measured(of, started, bar)
            continue
        try:
            members = of.job.members(problems)
            if not of.job.exact:
                check_trainable(members[0], of.job.trainer)
            ready.append((of, members))
        except Exception as error:
            bar.update(of.job.replicates)
            yield Ended(of, None, None, _reason(error), 0.0)
    if ready:
        prune = None if report is None else Pruning([of for of, members in ready for _ in members], report)
        yield from _together(ready, started, bar, prune)


def _measured(of: SweepJob, started: float, bar: Bar) -> Ended:
    try:
        outcome = measured(of.job)
    except Exception as error:
        bar.update(of.job.replicates)
        return Ended(of, None, None, _reason(error), 0.0)
    bar.update(of.job.replicates)
    return Ended(of, None, outcome, why_failed(outcome, of.job.objective), time.monotonic() - started)


def _reason(error: Exception) -> str:
    stop.check()
    return str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"


def _together(
    ready: list[tuple[SweepJob, list[Member]]], started: float, bar: Bar, prune: Prune | None
) -> Iterator[Ended]:
    everyone = [m for _, members in ready for m in members]
    try:
        outcome = _outcome(ready[0][0], everyone, bar, prune)
    except Exception as error:  # nothing that a user did: whatever it is, the other groups go on
        for of, members in ready:
            yield Ended(of, members[0].problem, None, _reason(error), 0.0)
        return
    seconds = (time.monotonic() - started) / len(ready)
    start = 0
    for of, members in ready:
        own = outcome.take(start, start + len(members))
        start += len(members)
        yield Ended(of, members[0].problem, own, why_failed(own, of.job.objective), seconds)


def _outcome(first: SweepJob, members: list[Member], bar: Bar, prune: Prune | None) -> Outcome:
    job = first.job
    if job.exact:
        outcome = chunked_outcome(members) or solve_exactly(members, solutions(members))
        bar.update(len(members))
        return outcome
    return train(members, job.trainer, job.tracking.points(True), job.tracking.trajectory, bar=bar, prune=prune)
