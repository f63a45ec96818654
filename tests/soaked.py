"""Which of many like cases wait for `make soak`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def only(values: Iterable[Any], *kept: Any) -> list[Any]:
    """All of them, those that are not `kept` for the soak."""
    return [value if value in kept else pytest.param(*_row(value), marks=pytest.mark.soak) for value in values]


def all_but(values: Iterable[Any], *slow: Any) -> list[Any]:
    """All of them, the slow ones for the soak."""
    return [pytest.param(*_row(value), marks=pytest.mark.soak) if value in slow else value for value in values]


def every(step: int, values: Iterable[Any]) -> list[Any]:
    """All of them, of each `step` the first now, the others for the soak."""
    return [pytest.param(*_row(v), marks=pytest.mark.soak) if at % step else v for at, v in enumerate(values)]


def _row(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)
