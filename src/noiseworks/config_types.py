"""Whether the values of a configuration have the types that its target's signature declares."""

from __future__ import annotations

import inspect
from typing import Any

from hydra.utils import get_object

from noiseworks.errors import UserError

KINDS: dict[str, tuple[type, str]] = {
    "int": (int, "a whole number"),
    "float": (float, "a number"),
    "bool": (bool, "true or false"),
    "str": (str, "text"),
    "None": (type(None), "null"),
}


def check_types(node: dict[str, Any], path: str) -> None:
    """Refuse a value whose type the signature excludes. Only numbers, booleans, text and null are judged."""
    parameters = inspect.signature(get_object(node["_target_"])).parameters
    for key, value in node.items():
        if isinstance(value, dict) and "_target_" in value:
            check_types(value, f"{path}.{key}")
        elif key in parameters and not isinstance(value, (dict, list)):
            names = _names(parameters[key].annotation)
            if names and not _fits(value, {KINDS[name][0] for name in names}):
                shown = "null" if value is None else value
                expected = " or ".join(KINDS[name][1] for name in names)
                raise UserError(f"{path}.{key}={shown} is not possible; it must be {expected}.")


def _names(annotation: Any) -> list[str]:
    """The simple types in an annotation such as `int | None`; none if it is of another kind."""
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))
    if not isinstance(annotation, (str, type)):
        text = str(annotation)
    parts = text.replace("Scale", "float | None").replace("typing.", "").split("|")
    return [part.strip() for part in parts if part.strip() in KINDS]


def _fits(value: Any, kinds: set[type]) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return int in kinds or float in kinds
    return type(value) in kinds
