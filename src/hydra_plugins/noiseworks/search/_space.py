"""The search space of a sweep, read from overrides in Hydra's grammar.

    a,b  choice(a,b)         one of them                 shuffle(...)               the same; a grid in another order
    range(0,10,3)            0, 3, 6 or 9                glob(*)                    an option of the config group
    interval(0,1)            a real number               int(interval(1,8))         a whole number, 8 included
    tag(log,interval(1,9))   evenly on a log scale       tag(log,range(1,9))        a whole number, 9 excluded

A later override of a key replaces an earlier one, whether they search it or set it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import OmegaConf
from optuna.distributions import BaseDistribution, check_distribution_compatibility, distribution_to_json
from optuna.trial import Trial

from hydra_plugins.noiseworks.search._conditions import ALWAYS, Condition, read_blocks
from hydra_plugins.noiseworks.search._override_values import text
from hydra_plugins.noiseworks.search._searched import Searched, described, searched

MOST_POINTS = 1_000_000


@dataclass(frozen=True)
class Space:
    fixed: list[str]  # overrides that every job gets, as they were typed
    given: dict[str, Any]  # what they set
    searched: list[tuple[Condition, Searched]]

    @classmethod
    def read(
        cls,
        lines: Sequence[str],
        conditional: Sequence[Mapping[str, Any]] = (),
        search_space: Mapping[str, Any] | None = None,
        config_loader: ConfigLoader | None = None,
    ) -> "Space":
        parser = OverridesParser.create(config_loader=config_loader)
        entries = _entries(_plain(search_space) or {}, parser.parse_overrides(list(lines)))
        given = {key: entry.value() for key, entry in entries.items() if isinstance(entry, Override)}
        found = [(ALWAYS, entry) for entry in entries.values() if isinstance(entry, Searched)]
        for index, (condition, keys) in enumerate(read_blocks(_plain(conditional) or (), list(entries), parser)):
            for each in keys:
                if each.key not in given and f"~{each.key}" not in given:
                    _check_beside(found, each, f"hydra.sweeper.conditional[{index}]")
                    found.append((condition, each))
        fixed = [str(entry.input_line) for entry in entries.values() if isinstance(entry, Override)]
        return cls(fixed, given, found)

    @property
    def names(self) -> list[str]:
        return list(self.distributions())

    @property
    def shuffled(self) -> bool:
        return any(each.shuffled for _, each in self.searched)

    @property
    def is_conditional(self) -> bool:
        return any(condition.when for condition, _ in self.searched)

    def distributions(self) -> dict[str, BaseDistribution]:
        """Of a name that several conditions search, the first one's."""
        found: dict[str, BaseDistribution] = {}
        for _, each in self.searched:
            found.setdefault(each.name, each.distribution)
        return found

    def suggest(self, trial: Trial) -> None:
        """Where several conditions for a name hold, the first decides."""
        for _ in self._active(lambda each: each.suggest(trial)):
            pass

    def exact(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """As the jobs get them: 0.3, not 0.30000000000000004. There may be names that are not searched here: those of
        hydra.sweeper.custom_search_space."""

        def value_of(each: Searched) -> Any:
            return each.exact(params[each.name]) if each.name in params else None

        exact = {each.name: value for each, value in self._active(value_of) if each.name in params}
        return exact | dict(params) | exact

    def overrides(self, params: Mapping[str, Any]) -> list[str]:
        return [f"{name}={text(value)}" for name, value in self.exact(params).items()]

    def is_finite(self) -> bool:
        return all(each.values is not None for _, each in self.searched)

    def points(self) -> list[dict[str, Any]]:
        """Every combination, in the order in which Hydra counts: the last key changes fastest."""
        points: list[dict[str, Any]] = [{}]
        for condition, each in self.searched:
            points = list(islice(self._grown(points, condition, each), MOST_POINTS + 1))
            if len(points) > MOST_POINTS:
                raise HydraException(f"The grid has more than {MOST_POINTS} points with {each.name}; try fewer values.")
        return points

    def digest_source(self) -> Any:
        return {
            "fixed": sorted(self.fixed),
            "searched": [
                [each.name, distribution_to_json(each.distribution), _first(each), each.shuffled, condition.digest()]
                for condition, each in self.searched
            ],
        }

    def _active(self, value_of: Callable[[Searched], Any]) -> Iterator[tuple[Searched, Any]]:
        values = dict(self.given)
        for condition, each in self.searched:
            if each.key not in values and condition.holds(values):
                values[each.key] = value_of(each)
                yield each, values[each.key]

    def _grown(
        self, points: Iterable[dict[str, Any]], condition: Condition, each: Searched
    ) -> Iterator[dict[str, Any]]:
        for point in points:
            if each.name in point or not condition.holds(self.given | {k.lstrip("+"): v for k, v in point.items()}):
                yield point
                continue
            if each.values is None:
                raise HydraException(
                    f"{each.name} is searched in an interval, which has no end of values to try;"
                    f" name the values, as choice(...) or range(...), or take another sampler."
                )
            yield from ({**point, each.name: value} for value in each.values)


def _entries(search_space: Mapping[Any, Any], overrides: Iterable[Override]) -> dict[str, Override | Searched]:
    """The last for each key, where the first stood. A deletion is kept beside +key=..., which may need it."""
    entries: dict[str, Override | Searched] = {}
    for name, config in search_space.items():
        found = described(str(name), config, f"hydra.sweeper.search_space.{name}")
        entries[found.key] = found
    for override in overrides:
        key = override.get_key_element().lstrip("+")
        if override.is_delete():
            entries.pop(key.removeprefix("~"), None)
        elif not override.is_add():
            entries.pop(f"~{key}", None)
        is_searched = override.is_sweep_override() and not override.is_delete()
        entries[key] = searched(override, f"'{override.input_line}'") if is_searched else override
    return entries


def _check_beside(found: Sequence[tuple[Condition, Searched]], each: Searched, what: str) -> None:
    for condition, other in found:
        if other.key == each.key and not condition.when:
            raise HydraException(f"{what}: {each.name} is searched without a condition as well; leave one of the two.")
        if other.name == each.name:
            try:
                check_distribution_compatibility(other.distribution, each.distribution)
            except ValueError as error:
                raise HydraException(
                    f"{what}: {each.name} is a {each.distribution} here and a {other.distribution} above;"
                    f" Optuna knows a name by one kind of values, one scale and one list of choices."
                ) from error


def _first(each: Searched) -> str | None:
    """Tells range(0,9) from the same numbers counted down."""
    return None if each.values is None else text(next(iter(each.values)))


def _plain(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
