"""What is kept of results in the folders of jobs and of their sweep."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from pathlib import Path

from noiseworks.runs import journal
from noiseworks.runs.held_out import HeldOut, noise_key, test_rows
from noiseworks.runs.result import JobResult
from noiseworks.tracking.parents import SweepFolder


def write_files(result: JobResult) -> None:
    folder = result.request.folder
    for name, content in result.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


def keep_in_journal(results: Sequence[JobResult], sweep: SweepFolder) -> None:
    """After MLflow: a job that is in the journal has ended, and is not run again."""
    rows = [None] * len(results) if not sweep.compares_noise else [_test_rows(result) for result in results]
    if sweep.compares_noise:
        _keep_held_out(results, sweep.folder)
    journal.append(sweep.folder, [journal.Row.of(result, digest) for result, digest in zip(results, rows)])


def _test_rows(result: JobResult) -> str | None:
    return None if result.problem is None else test_rows(result.problem)


def _keep_held_out(results: Sequence[JobResult], folder: Path) -> None:
    """Of each noise model the job that is to be compared, or was the best so far."""
    best: dict[Hashable, tuple[float, JobResult]] = {}
    for result in results:
        if result.problem is not None and (value := result.value) is not None:
            key = noise_key(result.problem.noise.name, result.request.swept)
            if key not in best or value < best[key][0]:
                best[key] = value, result
    for _, result in best.values():
        if result.problem is None or result.outcome is None:
            continue
        if (found := HeldOut.of(result.problem, result.outcome)) is not None:
            found.save(folder, result.num)
