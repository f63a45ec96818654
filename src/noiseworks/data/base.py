"""What every data set hands on, numbers with names in the units of the data; its settings; the split of its rows."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from noiseworks.errors import UserError
from noiseworks.streams import generator


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
    total: int | None = None  # how many there are, if these are only a sample of them
    rows: Tensor | None = None  # their numbers in the source, from 1; None: one after the other
    lacking: int = 0  # rows of the source that were left out, as they lack a value
    lacks: Mapping[str, int] = field(default_factory=dict)  # column -> rows in which it has none
    vanished: tuple[str, ...] = ()  # levels, as column=level, of which all rows lack a value
    exposure: bool = False  # the offset is the logarithm of its column

    @property
    def num_examples(self) -> int:
        """The rows of the source, with those that were left out."""
        return self.lacking + (len(self) if self.total is None else self.total)

    def __len__(self) -> int:
        return len(self.y)

    def take(self, rows: Tensor) -> Examples:
        offset = None if self.offset is None else self.offset[rows]
        weights = None if self.weights is None else self.weights[rows]
        numbers = rows + 1 if self.rows is None else self.rows[rows]
        return replace(self, X=self.X[rows], y=self.y[rows], offset=offset, weights=weights, rows=numbers)


MOST = 50_000_000  # rows that counts are written out to


def written_out(examples: Examples) -> Examples:
    """Rows that were counted, each as often as its weight says: whatever is made of them then is what their table,
    written out, would give."""
    assert examples.weights is not None
    total = int(examples.weights.sum())
    if total > MOST:
        raise UserError(
            f"data.weight_kind=frequency: the weights of {examples.source} stand for {total} rows, more than the "
            f"{MOST} that are written out; data.weight_kind=precision has the same coefficients."
        )
    again = torch.arange(len(examples)).repeat_interleave(examples.weights.long())
    return replace(examples.take(again), weights=None)


def renumbered(error: UserError, number: Callable[[int], int]) -> UserError:
    """The error with other numbers of the rows that it names."""
    return UserError(re.sub(r"\brow (\d+)", lambda found: f"row {number(int(found[1]))}", str(error)))


def in_source(error: UserError, rows: Tensor | None) -> UserError:
    """The error with the numbers that rows have in the source in place of those among the rows at hand."""
    return error if rows is None else renumbered(error, lambda k: int(rows[k - 1]))


ORDERS = ("shuffle", "replacement", "stream")


class Shape(NamedTuple):
    examples: int
    features: int
    has_offset: bool
    has_weights: bool


@dataclass(frozen=True, kw_only=True)
class Data(ABC):
    """Where examples come from, how they are split, and in which order training sees them (conf/config.yaml)."""

    random: ClassVar[bool] = False  # replicates differ in their examples, not only in the split
    seed: int
    batch_size: int
    order: str
    val_fraction: float | None
    test_fraction: float
    standardize: bool
    allow_fractions: bool
    input_noise: float = 0.0
    input_noise_fresh: bool = False

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise UserError(f"data.seed={self.seed} is negative; seeds are whole numbers from 0.")
        if self.batch_size < 1:
            raise UserError(f"data.batch_size={self.batch_size} is not a size; it must be at least 1.")
        if self.order not in ORDERS:
            raise UserError(f"data.order={self.order} is no order; it must be one of {', '.join(ORDERS)}.")
        for key in ("val_fraction", "test_fraction"):
            value = getattr(self, key)
            if value is not None and not 0 <= value < 1:
                raise UserError(f"data.{key}={value} is no fraction; it must be at least 0 and below 1.")

        if not (0 <= self.input_noise < math.inf):
            raise UserError(f"data.input_noise={self.input_noise} is no standard deviation; it must be at least 0.")

    @property
    def fresh_noise(self) -> bool:
        """Whether every step sees the features of its rows with other noise."""
        return self.input_noise_fresh and self.input_noise > 0

    def shape(self) -> Shape:
        """Numbers of examples and features; found by reading the examples where they are not known beforehand."""
        examples = self.examples(0)
        n, d = examples.X.shape
        return Shape(n, d, examples.offset is not None, examples.weights is not None)

    @property
    def in_chunks(self) -> bool:
        """Whether the rows are too many to be held at a time."""
        return False

    def inputs(self) -> dict[str, str]:
        """What is read besides the configuration: path -> digest of its content."""
        return {}

    @abstractmethod
    def examples(self, replicate: int) -> Examples:
        """All rows. Synthetic data are drawn anew for each replicate; a file is the same for all."""


def split_rows(data: Data, n: int, val_fraction: float, replicate: int) -> dict[str, Tensor]:
    """Row numbers of `train`, `val` and `test`, by a permutation from the stream `split`; in file order without one."""
    num_test, num_val = round(n * data.test_fraction), round(n * val_fraction)
    num_train = n - num_test - num_val
    if num_train < 1:
        raise UserError(
            f"No training rows are left of {n}: data.val_fraction={val_fraction:g} takes {num_val} and "
            f"data.test_fraction={data.test_fraction:g} takes {num_test}."
        )
    rows = torch.arange(n)
    if num_train < n:
        rows = torch.randperm(n, generator=generator(data.seed, "split", replicate))
    train, val, test = rows.split([num_train, num_val, num_test])
    return {"train": train, "val": val, "test": test}
