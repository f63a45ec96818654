"""One file of experiments/: what to run, and what to conclude from it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType

from noiseworks.config.experiment import configuration, exercise_files, load
from noiseworks.errors import UserError
from noiseworks.studies.claims import Claim
from noiseworks.studies.figures import Figure
from noiseworks.studies.runs import Runs


@dataclass(frozen=True)
class Exercise:
    """A file of experiments/. It says EXPERIMENTS (the name of each -> the overrides that make it small, for SMOKE=1),
    claims(runs) and figures(runs); ALONE = True if what it measures is time; ARGUMENTS, of each experiment that needs
    some, what has to be typed beside its name. The page's text stands beside it in Markdown."""

    path: Path

    @property
    def number(self) -> str:
        """5 of ex5_laplace, T4 of t4_batches."""
        return self.path.stem.partition("_")[0].removeprefix("ex").upper()

    @property
    def name(self) -> str:
        return self.path.stem

    @cached_property
    def module(self) -> ModuleType:
        return load(self.path)

    @property
    def experiments(self) -> Mapping[str, Sequence[str]]:
        return dict(self.module.EXPERIMENTS)

    @property
    def alone(self) -> bool:
        return bool(getattr(self.module, "ALONE", False))

    @property
    def text(self) -> str:
        return self.path.with_suffix(".md").read_text()

    def overrides(self, smoke: bool, seed: int | None) -> dict[str, list[str]]:
        """experiment -> what is typed beside its name."""
        return {
            name: [*(small if smoke else ()), *([] if seed is None else _fresh(name, seed))]
            for name, small in self.experiments.items()
        }

    def claims(self, runs: Runs) -> list[Claim]:
        found: Iterable[Claim] = self.module.claims(runs)
        return list(found)

    def figures(self, runs: Runs) -> list[Figure]:
        found: Iterable[Figure] = self.module.figures(runs)
        return list(found)


def _fresh(experiment: str, seed: int) -> list[str]:
    """Overrides by which everything is drawn anew; an experiment that sweeps seeds sweeps as many others."""
    own = (configuration(experiment) or {}).get("hydra", {}).get("sweeper", {}).get("params", {}).get("seed")
    if own is None:
        return [f"seed={seed}"]
    first, end = (1000 * seed + int(number) for number in re.findall(r"\d+", own))
    return [f"seed=range({first},{end})", f"data.seed={seed}"]


def exercises(only: Sequence[str] = ()) -> list[Exercise]:
    """All exercises in the order of the chapter, or those of these numbers."""
    known = [Exercise(path) for path in exercise_files()]
    wanted = [number.upper().removeprefix("EX") for number in only]
    if unknown := [number for number in wanted if number not in {exercise.number for exercise in known}]:
        numbers = ", ".join(exercise.number for exercise in known)
        raise UserError(f"EX={unknown[0]} is no exercise; there are {numbers}.")
    return [exercise for exercise in known if not wanted or exercise.number in wanted]
