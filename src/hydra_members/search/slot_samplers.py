"""Samplers whose k-th point depends on k alone, whatever happened before.

A sweep that was killed goes on with the points that it would have had, and so does one of several processes. The number
k, the slot, is not the trial's number: a trial that is tried again keeps its slot.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

import numpy as np
from hydra.errors import HydraException
from optuna import Study
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial

from hydra_members.search.parameter import Steps

SlotOf = Callable[[FrozenTrial], int]

BLOCK = 1024  # points that are drawn at once: a power of two, as Sobol's sequence wants it
KEPT_BLOCKS = 64


class _BySlot(BaseSampler):
    def __init__(self, slot_of: SlotOf) -> None:
        self.slot_of = slot_of

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return {}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        return {}

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        return self.value(self.slot_of(trial), param_name, param_distribution)

    def value(self, slot: int, name: str, distribution: BaseDistribution) -> Any:
        raise NotImplementedError


class RandomBySlot(_BySlot):
    def __init__(self, seed: int, slot_of: SlotOf) -> None:
        super().__init__(slot_of)
        self.seed = seed

    def value(self, slot: int, name: str, distribution: BaseDistribution) -> Any:
        return at(uniform(self.seed, slot, name), distribution)


class QMCBySlot(_BySlot):
    """Slot k is the k-th point of scipy's Sobol or Halton sequence, one coordinate a name; names that are not in
    `distributions`, which hydra.sweeper.custom_search_space may ask for, are random."""

    def __init__(
        self,
        seed: int,
        slot_of: SlotOf,
        distributions: Mapping[str, BaseDistribution],
        qmc_type: str = "sobol",
        scramble: bool = False,
    ) -> None:
        super().__init__(slot_of)
        if qmc_type not in ("sobol", "halton"):
            raise HydraException(f"hydra.sweeper.sampler.qmc_type={qmc_type} is unknown; it must be sobol or halton.")
        self.seed, self.qmc_type, self.scramble = seed, qmc_type, scramble
        self.coordinate = {name: index for index, name in enumerate(distributions)}
        self._blocks: dict[int, np.ndarray] = {}

    def value(self, slot: int, name: str, distribution: BaseDistribution) -> Any:
        if name not in self.coordinate:
            return at(uniform(self.seed, slot, name), distribution)
        return at(float(self._point(slot)[self.coordinate[name]]), distribution)

    def _point(self, slot: int) -> np.ndarray:
        number, row = divmod(slot, BLOCK)
        if number not in self._blocks:
            if len(self._blocks) >= KEPT_BLOCKS:
                del self._blocks[next(iter(self._blocks))]
            self._blocks[number] = self._draw(number * BLOCK)
        return self._blocks[number][row]

    def _draw(self, first: int) -> np.ndarray:
        from scipy.stats import qmc  # half a second

        kind = {"sobol": qmc.Sobol, "halton": qmc.Halton}[self.qmc_type]
        engine = kind(len(self.coordinate), scramble=self.scramble, seed=np.random.default_rng(self.seed))
        if first:
            engine.fast_forward(first)
        return np.asarray(engine.random(BLOCK))


class GridBySlot(_BySlot):
    def __init__(self, points: Sequence[Mapping[str, Any]], slot_of: SlotOf) -> None:
        super().__init__(slot_of)
        self.points = points

    def value(self, slot: int, name: str, distribution: BaseDistribution) -> Any:
        point = self.points[slot % len(self.points)]
        if name not in point:
            raise HydraException(
                f"The grid has no values for {name}; name them in hydra.sweeper.params, as {name}: choice(...),"
                f" or take another sampler."
            )
        return point[name]


def uniform(seed: int, slot: int, name: str) -> float:
    """One of the numbers k / 2^53 in [0, 1), by hashing: a generator costs ten times more to seed."""
    digest = blake2b(f"{seed} {slot} {name}".encode(), digest_size=8).digest()
    return (int.from_bytes(digest, "big") >> 11) / 2**53


def at(u: float, distribution: BaseDistribution) -> Any:
    """The value below which the distribution has the share u, 0 <= u < 1."""
    if isinstance(distribution, CategoricalDistribution):
        return distribution.choices[math.floor(u * len(distribution.choices))]
    if isinstance(distribution, IntDistribution):
        return _whole(u, distribution)
    assert isinstance(distribution, FloatDistribution)
    low, high = distribution.low, distribution.high
    if distribution.step is not None:
        steps = Steps(low, distribution.step, round((high - low) / distribution.step) + 1)
        return steps.at(math.floor(u * len(steps)))
    value = math.exp(_between(math.log(low), math.log(high), u)) if distribution.log else _between(low, high, u)
    return min(max(value, low), math.nextafter(high, low))  # an interval is open at its end


def _whole(u: float, distribution: IntDistribution) -> int:
    low, high, step = distribution.low, distribution.high, distribution.step
    if not distribution.log:
        return min(low + step * math.floor(u * ((high - low) // step + 1)), high)
    value = round(math.exp(_between(math.log(low - 0.5), math.log(high + 0.5), u)))
    return min(max(value, low), high)


def _between(low: float, high: float, u: float) -> float:
    return low * (1 - u) + high * u  # high - low may be more than the largest float
