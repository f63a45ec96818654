"""Which values a group of the configuration takes, by the type hints of what it makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Optional

import pytest

from noiseworks.config.instantiation import check_types
from noiseworks.errors import UserError
from noiseworks.noise.base import Scale

if TYPE_CHECKING:
    from pathlib import Path


@dataclass
class Parent:
    scale: Scale = None


@dataclass
class Settings(Parent):
    count: int = 1
    share: float = 0.5
    flag: bool = False
    maybe: int | None = None
    old: Optional[bool] = None  # noqa: UP045 - as other libraries write it
    column: str = "y"
    columns: Sequence[str] | None = None
    kind: Literal["a", "b"] = "a"
    place: Path | None = None  # known to type checkers only
    pair: tuple[float, float] = (0.0, 1.0)
    anything: Any = None


HERE = f"{__name__}.Settings"
TAKEN: list[tuple[str, Any]] = [
    ("scale", 2), ("scale", 0.5), ("scale", None), ("count", 3), ("share", 1), ("flag", True), ("maybe", None),
    ("old", None), ("old", True), ("columns", ["a"]), ("columns", None), ("kind", "c"), ("place", 3), ("place", "x"),
    ("pair", [1, 2]), ("pair", "x"), ("anything", [1]),
]  # fmt: skip
REFUSED: list[tuple[str, Any, str]] = [
    ("scale", "x", "scale=x is not possible; it must be a number or null."),
    ("scale", True, "scale=True is not possible; it must be a number or null."),
    ("count", 1.5, "count=1.5 is not possible; it must be a whole number."),
    ("share", None, "share=null is not possible; it must be a number."),
    ("flag", 1, "flag=1 is not possible; it must be true or false."),
    ("old", "x", "old=x is not possible; it must be true or false or null."),
    ("columns", "a", r"columns=a is not possible; it must be a list like \[a,b\] or null."),
    ("column", None, "column=null is not possible; it must be text."),
    ("sclae", 1, "sclae is unknown; part has count."),
]


@pytest.mark.parametrize(("key", "value"), TAKEN)
def test_taken(key: str, value: Any) -> None:
    node = {"_target_": HERE, key: value}
    check_types(node, "part")
    assert node[key] is value


@pytest.mark.parametrize(("key", "value", "sentence"), REFUSED)
def test_refused(key: str, value: Any, sentence: str) -> None:
    with pytest.raises(UserError, match=rf"part\.{sentence}$"):
        check_types({"_target_": HERE, "count": 1, key: value}, "part")


def test_a_number_where_text_is_wanted_becomes_text() -> None:
    node: dict[str, Any] = {"_target_": HERE, "column": 2020}
    check_types(node, "part")
    assert node["column"] == "2020"


@pytest.mark.parametrize("value", [0.1, 1])
def test_optimizers_of_torch(value: float) -> None:
    check_types({"_target_": "torch.optim.Adam", "_partial_": True, "lr": value, "betas": [0.9, 0.99]}, "optimizer")
    with pytest.raises(UserError, match=r"optimizer\.lr=high is not possible; it must be a number\."):
        check_types({"_target_": "torch.optim.Adam", "lr": "high"}, "optimizer")
