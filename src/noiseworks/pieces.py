"""The objects that the groups of a configuration stand for; equal groups share theirs."""

from __future__ import annotations

import dataclasses
from functools import partial
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import instantiate

from noiseworks.config_types import check_types
from noiseworks.errors import UserError

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
