"""Groups of a configuration made into objects: values checked against the signature, equal groups made once."""

from __future__ import annotations

import dataclasses
import inspect
import re
from functools import partial
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate

from noiseworks.config.renames import with_current_targets
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


Scalar = (bool, int, float, str, type(None))


class Pieces:
    """Instantiates groups. A sweep has thousands of jobs whose groups differ in a number or two, and Hydra takes
    milliseconds for each: what is equal is made once, and what differs only in plain values is made from the first of
    its kind, through the constructor, which checks them again."""

    def __init__(self) -> None:
        self.made: dict[str, tuple[Any, dict[str, Any]]] = {}
        self.first: dict[str, Any] = {}

    def make(self, config: dict[str, Any], name: str) -> Any:
        """The piece; in `config[name]` stand afterwards the values as their types have made them."""
        node = config[name]
        key = f"{name}{node!r}"
        if key not in self.made:
            node = with_current_targets(node)
            check_types(node, name)
            self.made[key] = (self._make(node, name), node)
        piece, config[name] = self.made[key]
        return piece

    def _make(self, node: dict[str, Any], name: str) -> Any:
        plain = {k: v for k, v in node.items() if isinstance(v, Scalar) and not k.startswith("_")}
        kind = name + repr([(k, None if k in plain else v) for k, v in node.items()])
        first = self.first.get(kind)
        if first is None:
            self.first[kind] = _instantiate(node, name)
            return self.first[kind]
        if dataclasses.is_dataclass(first) and not isinstance(first, type):
            return dataclasses.replace(first, **plain)
        return partial(first, **plain) if node.get("_partial_") is True else _instantiate(node, name)


def _instantiate(node: dict[str, Any], name: str) -> Any:
    try:
        return instantiate(node, _convert_="all")
    except InstantiationException as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, UserError):
                raise cause from error
            cause = cause.__cause__
        raise UserError(f"{name}: {' '.join(str(error).splitlines()[:2])}.") from error
