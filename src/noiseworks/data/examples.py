"""What every data set hands on: numbers with names, in the units of the data."""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor


@dataclass(frozen=True)
class Column:
    """A column of the source, as a prediction needs it: numeric (`levels` empty) or text with these levels, the first
    of which is the one left out."""

    name: str
    levels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Examples:
    """n examples of d features in float64 on the CPU: X (n, d), y (n,), offset and weights (n,) or None."""

    X: Tensor
    y: Tensor
    features: tuple[str, ...]  # the names of X's columns
    target: str
    columns: tuple[Column, ...]  # what X was made of
    source: str  # path or recipe
    digest: str  # of the values, short: equal data, equal digest
    offset: Tensor | None = None
    offset_name: str | None = None
    weights: Tensor | None = None
    total: int | None = None  # rows of the source, if these are only a sample of them

    @property
    def num_examples(self) -> int:
        """The rows of the source."""
        return len(self) if self.total is None else self.total

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: Tensor) -> Examples:
        offset = None if self.offset is None else self.offset[rows]
        weights = None if self.weights is None else self.weights[rows]
        return replace(self, X=self.X[rows], y=self.y[rows], offset=offset, weights=weights)
