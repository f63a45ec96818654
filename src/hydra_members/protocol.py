"""What a task function may offer to a sweep, and what the two hand each other."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from omegaconf import DictConfig


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
    inputs: Mapping[str, str] = field(default_factory=dict)  # see SweepTask.inputs


class SweepTask(Protocol):
    """A task function, as far as a sweep knows it. Each of its attributes may be absent: then nothing happens."""

    def __call__(self, config: DictConfig) -> Any:
        """One job."""

    def run_batch(self, batch: Batch) -> Sequence[Any]:
        """One entry a job, in their order: what the job returned, or the Exception that it failed with. An exception
        that is raised stops the whole sweep."""

    def recover(self, sweep_dir: str, numbers: Collection[int] | None) -> Sequence[EndedJob]:
        """The jobs that have ended, of a sweep that goes on in this folder. Of the `numbers` (None: of all jobs) the
        others do not run any more, and whatever they have left behind is to be tidied up."""

    def inputs(self, config: dict[str, Any]) -> Mapping[str, str]:
        """What the job of this configuration reads besides: name -> digest of its content. It belongs to the question
        that a sweep or a study answers, as the configuration does."""

    def check_search_space(self, function: str) -> None:
        """Raises where hydra.sweeper.custom_search_space names a function that is not to be imported."""

    def versions(self) -> Mapping[str, str]:
        """Of what jobs are run with: where a study goes on with others it is said, and no more."""

    def confirming(self, config: dict[str, Any], seeds: int | None) -> tuple[list[str], int]:
        """Overrides that train the job of this configuration again, on how many fresh seeds. `seeds`: how many are
        asked for; None leaves it to the task."""

    def sweep_begins(self, config: DictConfig) -> None:
        """The sweep's whole configuration, before anything else is done. It stays the same object: a sweep that goes
        on with an earlier one changes its hydra.sweep.dir later."""

    def study_opened(self, study: Any) -> None:
        """The optuna.Study whose trials are the jobs of the sweep."""


Offer = Literal[
    "run_batch", "recover", "inputs", "versions", "check_search_space", "confirming", "sweep_begins", "study_opened"
]


def changed_input(before: Mapping[str, str], now: Mapping[str, str]) -> str | None:
    """What is said of inputs that are not what they were; None where they are, whatever their names."""
    if sorted(before.values()) == sorted(now.values()):
        return None
    old = ", ".join(f"{name} (digest {digest})" for name, digest in before.items()) or "none"
    new = ", ".join(f"{name} (digest {digest})" for name, digest in now.items()) or "none"
    return f"the data were {old}, and are {new} now"


def other_versions(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """Those that differ from what they were, in words."""
    return [f"{name} {old} ({now[name]} here)" for name, old in before.items() if now.get(name, old) != old]


def offered(task: Any, name: Offer) -> Callable[..., Any] | None:
    """An attribute of SweepTask; None if this task function has none."""
    return getattr(task, name, None)


def tell(task: Any, name: Literal["sweep_begins", "study_opened"], fact: Any) -> None:
    call = offered(task, name)
    if call is not None:
        call(fact)
