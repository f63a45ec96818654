"""hydra.sweeper.conditional: keys that are searched only where other keys have certain values."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from hydra_plugins.noiseworks.search._override_values import meaning, text
from hydra_plugins.noiseworks.search._searched import Searched, searched


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
) -> list[tuple[Condition, list[Searched]]]:
    """`known`: keys that a block may depend on; those of the blocks before it come to them."""
    blocks: list[tuple[Condition, list[Searched]]] = []
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


def _read(key: str, value: Any, parser: OverridesParser, what: str) -> Searched:
    if isinstance(value, (list, dict)):
        raise HydraException(f"{what}: params.{key}={value!r} must be text, as choice(...) or interval(...).")
    line = f"{key}={value if isinstance(value, str) else text(value)}"
    try:
        override = parser.parse_overrides([line])[0]
        if override.is_delete():
            raise HydraException(f"'{line}' deletes a key; a condition is for keys that are searched.")
        return searched(override, f"'{line}'")
    except HydraException as error:
        raise HydraException(f"{what}: {error}") from error
