"""What a job handed back, as Optuna takes it."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.trial import TrialState


@dataclass(frozen=True)
class Answer:
    """`values` of a trial that is complete; `failure` says why one has failed."""

    state: TrialState
    values: list[float] | None = None
    failure: str | None = None
    standard_error: float | None = None
    constraints: Mapping[str, float] = field(default_factory=dict)


def read_answer(result: Any, objectives: int) -> Answer:
    """`result`: a number, or as many numbers as there are objectives; or a mapping with these as `objective`, and
    `standard_error`, `constraints` (name -> value, kept if it is not above 0) and `failure`; or the exception that the
    job ended with. Not a number, infinity and every exception but TrialPruned are failures."""
    if isinstance(result, optuna.TrialPruned):
        return Answer(TrialState.PRUNED)
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
    return Answer(TrialState.COMPLETE, numbers, None, more.get("standard_error"), constraints)


def _failed(why: str) -> Answer:
    return Answer(TrialState.FAIL, failure=why)


def _is_list(values: Any) -> bool:
    return isinstance(values, Iterable) and not isinstance(values, str) and getattr(values, "ndim", 1) > 0
