"""Groups of a configuration made into objects: values checked against the signature, equal groups made once."""

from __future__ import annotations

import dataclasses
import inspect
import sys
import typing
from collections.abc import Sequence
from functools import cache, partial
from types import NoneType, SimpleNamespace, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hydra.errors import InstantiationException
from hydra.utils import get_object, instantiate

from noiseworks.config.renames import with_current_targets
from noiseworks.config.trust import Trust
from noiseworks.errors import UserError

KINDS: dict[type, str] = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    str: "text",
    list: "a list like [a,b]",
    NoneType: "null",
}


def check_types(node: dict[str, Any], path: str) -> None:
    """Refuse a key that the signature does not have, and a value whose type it excludes.

    Numbers, booleans, text, lists and null are judged. A number where text is wanted becomes text: a column named 2020
    arrives as a number.
    """
    parameters = _parameters(node["_target_"])
    settings = [key for key in node if not key.startswith("_")]
    for key in settings:
        value = node[key]
        if key not in parameters:
            known = ", ".join(other for other in settings if other in parameters)
            raise UserError(f"The key {path}.{key} is unknown; {path} has {known}.")
        if isinstance(value, dict) and "_target_" in value:
            check_types(value, f"{path}.{key}")
        elif not isinstance(value, dict):
            kinds = parameters[key]
            if str in kinds and type(value) in (int, float) and not {int, float} & set(kinds):
                node[key] = str(value)
            elif kinds and not _fits(value, kinds):
                shown = "null" if value is None else value
                expected = " or ".join(KINDS[kind] for kind in kinds)
                raise UserError(f"{path}.{key}={shown} is not possible; it must be {expected}.")


@cache
def _parameters(target: str) -> dict[str, tuple[type, ...]]:
    """The kinds of values that each parameter takes; none where they are not judged."""
    made = get_object(target)
    known: dict[str, Any] = {}
    for part in reversed(made.__mro__) if isinstance(made, type) else (made,):  # a dataclass has its parents' fields
        known |= vars(sys.modules.get(part.__module__, typing))
    return {key: _kinds(parameter.annotation, known) for key, parameter in inspect.signature(made).parameters.items()}


def _kinds(annotation: Any, known: dict[str, Any]) -> tuple[type, ...]:
    """Those in an annotation such as `int | None`, in its order."""
    if annotation is inspect.Parameter.empty:
        return ()
    try:
        hint = get_type_hints(SimpleNamespace(__annotations__={"it": annotation}), globalns=known)["it"]
    except (NameError, SyntaxError, TypeError):  # a name that only type checkers see
        return ()
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)
    plain = (list if get_origin(member) is Sequence else member for member in members)
    return tuple(kind for kind in plain if kind in KINDS)


def _fits(value: Any, kinds: Sequence[type]) -> bool:
    if isinstance(value, int) and not isinstance(value, bool):
        return int in kinds or float in kinds
    return type(value) in kinds


BASES = {
    "data": ("noiseworks.data.base.Data",),
    "noise": ("noiseworks.noise.Noise",),
    "model": ("noiseworks.model.Model",),
    "optimizer": ("torch.optim.Optimizer", "noiseworks.exact.Exact"),
    "schedule": ("noiseworks.train.schedules.Schedule",),
    "trainer": ("noiseworks.train.settings.Settings",),
    "tracking": ("noiseworks.tracking.settings.Untracked",),
}
Scalar = (bool, int, float, str, type(None))


class Pieces:
    """Instantiates groups. A sweep has thousands of jobs whose groups differ in a number or two, and Hydra takes
    milliseconds for each: what is equal is made once, and what differs only in plain values is made from the first of
    its kind, through the constructor, which checks them again."""

    def __init__(self, trust: Trust | None = None) -> None:
        self.trust = trust or Trust.of_this_process()
        self.made: dict[str, tuple[Any, dict[str, Any]]] = {}
        self.first: dict[str, Any] = {}

    def make(self, config: dict[str, Any], name: str) -> Any:
        """The piece; in `config[name]` stand afterwards the values as their types have made them."""
        node = config[name]
        key = f"{name}{node!r}"
        if key not in self.made:
            node = with_current_targets(node)
            self._check_targets(node, name)
            check_types(node, name)
            self.made[key] = (self._make(node, name), node)
        piece, config[name] = self.made[key]
        return piece

    def _check_targets(self, node: dict[str, Any], name: str) -> None:
        """Before anything is imported."""
        for key, value in node.items():
            if isinstance(value, dict):
                self._check_targets(value, key)
        if "_target_" in node:
            self.trust.of_kind(node["_target_"], BASES.get(name, ("builtins.object",)))

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
