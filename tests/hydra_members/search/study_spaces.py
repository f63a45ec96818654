"""Spaces as the jobs of a sweep see them."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from hydra.core.override_parser.overrides_parser import OverridesParser
from optuna.samplers import BaseSampler

from hydra_members.search.space import Space

PIECES = [
    *"abz019 ,:;=()[]{}'\"\\$~+-.@/*?!#%^&|<>\t\né√😀",
    *("true", "null", "nan", "inf", "1e-5", "${a}", "choice(", "int(3)"),
]


def hydras(line: str) -> Any:
    """What Hydra reads behind key= in a job's override."""
    override = OverridesParser.create().parse_override(line)
    assert not override.is_sweep_override(), line
    return override.value()


def jobs(space: Space, sampler: BaseSampler, n_trials: int) -> list[dict[str, Any]]:
    """What the jobs of a search find; the sum of their numbers is what it minimises."""
    study = optuna.create_study(sampler=sampler)
    found = []
    for _ in range(n_trials):
        trial = study.ask()
        space.suggest(trial)
        found.append({line.partition("=")[0]: hydras(line) for line in space.overrides(trial.params)})
        study.tell(trial, sum(value for value in found[-1].values() if isinstance(value, (int, float))))
    return found


def grid(*lines: str) -> list[Any]:
    """What the jobs of a grid over one key find."""
    space = Space.read(lines)
    return [hydras(space.overrides(point)[0]) for point in space.points()]


def points(lines: Sequence[str], *conditional: Mapping[str, Any]) -> list[dict[str, Any]]:
    return Space.read(lines, conditional).points()


def same(one: Any, other: Any) -> bool:
    return repr(one) == repr(other)  # types as well; nan is nan


def random_text(chance: random.Random) -> str:
    return "".join(chance.choices(PIECES, k=chance.randint(0, 6)))
