"""What a job returns to the sweeper."""

from __future__ import annotations

import math
from typing import Any

from noiseworks.config.objective import Objective
from noiseworks.outcome import Outcome
from noiseworks.runs.artifacts import mean_of_all, objective


def why_failed(outcome: Outcome, wanted: Objective) -> str | None:
    """Whether there is a metric of some name is known only now."""
    return outcome.failed or wanted.missing(outcome.names)


def returned(outcome: Outcome, wanted: Objective, in_study: bool) -> Any:
    """A number, or a list for several objectives; a study is told how sure the number is and what was asked besides."""
    values = objective(outcome, wanted)
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
