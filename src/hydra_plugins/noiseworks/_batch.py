"""What a task function that can run many jobs at once is handed, and what it hands back.

A task function says so by an attribute `run_batch(batch: Batch) -> Sequence[Any]`. It returns one entry a job, in their
order: what the job returned, or the Exception that it failed with. An exception that it raises stops the whole sweep.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True)
class BatchJob:
    num: int  # hydra.job.num
    overrides: list[str]  # of the task, as given
    config: dict[str, Any]  # the task's configuration, resolved, in plain containers of its own
    choices: dict[str, Any]  # hydra.runtime.choices: the option of each group
    output_dir: str  # absolute; made only with job_folders


@dataclass(frozen=True)
class Batch:
    jobs: list[BatchJob]
    sweep_dir: str  # absolute
    memory_gib: float  # what the jobs that run together may use
    job_folders: bool  # each job's files are wanted in its output_dir
    dry_run: bool  # only say what would be done


class RunsBatches(Protocol):
    def run_batch(self, batch: Batch) -> Sequence[Any]: ...
