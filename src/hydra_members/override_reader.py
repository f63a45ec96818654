"""Overrides in Hydra's grammar, each text parsed once."""

import re
from dataclasses import dataclass
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override, OverrideType, ValueType

KEPT_LINES = 100_000  # 50 MB at the most

_WORD = r"[A-Za-z_][A-Za-z0-9_]*"
_WHOLE = r"(?:0|[1-9][0-9]*)"
_INT = rf"[+-]?{_WHOLE}"
_POINT = rf"{_WHOLE}\.[0-9]*|\.[0-9]+"
_FLOAT = rf"[+-]?(?:(?:{_POINT})(?:[eE][+-]?[0-9]+)?|{_WHOLE}[eE][+-]?[0-9]+)"
_NUMBER = re.compile(rf"({_WORD}(?:\.{_WORD})*)=(?:({_INT})|({_FLOAT}))")


class OverrideReader:
    def __init__(self) -> None:
        self._parser = OverridesParser.create()
        self._read: dict[str, Override] = {}

    def read(self, text: str) -> Override:
        override = self._read.get(text)
        if override is None:
            if len(self._read) >= KEPT_LINES:
                self._read.clear()
            override = self._read[text] = parse_number(text) or self._parser.parse_overrides([text])[0]
        return override


def parse_number(text: str) -> Override | None:
    """The override `key=number`, or None if `text` is, or may be, anything else."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    key, whole, real = match.groups()
    return Override(
        type=OverrideType.CHANGE,
        key_or_group=key,
        value_type=ValueType.ELEMENT,
        _value=int(whole) if whole is not None else float(real),
        input_line=text,
    )


@dataclass(frozen=True)
class Line:
    """One override of a job."""

    override: Override
    is_group: bool  # it chooses an option and sets no value
    moves: bool  # only its value may differ between the jobs of one working copy


def is_plain(override: Override) -> bool:
    """key=value, where the value is a primitive or a list of primitives that mean themselves."""
    key, text = override.key_or_group, str(override.input_line)
    if override.type is not OverrideType.CHANGE or override.is_sweep_override() or override.package is not None:
        return False
    if not key or key == "hydra" or override.is_hydra_override() or "${" in text:
        return False
    value = override.value()
    return all(map(_is_primitive, value)) if isinstance(value, list) else _is_primitive(value)


def _is_primitive(value: Any) -> bool:
    return value is None or (isinstance(value, (bool, int, float, str)) and value != "???")
