"""The jobs of a sweep that Hydra's vectorized launcher hands over all at once."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from noiseworks.config.instantiation import Pieces
from noiseworks.config.job import check_added, make_job
from noiseworks.errors import UserError
from noiseworks.runs.execution import Circumstances, run_jobs
from noiseworks.runs.journal import JOURNAL, swept_values
from noiseworks.runs.result import JobRequest, JobResult
from noiseworks.sweep.best import Best
from noiseworks.sweep.groups import GIB, Group, describe, make_groups
from noiseworks.sweep.noise_ranking import check_criteria
from noiseworks.sweep.pruning import Pruning, check_prunable
from noiseworks.sweep.recording import keep_in_journal, write_files
from noiseworks.tracking.parents import Parent, SweepFolder
from noiseworks.tracking.store import open_store
from noiseworks.train.monitor import Watch

if TYPE_CHECKING:
    from hydra_members.protocol import Batch

AT_ONCE = 1000  # runs that are written together: their contents are in memory


def run_batch(batch: Batch, check: Callable[[], None] = lambda: None) -> Sequence[Any]:
    """For each job what it returns, or why it failed or was stopped. A mistake in any stops all before anything is
    trained; a study may come upon one when it is under way, and only that trial fails. `check` raises if the command
    is to stop."""
    sweep = SweepFolder(Path(batch.sweep_dir))
    requests, results = _make_requests(batch)
    if results and not (requests and sweep.study):
        raise next(iter(results.values()))
    check_criteria((request.job for request in requests), sweep.folder)
    groups = make_groups(requests, batch.memory_gib * GIB)
    if batch.dry_run or sweep.study is None or not (sweep.folder / JOURNAL).exists():
        print(f"\n{describe(groups, batch.memory_gib)}\n", flush=True)
    if batch.dry_run:
        return [None] * len(batch.jobs)
    _open(requests, sweep)
    best = Best(sweep.folder)
    with _bar(groups, leave=sweep.study is None) as bar:
        for group in groups:
            for result in _recorded(group, sweep, batch, Watch(bar=bar, check=check)):
                best.offer(result)
                results[result.num] = result.told()
    best.save()
    return [results[job.num] for job in batch.jobs]


def _make_requests(batch: Batch) -> tuple[list[JobRequest], dict[int, Any]]:
    """Those of the jobs that can be made, and for the others, by number, what is wrong."""
    pieces, requests, mistakes = Pieces(), [], {}
    for given in batch.jobs:
        try:
            job = make_job(given.config, given.choices, pieces)
            check_added(given.overrides, job.config)
            if batch.report is not None:
                check_prunable(job)
        except UserError as error:
            said = f"Job {given.num} ({' '.join(given.overrides)}): {error} Nothing was started."
            mistakes[given.num] = UserError(said).with_traceback(error.__traceback__)
            continue
        swept = swept_values(given.overrides, job.config, job.choices)
        requests.append(JobRequest(given.num, job, swept, Path(given.output_dir)))
    return requests, mistakes


def _bar(groups: Sequence[Group], leave: bool) -> Any:
    quiet = not all(of.job.trainer.progress_bar for group in groups for of in group.jobs)
    shape = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
    total = sum(group.members for group in groups) * (1 + 1e-9)  # its parts add up to a little more
    return tqdm(total=total, desc="sweep", bar_format=shape, disable=quiet, dynamic_ncols=True, leave=leave)


def _open(requests: Sequence[JobRequest], sweep: SweepFolder) -> None:
    """Refuse a device or a store that there is not; start the parent runs."""
    for trainer in {of.job.trainer for of in requests if not of.job.exact}:
        trainer.lightning([])
    tracked = [of.job for of in requests if of.job.tracking.tracked]
    for uri in {job.tracking.uri for job in tracked}:
        open_store(uri)  # all of them, before a run is started in one
    for job in tracked:
        sweep.parent(job)


def _recorded(group: Group, sweep: SweepFolder, batch: Batch, watch: Watch) -> Iterator[JobResult]:
    """The group's jobs, each with its files, its run in MLflow and its line in the sweep's journal."""
    started = time.time_ns() // 1_000_000
    pruning = None if batch.report is None else partial(Pruning, report=batch.report)
    results = run_jobs(group.jobs, Circumstances(True, sweep.study is not None, watch, pruning))
    while some := list(islice(results, AT_ONCE)):
        if batch.job_folders:
            for result in some:
                write_files(result)
        _write_runs(some, sweep, started)
        keep_in_journal(some, sweep)
        yield from some


def _write_runs(some: Sequence[JobResult], sweep: SweepFolder, started: int) -> None:
    now = time.time_ns() // 1_000_000
    by_parent: dict[Parent, list[JobResult]] = {}
    for result in some:
        if result.job.tracking.tracked:
            by_parent.setdefault(sweep.parent(result.job), []).append(result)
    for parent, children in by_parent.items():
        from noiseworks.tracking.finished_runs import finished_run, write_runs

        runs = [finished_run(child, sweep.tags(child.job, child.num), started, now) for child in children]
        for child, run in zip(children, write_runs(parent.uri, parent.experiment, runs)):
            child.run = run
            _log_model(child, parent)


def _log_model(result: JobResult, parent: Parent) -> None:
    """If every job of the sweep is to have its own (tracking.model=true)."""
    if result.run is not None and (saved := result.predictor()) is not None:
        from noiseworks.tracking.live_run import MlflowRun
        from noiseworks.tracking.logged_model import log_model

        log_model(MlflowRun(parent.uri, parent.experiment, result.run), saved)
