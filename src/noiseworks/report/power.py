"""How often the verdicts come out right when everything is run again with fresh seeds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from noiseworks.errors import UserError
from noiseworks.paths import experiments_folder
from noiseworks.studies.intervals import Interval, proportion

FILE = "power.json"
MISS = ("exercise", "kind", "claim", "verdict", "times")


@dataclass(frozen=True)
class Rate:
    """How many verdicts of a kind, claim or control, came out as they should: as_hoped of count."""

    kind: str
    count: int
    as_hoped: int

    @property
    def interval(self) -> Interval:
        return proportion(np.arange(self.count) < self.as_hoped)


@dataclass(frozen=True)
class Power:
    """The rates over `repetitions` of everything, each with its own seed. misses: exercise, kind, claim, verdict and
    times of those that came out otherwise."""

    repetitions: int
    rates: Sequence[Rate]
    misses: Sequence[Mapping[str, Any]]


def power(out: Path) -> Power | None:
    """What power.json says in the report's folder, else the one in experiments/; None if neither is there."""
    found = [folder / FILE for folder in (out, experiments_folder()) if (folder / FILE).exists()]
    if not found:
        return None
    try:
        content = json.loads(found[0].read_text())
        rates = [Rate(str(row["kind"]), int(row["count"]), int(row["as_hoped"])) for row in content["rates"]]
        misses = [{key: miss[key] for key in MISS} for miss in content["misses"]]
        return Power(len(content["seeds"]), [rate for rate in rates if rate.count >= 2], misses)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{found[0]} is not as scripts/verdict_power.py writes it ({error!r}).") from error
