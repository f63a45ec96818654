"""One key of a search space: what Optuna is asked for, and all of its values, if they have an end."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, isfinite, ulp
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, IntervalSweep, Override, RangeSweep
from hydra.errors import HydraException
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import Trial

from hydra_members.search.override_values import choices


def decimal(value: float) -> Fraction:
    """The number that was typed, where `value` is the float next to it."""
    return Fraction(repr(value))


class Steps:
    """start + k step for k < count, each rounded to a float once."""

    def __init__(self, start: float, step: float, count: int) -> None:
        self.start, self.step, self.count = decimal(start), decimal(step), count

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[float]:
        return map(self.at, range(self.count))

    def at(self, k: int) -> float:
        return float(self.start + k * self.step)

    def nearest(self, value: float) -> float:
        k = round((Fraction(value) - self.start) / self.step)
        return self.at(min(max(k, 0), self.count - 1))

    def ends(self) -> tuple[float, float]:
        one, other = self.at(0), self.at(self.count - 1)
        return min(one, other), max(one, other)

    def are_apart(self) -> bool:
        """Whether Optuna, which is told the ends and the step as floats, can count from one end to the other."""
        if self.count == 1:
            return True
        low, high = self.ends()
        last = self.start + (self.count - 1) * self.step
        return decimal(self.at(self.count - 1)) == last and abs(self.step) > ulp(max(-low, high))


MOST_CHOICES = 10_000


@dataclass(frozen=True)
class Parameter:
    name: str  # as typed: with the + of +key=...
    distribution: BaseDistribution
    values: Iterable[Any] | None = None  # in the order given
    shuffled: bool = False

    @property
    def key(self) -> str:
        return self.name.lstrip("+")

    def suggest(self, trial: Trial) -> Any:
        asked: Any = self.distribution
        if isinstance(asked, CategoricalDistribution):
            return self.exact(trial.suggest_categorical(self.name, asked.choices))
        suggest = trial.suggest_int if isinstance(asked, IntDistribution) else trial.suggest_float
        return self.exact(suggest(self.name, asked.low, asked.high, step=asked.step, log=asked.log))

    def exact(self, value: Any) -> Any:
        """`value` without what Optuna's arithmetic did to it."""
        if isinstance(self.values, Steps):
            return self.values.nearest(value)
        return float(value) if isinstance(self.distribution, FloatDistribution) else value


def parameter(override: Override, what: str) -> Parameter:
    """`what` is how errors call the override."""
    name, sweep = override.get_key_element(), override.value()
    if isinstance(sweep, RangeSweep):
        return _range(name, sweep, what)
    if isinstance(sweep, IntervalSweep):
        return _interval(name, sweep.start, sweep.end, "log" in sweep.tags, what)
    if isinstance(sweep, ChoiceSweep):
        return _categorical(name, sweep.list, what, sweep.shuffle)
    if override.is_sweep_override():
        options = list(override.sweep_iterator())
        if not options:
            raise HydraException(f"{what} matches no option of the config group {override.key_or_group}.")
        return _categorical(name, options, what)
    if isinstance(sweep, (int, float)) and not isinstance(sweep, bool) and isfinite(sweep):
        return _interval(name, sweep, sweep, False, what)
    return _categorical(name, [sweep], what)


def described(name: str, config: Mapping[str, Any], what: str) -> Parameter:
    """From {type, low, high, step, log, choices}, of which hydra.sweeper.search_space consisted before Hydra 1.2."""
    kind = getattr(config.get("type"), "name", config.get("type"))
    low, high, step, log = (config.get(key) for key in ("low", "high", "step", "log"))
    if kind == "categorical" and config.get("choices"):
        return _categorical(name, config["choices"], what)
    try:
        number = {"int": int, "float": float}[str(kind)]
        low, high, step = number(low), number(high), None if step is None else number(step)
    except (KeyError, TypeError, ValueError):
        raise HydraException(
            f"{what} needs type: int or float with numbers low and high, or type: categorical with choices."
        ) from None
    if log or (step is None and kind == "float"):
        return _interval(name, low, high, bool(log), what)
    step = 1 if step is None else step
    _check(low, high, step, what)
    return _steps(name, low, step, floor((decimal(high) - decimal(low)) / decimal(step)) + 1, what)


def _categorical(name: str, values: list[Any], what: str, shuffled: bool = False) -> Parameter:
    if any(isinstance(value, (ChoiceSweep, RangeSweep, IntervalSweep)) for value in values):
        raise HydraException(f"{what} has a sweep inside a sweep: write out the values of the inner one.")
    kept = choices(values)
    return Parameter(name, CategoricalDistribution(kept), kept, shuffled)


def _interval(name: str, low: Any, high: Any, log: bool, what: str) -> Parameter:
    """Of whole numbers only where int(...) says so: interval(1, 5) is 1.0 to 5.0 to Hydra."""
    if not (isfinite(low) and isfinite(high) and low <= high):
        raise HydraException(f"{what}: an interval ends at a finite number not below its start, not at {high} ({low}).")
    whole = isinstance(low, int) and isinstance(high, int)
    if log and low <= 0:
        raise HydraException(
            f"{what}: on a log scale the lower end is {'1 or more' if whole else 'above 0'}, not {low}."
        )
    if whole:
        return Parameter(name, IntDistribution(low, high, log=log), range(low, high + 1))
    return Parameter(name, FloatDistribution(low, high, log=log), [float(low)] if low == high else None)


def _range(name: str, sweep: RangeSweep, what: str) -> Parameter:
    start, stop, step = sweep.start, sweep.stop, sweep.step
    assert start is not None
    assert stop is not None
    _check(start, stop, step, what)
    if not all(isinstance(number, int) for number in (start, stop, step)):
        start = float(start)
    count = ceil((decimal(stop) - decimal(start)) / decimal(step))
    found = _steps(name, start, step, count, what)
    if sweep.shuffle:
        return _listed(found, count, what, shuffled=True)
    if "log" not in sweep.tags:
        return found
    if not isinstance(start, int) or step != 1:
        raise HydraException(f"{what}: on a log scale a range has whole numbers and the step 1; or take an interval.")
    return _interval(name, start, int(stop) - 1, True, what)


def _check(start: float, stop: float, step: float, what: str) -> None:
    if not all(map(isfinite, (start, stop, step))) or step == 0:
        raise HydraException(f"{what}: a range has finite ends and a step other than 0, not {step}.")


def _steps(name: str, start: float, step: float, count: int, what: str) -> Parameter:
    """Of whole numbers if `start` is an int."""
    if count <= 0:
        raise HydraException(f"{what} has no values: its stop lies beyond its start, in the direction of the step.")
    if isinstance(start, int):
        whole = range(start, start + count * int(step), int(step))
        low, high = sorted((whole[0], whole[-1]))
        return Parameter(name, IntDistribution(low, high, step=abs(whole.step)), whole)
    steps = Steps(start, step, count)
    if not steps.are_apart():
        return _listed(Parameter(name, FloatDistribution(*steps.ends()), steps), count, what)
    return Parameter(name, FloatDistribution(*steps.ends(), step=float(abs(step))), steps)


def _listed(found: Parameter, count: int, what: str, shuffled: bool = False) -> Parameter:
    if count > MOST_CHOICES:
        raise HydraException(f"{what} is a choice of {count} values; {MOST_CHOICES} are the most.")
    assert found.values is not None
    return _categorical(found.name, list(found.values), what, shuffled)
