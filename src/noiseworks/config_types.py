"""Whether the values of a configuration have the types that its target's signature declares."""

from __future__ import annotations

import inspect
import re
from typing import Any

from hydra.utils import get_object

from noiseworks.errors import UserError

KINDS: dict[str, tuple[type, str]] = {
    "int": (int, "a whole number"),
    "float": (float, "a number"),
    "bool": (bool, "true or false"),
    "str": (str, "text"),
    "list": (list, "a list like [a,b]"),
    "None": (type(None), "null"),
}


def check_types(node: dict[str, Any], path: str) -> None:
    """Refuse a key that the signature does not have, and a value whose type it excludes.

    Numbers, booleans, text, lists and null are judged. A number where text is wanted becomes text: a column named 2020
    arrives as a number.
    """
    parameters = inspect.signature(get_object(node["_target_"])).parameters
    settings = [key for key in node if not key.startswith("_")]
    for key in settings:
        value = node[key]
        if key not in parameters:
            known = ", ".join(other for other in settings if other in parameters)
            raise UserError(f"The key {path}.{key} is unknown; {path} has {known}.")
        if isinstance(value, dict) and "_target_" in value:
            check_types(value, f"{path}.{key}")
        elif not isinstance(value, dict):
            names = _names(parameters[key].annotation)
            if "str" in names and type(value) in (int, float) and not {"int", "float"} & set(names):
                node[key] = str(value)
            elif names and not _fits(value, {KINDS[name][0] for name in names}):
                shown = "null" if value is None else value
                expected = " or ".join(KINDS[name][1] for name in names)
                raise UserError(f"{path}.{key}={shown} is not possible; it must be {expected}.")


def _names(annotation: Any) -> list[str]:
    """The simple types in an annotation such as `int | None`; none if it is of another kind."""
    text = annotation.__name__ if isinstance(annotation, type) else str(annotation)
    text = re.sub(r"(collections\.abc\.)?Sequence\[\w+\]", "list", text)
    parts = text.replace("Scale", "float | None").replace("typing.", "").split("|")
    return [part.strip() for part in parts if part.strip() in KINDS]


def _fits(value: Any, kinds: set[type]) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return int in kinds or float in kinds
    return type(value) in kinds
