"""What a task function that can run many jobs at once is handed, and what it hands back.

A task function says so by an attribute `run_batch(batch: Batch) -> Sequence[Any]`. It returns one entry a job, in their
order: what the job returned, or the Exception that it failed with. An exception that it raises stops the whole sweep.

A task function whose sweeps can go on after they were killed has an attribute
`recover(sweep_dir: str, numbers: Collection[int] | None) -> Sequence[EndedJob]`: it is called when a sweep goes on with
what is in this folder, and says which jobs have ended. Of the `numbers` (None: of all jobs) the others do not run any
more, and whatever they have left behind is to be tidied up."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol


def config_key(config: Mapping[str, Any]) -> str:
    """16 hexadecimal digits, equal for equal configurations, whatever the order of their keys."""
    text = json.dumps(config, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


# Is told after each epoch, from 1: job number -> objective now (nan is allowed), and the epoch. It answers which jobs
# are to stop. Their entry in the result of run_batch is an optuna.TrialPruned.
Report = Callable[[Mapping[int, float], int], Collection[int]]


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
    report: Report | None = None


@dataclass(frozen=True)
class EndedJob:
    num: int
    key: str  # of its configuration: config_key
    result: Any  # what the job returned, or the Exception that it failed with


class RunsBatches(Protocol):
    def run_batch(self, batch: Batch) -> Sequence[Any]: ...
