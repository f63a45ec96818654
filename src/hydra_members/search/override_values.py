"""A value and its text in an override, both ways, as Hydra's grammar has it.

Optuna's choices are None, bool, int, float or str. A str among them is the text of what it stands for, wherever Hydra
reads it as one value: "[1,2]" is a list, "'1'" the string 1. Any other str, "a, b" or "größer", stands for itself.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString, Transformer
from hydra.errors import HydraException

NOTHING: Final = object()  # not one value: a sweep, or text that Hydra cannot read

_PLAIN = re.compile(r"(?!(?:true|false|null|inf|nan)$)[a-z_][a-z0-9_/.-]*", re.IGNORECASE | re.ASCII)


@lru_cache(maxsize=100_000)
def read(text: str) -> Any:
    """What a job finds under `key` after key=text."""
    if _PLAIN.fullmatch(text):
        return text
    try:
        override = OverridesParser.create().parse_override(f"key={text}")
    except HydraException:
        return NOTHING
    return NOTHING if override.is_sweep_override() else override.value()


def meaning(value: Any) -> Any:
    """The same for all ways to write a value: true for "True", 1 for "1" and for "'1'"."""
    while isinstance(value, str):
        understood = read(value)
        if understood is NOTHING or understood == value:
            break
        value = understood
    return value


def choice(value: Any) -> Any:
    """`value`, as Hydra's parser hands it over, in the form that Optuna keeps."""
    if isinstance(value, QuotedString):
        value = value.text
    if isinstance(value, str):
        return value if read(value) in (NOTHING, value) else _quoted(value)
    return _literal(value) if isinstance(value, (list, dict)) else value


def choices(values: Iterable[Any]) -> list[Any]:
    """No two of them are equal: 1, 1.0 and true, which Optuna would confuse, become 1, "1.0" and "true"."""
    kept: dict[str, Any] = {}
    for form in map(choice, values):
        written = text(form)
        if written not in kept:
            kept[written] = written if form in kept.values() else form
    return list(kept.values())


def text(value: Any) -> str:
    """What to write behind "key=", so that a job gets what `value`, one of Optuna's, stands for."""
    if isinstance(value, str):
        return value if read(value) is not NOTHING else _quoted(value)
    return _literal(value)


def _quoted(value: str) -> str:
    return QuotedString(text=value, quote=Quote.single).with_quotes()


def _literal(value: Any) -> str:
    if isinstance(value, QuotedString):
        value = value.text
    if isinstance(value, str):
        return value if _PLAIN.fullmatch(value) else _quoted(value)
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return float.__repr__(value)
    if isinstance(value, list):
        return f"[{','.join(map(_literal, value))}]"
    if isinstance(value, dict):
        return f"{{{','.join(f'{Transformer.str(key)}:{_literal(item)}' for key, item in value.items())}}}"
    raise HydraException(f"{value!r} is a {type(value).__name__}, which has no text in an override.")
