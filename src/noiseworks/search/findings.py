"""What a study has found, in numbers. Its trials may have run in several processes and folders; the journal of this
folder adds to them their runs in MLflow and their metrics."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from optuna.importance import get_param_importances
from optuna.study import Study, StudyDirection
from optuna.trial import FrozenTrial, TrialState

from noiseworks.runs.journal import Row


@dataclass(frozen=True)
class StudyObjective:
    index: int
    name: str
    maximize: bool

    def value(self, trial: FrozenTrial) -> float:
        return float(trial.values[self.index])

    def loss(self, trial: FrozenTrial) -> float:
        """The smaller, the better."""
        return -self.value(trial) if self.maximize else self.value(trial)


@dataclass(frozen=True)
class Confirmation:
    """The settings of a trial, trained again on seeds that the search has not seen."""

    trial: FrozenTrial
    values: Sequence[float]  # empty if it failed
    standard_error: float | None
    seeds: int
    run: str | None

    def excess(self, objective: StudyObjective) -> tuple[float, float] | None:
        """How much worse fresh seeds are than what the search saw, and the standard error of that difference; a trial
        without a standard error had one seed, whose spread is taken from the fresh ones."""
        if not self.values or self.standard_error is None:
            return None
        worse = self.values[objective.index] - objective.value(self.trial)
        searched = standard_error(self.trial)
        searched = self.standard_error * math.sqrt(self.seeds) if searched is None else searched
        return (-worse if objective.maximize else worse), math.hypot(searched, self.standard_error)


class Findings:
    """`feasible` are the candidates for the best: what is complete and keeps to the constraints. Jobs from number
    `confirms_from` on are no trials: they confirm one."""

    def __init__(self, study: Study, confirms_from: int, rows: Sequence[Row]) -> None:
        self.study, self.confirms_from = study, confirms_from
        self.trials = study.get_trials(deepcopy=False)
        self.rows = {row.job: row for row in rows if row.job < confirms_from}
        self.confirming = {row.job - confirms_from: row for row in rows if row.job >= confirms_from}
        self.complete = [trial for trial in self.trials if trial.state == TrialState.COMPLETE]
        self.feasible = [trial for trial in self.complete if is_feasible(trial)]
        self.constraints = list(dict.fromkeys(name for trial in self.trials for name in trial.constraints))
        self.keys = list(dict.fromkeys(key for trial in self.trials for key in trial.params))
        self.objectives = [
            StudyObjective(i, name, direction == StudyDirection.MAXIMIZE)
            for i, (name, direction) in enumerate(zip(self._names(), study.directions))
        ]

    def _names(self) -> Sequence[str]:
        """As the study says; else as the jobs of this folder say."""
        count = len(self.study.directions)
        said = self.study.user_attrs.get("objectives") or next(
            (list(row.objectives) for row in self.rows.values() if row.objectives), []
        )
        if len(said) == count:
            return list(map(str, said))
        return ["objective"] if count == 1 else [f"objective {i + 1}" for i in range(count)]

    @property
    def single(self) -> StudyObjective | None:
        """The objective, if there is one: with several there is no best trial, but a front."""
        return self.objectives[0] if len(self.objectives) == 1 else None

    @cached_property
    def ranked(self) -> list[FrozenTrial]:
        """From the best on, by the first objective; of equals the first."""
        return sorted(self.feasible, key=self.objectives[0].loss)

    @cached_property
    def front(self) -> list[FrozenTrial]:
        """The trials that no other is better than in every objective, from the best in the first on."""
        return sorted(self.study.best_trials, key=self.objectives[0].loss)

    @property
    def best(self) -> FrozenTrial | None:
        return self.ranked[0] if self.single and self.ranked else None

    @property
    def best_row(self) -> Row | None:
        """If it ran in this folder."""
        return self.rows.get(self.best.number) if self.best else None

    @cached_property
    def confirmations(self) -> list[Confirmation]:
        known = {str(trial.number): trial for trial in self.complete}  # another process may be further by now
        said: Mapping[str, Any] = self.study.user_attrs.get("confirmed", {})
        return [self._confirmation(known[number], facts) for number, facts in said.items() if number in known]

    def _confirmation(self, trial: FrozenTrial, facts: Mapping[str, Any]) -> Confirmation:
        value, error = facts["objective"], facts.get("standard_error")
        values = [] if value is None else list(value) if isinstance(value, (list, tuple)) else [value]
        row = self.confirming.get(trial.number)
        return Confirmation(trial, values, error, int(facts["seeds"]), facts.get("run") or (row.run if row else None))

    @property
    def best_confirmed(self) -> Confirmation | None:
        return next((each for each in self.confirmations if each.trial is self.best), None)

    @cached_property
    def importances(self) -> list[dict[str, float]]:
        """Key -> share, the largest first, for each objective."""
        return [_importances(self.study, self.complete, objective) for objective in self.objectives]

    @property
    def failures(self) -> list[tuple[str, str]]:
        """Trial, or confirmation, and why it failed."""
        failed = [trial for trial in self.trials if trial.state == TrialState.FAIL and not is_lost(trial)]
        reasons = {f"trial {trial.number}": self._why_failed(trial) for trial in failed}
        reasons |= {f"trial {number} on fresh seeds": row.failure for number, row in self.confirming.items()}
        return [(name, why) for name, why in reasons.items() if why]

    def _why_failed(self, trial: FrozenTrial) -> str | None:
        row = self.rows.get(trial.number)
        return (row.failure if row else None) or trial.user_attrs.get("failure")

    def run(self, trial: FrozenTrial) -> str:
        row = self.rows.get(trial.number)
        return (row.run if row else None) or ""


def is_feasible(trial: FrozenTrial) -> bool:
    return all(value <= 0 for value in trial.constraints.values())


def is_lost(trial: FrozenTrial) -> bool:
    """Whether it died with its process; its settings were queued again."""
    return bool({"lost", "died"} & trial.user_attrs.keys())


def standard_error(trial: FrozenTrial) -> float | None:
    """Of its first objective, if it is a mean over seeds."""
    error = trial.user_attrs.get("standard_error")
    return None if error is None else float(error)


def _importances(study: Study, complete: Sequence[FrozenTrial], objective: StudyObjective) -> dict[str, float]:
    """PED-ANOVA, Optuna's default: how far a key decides whether a trial is among the best tenth. Nothing where there
    are no two trials to tell apart."""
    if len({objective.value(trial) for trial in complete if math.isfinite(objective.value(trial))}) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "PedAnova.* computes the importances", UserWarning)  # `loss` sees to that
        warnings.filterwarnings("ignore", "Some regimes for parameter", UserWarning)  # a conditional key, seldom there
        shares = get_param_importances(study, target=objective.loss)
    return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))
