"""The search space of a sweep, read from overrides in Hydra's grammar.

    a,b  choice(a,b)         one of them                 shuffle(...)               the same; a grid in another order
    range(0,10,3)            0, 3, 6 or 9                glob(*)                    an option of the config group
    interval(0,1)            a real number               int(interval(1,8))         a whole number, 8 included
    tag(log,interval(1,9))   evenly on a log scale       tag(log,range(1,9))        a whole number, 9 excluded

A later override of a key replaces an earlier one, whether they search it or set it. Keys of hydra.sweeper.conditional
are searched only where other keys have certain values."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
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

from hydra_members.search.override_values import meaning, text
from hydra_members.search.parameter import Parameter, described, parameter


@dataclass(frozen=True)
class Condition:
    """Each key has one of its values, compared as Hydra reads them."""

    when: Mapping[str, Sequence[Any]]

    def holds(self, values: Mapping[str, Any]) -> bool:
        return all(key in values and _is_among(meaning(values[key]), self.when[key]) for key in self.when)

    def digest(self) -> list[Any]:
        return sorted([key, sorted(map(repr, values))] for key, values in self.when.items())


ALWAYS = Condition({})


def read_blocks(
    conditional: Sequence[Mapping[str, Any]], known: Collection[str], parser: OverridesParser
) -> list[tuple[Condition, list[Parameter]]]:
    """`known`: keys that a block may depend on; those of the blocks before it come to them."""
    blocks: list[tuple[Condition, list[Parameter]]] = []
    known = set(known)
    for index, block in enumerate(conditional):
        what = f"hydra.sweeper.conditional[{index}]"
        when, params = _parts(block, what)
        if missing := [key for key in when if key.lstrip("+") not in known]:
            raise HydraException(
                f"{what}: when names {', '.join(missing)}, which must be searched, or set by an override, before."
            )
        condition = Condition({key.lstrip("+"): _values(key, value, what) for key, value in when.items()})
        keys = [_read(key, value, parser, what) for key, value in params.items()]
        blocks.append((condition, keys))
        known |= {each.key for each in keys}
    return blocks


def _is_among(value: Any, wanted: Sequence[Any]) -> bool:
    return any(value == other and isinstance(value, bool) == isinstance(other, bool) for other in wanted)


def _parts(block: Any, what: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    if not isinstance(block, Mapping) or set(block) != {"when", "params"}:
        given = ", ".join(map(str, block)) if isinstance(block, Mapping) else repr(block)
        raise HydraException(f"{what} has {given or 'nothing'}; it must have the keys when and params.")
    for name, example in (("when", "optimizer: sgd"), ("params", '"optimizer.momentum": interval(0,1)')):
        if not isinstance(block[name], Mapping) or not block[name]:
            raise HydraException(f"{what}.{name}={block[name]!r} must map keys to values, as {{{example}}} does.")
    when, params = ({str(key): value for key, value in block[name].items()} for name in ("when", "params"))
    return when, params


def _values(key: str, value: Any, what: str) -> list[Any]:
    values = value if isinstance(value, list) else [value]
    if not values or any(isinstance(each, (list, dict)) for each in values):
        raise HydraException(f"{what}: when.{key}={value!r} must be a value, or a list of values any of which will do.")
    return list(map(meaning, values))


def _read(key: str, value: Any, parser: OverridesParser, what: str) -> Parameter:
    if isinstance(value, (list, dict)):
        raise HydraException(f"{what}: params.{key}={value!r} must be text, as choice(...) or interval(...).")
    line = f"{key}={value if isinstance(value, str) else text(value)}"
    try:
        override = parser.parse_overrides([line])[0]
        if override.is_delete():
            raise HydraException(f"'{line}' deletes a key; a condition is for keys that are searched.")
        return parameter(override, f"'{line}'")
    except HydraException as error:
        raise HydraException(f"{what}: {error}") from error


MOST_POINTS = 1_000_000


@dataclass(frozen=True)
class Space:
    fixed: list[str]  # overrides that every job gets, as they were typed
    given: dict[str, Any]  # what they set
    parameters: list[tuple[Condition, Parameter]]

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
        found = [(ALWAYS, entry) for entry in entries.values() if isinstance(entry, Parameter)]
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
        return any(each.shuffled for _, each in self.parameters)

    @property
    def is_conditional(self) -> bool:
        return any(condition.when for condition, _ in self.parameters)

    def distributions(self) -> dict[str, BaseDistribution]:
        """Of a name that several conditions search, the first one's."""
        found: dict[str, BaseDistribution] = {}
        for _, each in self.parameters:
            found.setdefault(each.name, each.distribution)
        return found

    def suggest(self, trial: Trial) -> None:
        """Where several conditions for a name hold, the first decides."""
        for _ in self._active(lambda each: each.suggest(trial)):
            pass

    def exact(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """As the jobs get them: 0.3, not 0.30000000000000004. There may be names that are not searched here: those of
        hydra.sweeper.custom_search_space."""

        def value_of(each: Parameter) -> Any:
            return each.exact(params[each.name]) if each.name in params else None

        exact = {each.name: value for each, value in self._active(value_of) if each.name in params}
        return exact | dict(params) | exact

    def overrides(self, params: Mapping[str, Any]) -> list[str]:
        return [f"{name}={text(value)}" for name, value in self.exact(params).items()]

    def is_finite(self) -> bool:
        return all(each.values is not None for _, each in self.parameters)

    def points(self) -> list[dict[str, Any]]:
        """Every combination, in the order in which Hydra counts: the last key changes fastest."""
        points: list[dict[str, Any]] = [{}]
        for condition, each in self.parameters:
            points = list(islice(self._grown(points, condition, each), MOST_POINTS + 1))
            if len(points) > MOST_POINTS:
                raise HydraException(f"The grid has more than {MOST_POINTS} points with {each.name}; try fewer values.")
        return points

    def digest_source(self) -> Any:
        return {
            "fixed": sorted(self.fixed),
            "searched": [
                [each.name, distribution_to_json(each.distribution), _first(each), each.shuffled, condition.digest()]
                for condition, each in self.parameters
            ],
        }

    def _active(self, value_of: Callable[[Parameter], Any]) -> Iterator[tuple[Parameter, Any]]:
        values = dict(self.given)
        for condition, each in self.parameters:
            if each.key not in values and condition.holds(values):
                values[each.key] = value_of(each)
                yield each, values[each.key]

    def _grown(
        self, points: Iterable[dict[str, Any]], condition: Condition, each: Parameter
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


def _entries(search_space: Mapping[Any, Any], overrides: Iterable[Override]) -> dict[str, Override | Parameter]:
    """The last for each key, where the first stood. A deletion is kept beside +key=..., which may need it."""
    entries: dict[str, Override | Parameter] = {}
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
        entries[key] = parameter(override, f"'{override.input_line}'") if is_searched else override
    return entries


def _check_beside(found: Sequence[tuple[Condition, Parameter]], each: Parameter, what: str) -> None:
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


def _first(each: Parameter) -> str | None:
    """Tells range(0,9) from the same numbers counted down."""
    return None if each.values is None else text(next(iter(each.values)))


def _plain(node: Any) -> Any:
    return OmegaConf.to_container(node, resolve=True) if OmegaConf.is_config(node) else node
