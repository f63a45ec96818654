"""How a job ended, alone or beside others, and all that it leaves."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from noiseworks.config.job import Job
from noiseworks.config.objective import Objective
from noiseworks.errors import FitFailed, UserError
from noiseworks.outcome import Outcome
from noiseworks.problem import Problem
from noiseworks.runs import artifacts
from noiseworks.runs.figures import draw_all
from noiseworks.runs.predictor import to_json


@dataclass(frozen=True)
class JobRequest:
    """A job, its number in the sweep, the values that its overrides set, and the folder of its files."""

    num: int
    job: Job
    swept: dict[str, Any]
    folder: Path


@dataclass
class JobResult:
    """The one thing that the table, the files, the journal and both ways to write to MLflow are made of.

    problem, outcome: None for a job whose data say no, problem alone for one that is no fit. error: what ended the job
    before it had an outcome. returned: what the sweeper is told, see `_returned`. run: its id in MLflow, once it is
    there.
    """

    request: JobRequest
    problem: Problem | None
    outcome: Outcome | None
    error: Exception | None
    seconds: float
    in_sweep: bool = False
    in_study: bool = False
    run: str | None = None
    failure: str | None = field(init=False)
    metrics: dict[str, float] = field(init=False, default_factory=dict)
    objective: dict[str, float] = field(init=False, default_factory=dict)  # metric -> what a sweep minimises
    returned: Any = field(init=False, default=None)
    coefficients: dict[str, Any] | None = field(init=False, default=None)
    files: dict[str, bytes] = field(init=False)

    def __post_init__(self) -> None:
        job, wanted, outcome = self.job, self.job.objective, self.outcome
        self.failure = _why_failed(outcome, wanted, self.error)
        if outcome is not None:
            self.metrics = artifacts.final_metrics(outcome) | {"run/seconds": self.seconds}
            if self.problem is not None and self.problem.examples.lacking:
                self.metrics["data/lacking"] = float(self.problem.examples.lacking)
            self.coefficients = None if self.problem is None else artifacts.coefficients(self.problem, outcome)
            if self.status == "FINISHED":
                self.objective = {name: mean_of_all(outcome, name) for name in wanted.names_in(outcome.names)}
                self.returned = _returned(outcome, wanted, list(self.objective.values()), self.in_study)
        self.files = artifacts.files(job, self.problem, outcome, self.metrics, self.coefficients)
        if self.wants("figures") and self.problem is not None and outcome is not None:
            self.files |= {f"figures/{name}": png for name, png in draw_all(self.problem, outcome).items()}

    @property
    def job(self) -> Job:
        return self.request.job

    @property
    def num(self) -> int:
        return self.request.num

    @property
    def status(self) -> str:
        if self.failure is not None:
            return "FAILED"
        return "FINISHED" if self.pruned is None else "KILLED"

    @property
    def pruned(self) -> str | None:
        """When the sweeper stopped it, which is no failure."""
        if self.failure is not None or self.outcome is None or not self.outcome.pruned:
            return None
        return f"at epoch {max(self.outcome.pruned.values())}"

    @property
    def value(self) -> float | None:
        """The first objective, by which jobs are ranked."""
        return next(iter(self.objective.values()), None)

    def wants(self, key: str) -> bool:
        """Whether this job is to leave figures or a model."""
        fitted = self.failure is None and self.problem is not None
        return fitted and self.job.tracking.wants(key, self.in_sweep)

    def predictor(self) -> dict[str, Any] | None:
        """What a stored model is made of; None for a job that is to leave none."""
        if not self.wants("model") or self.problem is None or self.outcome is None:
            return None
        return to_json(self.problem, self.outcome)

    def told(self) -> Any:
        """What a sweeper is handed: what the job returned, or the exception that says why it did not."""
        if self.pruned is not None:
            return pruned_trial(self.pruned)
        return self.returned if self.failure is None else FitFailed(f"The fit failed: {self.failure}.")


def pruned_trial(when: str | None) -> Exception:
    from optuna import TrialPruned  # half a second

    return TrialPruned(when)


def mean_of_all(outcome: Outcome, name: str) -> float:
    """A metric's mean over the replicates. Infinite where a replicate failed, else a step size at which half of them
    diverge could be the best; and where the model gives an observation no probability."""
    mean = math.inf if outcome.failures else outcome.last(name).double().mean().item()
    return mean if math.isfinite(mean) else math.inf


def _why_failed(outcome: Outcome | None, wanted: Objective, error: Exception | None) -> str | None:
    """The reason; an objective that is no metric of this job is one, and known only when there are metrics."""
    if error is not None:
        return str(error) if isinstance(error, UserError | FitFailed) else f"{type(error).__name__}: {error}"
    return None if outcome is None else outcome.failed or wanted.missing(outcome.names)


def _returned(outcome: Outcome, wanted: Objective, values: list[float], in_study: bool) -> Any:
    """A number, or a list for several objectives; a study is told how sure the number is and what was asked besides."""
    value = values[0] if len(values) == 1 else values or None
    if not in_study:
        return value
    above = {name: mean_of_all(outcome, name) - most for name, most in wanted.constraints.items()}
    error = _standard_error(outcome, wanted)
    return {"objective": value, "standard_error": error, "constraints": above, "failure": _some_failed(outcome)}


def _some_failed(outcome: Outcome) -> str | None:
    first = next(iter(outcome.failures.values()), None)
    return None if first is None else f"{len(outcome.failures)} of {len(outcome.theta)} replicates failed: {first}"


def _standard_error(outcome: Outcome, wanted: Objective) -> float | None:
    """sd / sqrt(R) of the first objective over R replicates; None where that is no number."""
    values = outcome.last(wanted.names_in(outcome.names)[0]).double()
    if len(values) == 1 or outcome.failures:
        return None
    error = values.std().item() / math.sqrt(len(values))
    return error if math.isfinite(error) else None
