"""What a sweep minimises, and what it asks of a fit besides: the keys `objective` and `constraints`."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from noiseworks.errors import UserError

METRIC = re.compile(r"[a-z_]+(/[a-z_]+)+")


@dataclass(frozen=True)
class Objective:
    names: tuple[str, ...]  # of metrics; none: val/nll, or train/nll where nothing validates
    constraints: Mapping[str, float]  # metric -> the most that it may be

    def names_in(self, metrics: Collection[str]) -> tuple[str, ...]:
        return self.names or tuple(name for name in ("val/nll", "train/nll") if name in metrics)[:1]

    def missing(self, metrics: Collection[str]) -> str | None:
        """What is wrong if a name is none of these."""
        for key, names in {"objective": self.names, "constraints": self.constraints}.items():
            for name in names:
                if name not in metrics:
                    there = ", ".join(sorted(metrics))
                    return f"{key}={_shown(key, name)} is no metric of this job, which has {there}"
        return None


def make_objective(asked: Any, most: Any) -> Objective:
    """Of the values of `objective` and `constraints`. Whether there are such metrics is known when they have been
    computed."""
    names = asked if isinstance(asked, list) else [] if asked is None else [asked]
    if asked == [] or not all(_is_name(name) for name in names) or len(set(names)) < len(names):
        shown = f"[{', '.join(map(str, asked))}]" if isinstance(asked, list) else asked
        raise UserError(
            f"objective={shown} is not possible; it must be null, the name of a metric such as val/nll, "
            "or a list of different ones such as [val/nll,val/mae]."
        )
    if not isinstance(most, dict | None):
        raise UserError(f"constraints={most} is not possible; {_RIGHT}.")
    for name, bound in (most or {}).items():
        if not _is_name(name) or type(bound) not in (int, float) or not math.isfinite(bound):
            shown = "null" if bound is None else bound
            raise UserError(f"constraints={{{name}: {shown}}} is not possible; {_RIGHT}.")
    return Objective(tuple(names), {name: float(bound) for name, bound in (most or {}).items()})


_RIGHT = "it must be null, or metrics and the most that each may be, such as {val/mae: 0.2}"


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and METRIC.fullmatch(name) is not None


def _shown(key: str, name: str) -> str:
    return name if key == "objective" else f"{{{name}: ...}}"
