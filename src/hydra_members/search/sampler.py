"""The sampler of a study, seeded so that a study that is continued does not draw the same again."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from hydra.errors import HydraException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from hydra_members.search.slot_samplers import GridBySlot, QMCBySlot, RandomBySlot
from hydra_members.search.space import Space

LEFT_TO_OPTUNA = ("constraints_func", "mutation", "multivariate", "warn_independent_sampling", "reference_points")


class SamplerChoice:
    """`hydra.sweeper.sampler`. Random, QMC and grid sampling draw a trial from its slot alone, whatever has happened
    before; the others learn from the trials before it, and are Optuna's."""

    def __init__(self, node: Any, space: Space, custom: bool) -> None:
        self.node, self.space = node, space
        self.name = _name(node)
        finite = self.name == "GridSampler" or (self.name == "BruteForceSampler" and not custom and space.is_finite())
        self.points = space.points() if finite else None
        self.by_slot = self.points is not None or self.name in ("RandomSampler", "QMCSampler")

    @property
    def most(self) -> int | None:
        """How many trials there are at most."""
        return None if self.points is None else len(self.points)

    @property
    def settings(self) -> dict[str, Any]:
        plain: Any = OmegaConf.to_container(self.node) if isinstance(self.node, DictConfig) else {}
        return plain

    @property
    def seed(self) -> int | None:
        return self.settings.get("seed")

    def make(self, seed: int, slot_of: Callable[[FrozenTrial], int]) -> BaseSampler:
        """`seed`: of the study, if it is drawn by slot; else of this process."""
        if self.points is not None:
            return GridBySlot(self._ordered(self.points, seed), slot_of)
        if self.name == "RandomSampler":
            return RandomBySlot(seed, slot_of)
        if self.name == "QMCSampler":
            kind, scramble = self.settings.get("qmc_type", "sobol"), self.settings.get("scramble", False)
            return QMCBySlot(seed, slot_of, self.space.distributions(), kind, scramble)
        if not isinstance(self.node, DictConfig):
            return self.node
        return self._instantiate(seed)

    def _ordered(self, points: list[dict[str, Any]], seed: int) -> list[dict[str, Any]]:
        """As Hydra counts, the last key fastest, unless a seed or a shuffle(...) asks for another order."""
        if self.seed is None and not self.space.shuffled:
            return points
        return [points[i] for i in np.random.default_rng(seed).permutation(len(points))]

    def _instantiate(self, seed: int) -> BaseSampler:
        settings = self.settings
        settings = {key: value for key, value in settings.items() if value is not None or key not in LEFT_TO_OPTUNA}
        if self.name == "TPESampler":
            settings = _of_today(settings)
            if settings.get("group") is None:  # keys that are in some trials only would not be modelled jointly
                settings["group"] = self.space.is_conditional and settings.get("multivariate") is not False
        if "reference_points" in settings:
            settings["reference_points"] = np.asarray(settings["reference_points"], dtype=float)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ExperimentalWarning)  # TPE's group, the GP sampler: ours to test
                return instantiate(settings | ({"seed": seed} if "seed" in settings else {}), _convert_="all")
        except Exception as error:
            reason = error.__cause__ or error
            raise HydraException(f"hydra.sweeper.sampler={self.name} cannot be made: {reason}") from error


def _of_today(settings: dict[str, Any]) -> dict[str, Any]:
    """Without the keys that Optuna 5 has given up, as far as they said what it does anyway."""
    gone = {"consider_prior": True, "prior_weight": 1.0, "consider_magic_clip": True, "consider_endpoints": False}
    gone |= {"warn_independent_sampling": True}
    gone = {key: was for key, was in gone.items() if settings.get(key) in (None, was)}
    return {key: value for key, value in settings.items() if key not in gone and key != "n_ehvi_candidates"}


def _name(node: Any) -> str:
    if isinstance(node, DictConfig):
        return str(node._target_).rpartition(".")[2]
    return type(node).__name__


def process_seed(seed: int, number: int) -> int:
    """For samplers that learn: that of a process whose first trial has this number."""
    return seed if number == 0 else int(np.random.SeedSequence([seed, number]).generate_state(1)[0])


def fresh_seed() -> int:
    return int(np.random.SeedSequence().generate_state(1)[0])
