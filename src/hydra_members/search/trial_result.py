"""What a job handed back, as Optuna takes it; optimization_results.yaml, as hydra-optuna-sweeper writes it."""

import logging
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna
from omegaconf import OmegaConf
from optuna.trial import FrozenTrial, TrialState

from hydra_members.search.space import Space


@dataclass(frozen=True)
class TrialResult:
    """`values` of a trial that is complete; `failure` says why one has failed."""

    state: TrialState
    values: list[float] | None = None
    failure: str | None = None
    standard_error: float | None = None
    constraints: Mapping[str, float] = field(default_factory=dict)


def read_result(result: Any, objectives: int) -> TrialResult:
    """`result`: a number, or as many numbers as there are objectives; or a mapping with these as `objective`, and
    `standard_error`, `constraints` (name -> value, kept if it is not above 0) and `failure`; or the exception that the
    job ended with. Not a number, infinity and every exception but TrialPruned are failures."""
    if isinstance(result, optuna.TrialPruned):
        return TrialResult(TrialState.PRUNED)
    if isinstance(result, BaseException):
        return _failed(f"{type(result).__name__}: {result}")
    more: Mapping[str, Any] = result if isinstance(result, Mapping) else {"objective": result}
    values: Any = more.get("objective")
    try:
        numbers = [float(value) for value in values] if _is_list(values) else [float(values)]
    except (TypeError, ValueError):
        return _failed(f"The job returned {values!r}, which is no number and no list of numbers.")
    if len(numbers) != objectives:
        return _failed(f"The job returned {values!r}, and hydra.sweeper.direction names {objectives} objectives.")
    if more.get("failure"):
        return _failed(str(more["failure"]))
    if not all(map(math.isfinite, numbers)):
        return _failed(f"The job returned {values!r}, which is not finite.")
    constraints = {key: float(value) for key, value in more.get("constraints", {}).items()}
    return TrialResult(TrialState.COMPLETE, numbers, None, more.get("standard_error"), constraints)


def _failed(why: str) -> TrialResult:
    return TrialResult(TrialState.FAIL, failure=why)


def _is_list(values: Any) -> bool:
    return isinstance(values, Iterable) and not isinstance(values, str) and getattr(values, "ndim", 1) > 0


log = logging.getLogger(__name__)


def best_trials(study: optuna.Study) -> list[FrozenTrial]:
    """The best one; of several objectives those that no other beats in all; none if no trial is complete, or none
    keeps to the constraints."""
    if len(study.directions) > 1:
        return sorted(study.best_trials, key=lambda trial: trial.values)
    try:
        return [study.best_trial]
    except ValueError:
        return []


def write_results(study: optuna.Study, space: Space, folder: Path) -> None:
    best = [(space.exact(trial.params), trial.values) for trial in best_trials(study)]
    results: dict[str, Any] = {"name": "optuna"}
    if len(study.directions) > 1:
        results["solutions"] = [{"params": params, "values": values} for params, values in best]
        log.info(f"Number of Pareto solutions: {len(best)}")
        for params, values in best:
            log.info(f"    Values: {values}, Params: {params}")
    elif best:
        params, [value] = best[0]
        results |= {"best_params": params, "best_value": value}
        log.info(f"Best parameters: {params}")
        log.info(f"Best value: {value}")
    OmegaConf.save(OmegaConf.create(results), folder / "optimization_results.yaml")
