"""The settings of a sweep, ranked: over the data that its seeds draw, not by the luckiest of them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from noiseworks.runs.journal import Row

SEEDS = ("seed", "data.seed")
CLOSE = 2.0  # standard errors


@dataclass(frozen=True)
class Setting:
    """The jobs that differ in their seed alone, in their order; `shared` are those of the seeds on which settings are
    compared.

    mean: of the objective over these, with its standard error sd / sqrt(n); difference: of the mean to that of the best
    setting, with the standard error of the differences d_s in pairs, seed by seed. nan where it is not known.
    """

    rows: Sequence[Row]
    shared: Sequence[Row]
    mean: float
    standard_error: float
    difference: float
    difference_error: float

    @property
    def first(self) -> Row:
        """That of the first seed."""
        return self.shared[0]

    @property
    def metrics(self) -> dict[str, float]:
        """Means over the seeds, of what all of them have."""
        names = (name for name in self.first.metrics if all(name in row.metrics for row in self.shared))
        return {name: float(np.mean([row.metrics[name] for row in self.shared])) for name in names}

    @property
    def close(self) -> bool:
        """Whether it cannot be told from the best."""
        return abs(self.difference) <= CLOSE * self.difference_error


def varied(rows: Sequence[Row]) -> list[str]:
    """The swept keys that have more than one value."""
    keys = dict.fromkeys(key for row in rows for key in row.swept)
    return [key for key in keys if len({str(row.swept.get(key)) for row in rows}) > 1]


def data_vary(rows: Sequence[Row]) -> bool:
    """Whether seeds were swept and drew other data, or split them otherwise."""
    seeds = any(key in SEEDS for key in varied(rows))
    return seeds and len({row.data for row in rows if row.objective is not None}) > 1


def best_setting(rows: Sequence[Row], maximize: bool) -> Setting | None:
    """Where data do not vary by seed a single job; None if no job has an objective."""
    return next(iter(ranked(rows, maximize, over_seeds=data_vary(rows))), None)


def ranked(rows: Sequence[Row], maximize: bool, over_seeds: bool) -> list[Setting]:
    """Those that have an objective, the best first, of equals the first; without `over_seeds` each job is one. Settings
    with fewer jobs that ended well than others come after these, by the seeds that they have."""
    groups = by_setting(rows) if over_seeds else [[row] for row in rows]
    groups = [group for group in groups if any(row.objective is not None for row in group)]
    seeds = [{_seed(row): row for row in group if row.objective is not None} for group in groups]
    most = max(map(len, seeds), default=0)
    complete = [of for of in seeds if len(of) == most]
    common = set.intersection(*map(set, complete)) if complete and over_seeds else set()
    sign = -1.0 if maximize else 1.0
    found = []
    for group, of in zip(groups, seeds):
        all_of = bool(common) and common <= of.keys()
        shared = [row for seed, row in of.items() if not all_of or seed in common]
        place = not (all_of or not over_seeds), sign * _mean(shared), shared[0].job
        found.append((place, group, shared))
    found.sort(key=lambda each: (each[0][0], math.isnan(each[0][1]), *each[0][1:]))
    return [_setting(group, shared, found[0][2]) for _, group, shared in found]


def by_setting(rows: Sequence[Row]) -> list[list[Row]]:
    """The jobs that differ in their seed alone, together."""
    keys, groups = [key for key in varied(rows) if key not in SEEDS], dict[tuple[str, ...], list[Row]]()
    for row in rows:
        groups.setdefault(tuple(str(row.swept.get(key)) for key in keys), []).append(row)
    return list(groups.values())


def _seed(row: Row) -> tuple[str, ...]:
    return tuple(str(row.swept.get(key)) for key in SEEDS)


def _setting(group: Sequence[Row], shared: Sequence[Row], best: Sequence[Row]) -> Setting:
    values, others = _objectives(shared), _objectives(best)
    pairs = np.array([value - others[seed] for seed, value in values.items() if seed in others])
    difference, error = (np.nan, np.nan) if len(pairs) < len(others) else (float(pairs.mean()), _error(pairs))
    return Setting(group, shared, _mean(shared), _error(np.array([*values.values()])), difference, error)


def _objectives(rows: Sequence[Row]) -> Mapping[tuple[str, ...], float]:
    return {_seed(row): float(row.objective) for row in rows if row.objective is not None}


def _mean(rows: Sequence[Row]) -> float:
    return float(np.mean([row.objective for row in rows]))


def _error(values: np.ndarray) -> float:
    """sd / sqrt(n) of values (n,)."""
    if len(values) < 2 or not np.isfinite(values).all():
        return math.nan
    return float(values.std(ddof=1) / np.sqrt(len(values)))
