"""The jobs of a sweep that Hydra's vectorized launcher hands over all at once."""

from __future__ import annotations

import gc
import time
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tqdm import tqdm

from noiseworks.config.instantiation import Pieces
from noiseworks.config.job import make_job
from noiseworks.errors import FitFailed, UserError
from noiseworks.runs import journal
from noiseworks.runs.held_out import HeldOut, noise_key, test_rows
from noiseworks.runs.journal import Row
from noiseworks.runs.result import Ended
from noiseworks.runs.returned import returned
from noiseworks.sweep.best import Best
from noiseworks.sweep.group_run import run_group
from noiseworks.sweep.groups import GIB, Group, SweepJob, describe, make_groups
from noiseworks.sweep.pruning import check_prunable
from noiseworks.tracking.parents import Parent, SweepFolder
from noiseworks.tracking.settings import Mlflow
from noiseworks.tracking.store import open_store

if TYPE_CHECKING:
    from hydra_members.protocol import Batch

AT_ONCE = 1000  # runs that are written together: their contents are in memory


def run_batch(batch: Batch) -> Sequence[Any]:
    """For each job what it returns, or why it failed or was stopped. A mistake in any stops all before anything is
    trained; a study may come upon one when it is under way, and only that trial fails."""
    sweep = SweepFolder(Path(batch.sweep_dir))
    jobs, results = _make_jobs(batch)
    if results and not (jobs and sweep.study):
        raise next(iter(results.values()))
    groups = make_groups(jobs, batch.memory_gib * GIB)
    if batch.dry_run or sweep.study is None or not (sweep.folder / journal.JOURNAL).exists():
        print(f"\n{describe(groups, batch.memory_gib)}\n", flush=True)
    if batch.dry_run:
        return [None] * len(batch.jobs)
    gc.freeze()  # what was imported stays
    gc.enable()
    _open(jobs, sweep)
    best = Best(sweep.folder)
    with _bar(groups, leave=sweep.study is None) as bar:
        for group in groups:
            for ended in _recorded(group, sweep, batch, bar):
                best.offer(ended)
                results[ended.of.num] = _result(ended, sweep)
    best.save()
    return [results[job.num] for job in batch.jobs]


def _make_jobs(batch: Batch) -> tuple[list[SweepJob], dict[int, Any]]:
    """Those that can be made, and for the others, by number, what is wrong."""
    pieces, jobs, mistakes = Pieces(), [], {}
    for given in batch.jobs:
        try:
            job = make_job(given.config, given.choices, pieces)
            if batch.report is not None:
                check_prunable(job)
        except UserError as error:
            said = f"Job {given.num} ({' '.join(given.overrides)}): {error} Nothing was started."
            mistakes[given.num] = UserError(said).with_traceback(error.__traceback__)
            continue
        swept = journal.swept_values(given.overrides, job.config, job.choices)
        jobs.append(SweepJob(given.num, job, swept, Path(given.output_dir)))
    return jobs, mistakes


def _bar(groups: Sequence[Group], leave: bool) -> Any:
    quiet = not all(of.job.trainer.progress_bar for group in groups for of in group.jobs)
    shape = "{desc}: {percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
    total = sum(group.members for group in groups) * (1 + 1e-9)  # its parts add up to a little more
    return tqdm(total=total, desc="sweep", bar_format=shape, disable=quiet, dynamic_ncols=True, leave=leave)


def _open(jobs: Sequence[SweepJob], sweep: SweepFolder) -> None:
    """Refuse a device or a store that there is not; start the parent runs."""
    for trainer in {of.job.trainer for of in jobs if not of.job.exact}:
        trainer.lightning([])
    tracked = [of.job for of in jobs if isinstance(of.job.tracking, Mlflow)]
    for uri in {job.tracking.uri for job in tracked}:
        open_store(uri)  # all of them, before a run is started in one
    for job in tracked:
        sweep.parent(job)


def _recorded(group: Group, sweep: SweepFolder, batch: Batch, bar: Any) -> Iterator[Ended]:
    """The group's jobs, each with its run in MLflow and its line in the sweep's journal."""
    started = time.time_ns() // 1_000_000
    all_ended = run_group(group, bar, batch.report)
    while some := list(islice(all_ended, AT_ONCE)):
        _write_runs(some, sweep, started)
        if batch.job_folders:
            for ended in some:
                _write_files(ended)
        if sweep.compares_noise:
            _keep_held_out(some, sweep.folder)
        journal.append(sweep.folder, [_row(ended, sweep) for ended in some])
        yield from some


def _write_runs(some: Sequence[Ended], sweep: SweepFolder, started: int) -> None:
    now = time.time_ns() // 1_000_000
    by_parent: dict[Parent, list[Ended]] = {}
    for ended in some:
        if ended.tracked:
            by_parent.setdefault(sweep.parent(ended.of.job), []).append(ended)
    for parent, children in by_parent.items():
        from noiseworks.tracking.finished_runs import write_runs

        runs = [child.finished_run(sweep.tags(child.of.job, child.of.num), started, now) for child in children]
        for child, run in zip(children, write_runs(parent.uri, parent.experiment, runs)):
            child.run = run
            child.log_model(parent)


def _write_files(ended: Ended) -> None:
    ended.of.folder.mkdir(parents=True, exist_ok=True)
    for name, content in ended.files.items():
        path = ended.of.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content)


def _keep_held_out(some: Sequence[Ended], folder: Path) -> None:
    """Of each noise model the job that is to be compared, or was the best so far."""
    best: dict[Hashable, tuple[float, Ended]] = {}
    for ended in some:
        if ended.problem is not None and (value := ended.objective) is not None:
            key = noise_key(ended.problem.noise.name, ended.of.swept)
            if key not in best or value < best[key][0]:
                best[key] = value, ended
    for _, ended in best.values():
        assert ended.problem is not None
        assert ended.outcome is not None
        if (found := HeldOut.of(ended.problem, ended.outcome)) is not None:
            found.save(folder, ended.of.num)


def _row(ended: Ended, sweep: SweepFolder) -> Row:
    """With what the sweeper is going to be told, in case it cannot be."""
    rows = test_rows(ended.problem) if sweep.compares_noise and ended.problem is not None else None
    told = _result(ended, sweep) if ended.status == "FINISHED" else None
    return replace(ended.row(), returned=told, test_rows=rows)


def _result(ended: Ended, sweep: SweepFolder) -> Any:
    if ended.pruned is not None:
        from optuna import TrialPruned

        return TrialPruned(ended.pruned)
    if ended.failure is not None or ended.outcome is None:
        return FitFailed(f"The fit failed: {ended.failure}.")
    return returned(ended.outcome, ended.of.job.objective, sweep.study is not None)
