"""A table that is read again and again, a block of rows at a time, and never held as a whole."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from noiseworks.data.encode import design, finite, positive
from noiseworks.data.examples import Examples
from noiseworks.data.numbers import plain, refuse_text
from noiseworks.data.parquet import ParquetRows
from noiseworks.data.read import readable
from noiseworks.data.roles import Roles
from noiseworks.errors import UserError

MOST, LEAST = 1 << 16, 1 << 10  # rows in a block: enough to make Python's share small, few enough for the cache
COPIES = 64  # bytes a number of a block takes in all, from Arrow's columns to the last product
Item = TypeVar("Item")


@dataclass(frozen=True)
class TableStream:
    """The complete rows of Parquet files as `Examples`, in the order of the files; `head` has names and no rows.

    num_rows: of the files, without those that are left out because they lack a value.
    """

    files: ParquetRows
    roles: Roles
    missing: str
    head: Examples
    num_rows: int
    memory: int  # bytes, about, of data at a time

    @property
    def used(self) -> list[str]:
        return used_columns(self.roles, [column.name for column in self.head.columns])

    def blocks(self, progress: Callable[[int], None] = lambda rows: None) -> Iterator[Examples]:
        """All of them; `progress` is told of the rows gone by."""
        width = len(self.used) + 2 * max(len(self.head.features), 1)
        rows = min(MOST, max(LEAST, self.memory // (4 * COPIES * width)))
        start = 0
        with readable(self.files.path):
            for table in self.files.batches(self.used, rows):
                with counted_from(start):
                    block = self._examples(table)
                start += table.num_rows
                progress(table.num_rows)
                if len(block):
                    yield block

    def _examples(self, table: pa.Table) -> Examples:
        """As `encode` has them, for the rows of this table."""
        head, roles, source = self.head, self.roles, self.head.source
        plain_columns = {name: plain(table[name], name, source) for name in table.column_names}
        for key, name in roles.named().items():
            if plain_columns[name].null_count < table.num_rows:
                refuse_text(plain_columns[name], f"{key}={name}", source)
        columns, rows = complete(plain_columns, self.missing, source)
        text = {column.name for column in head.columns if column.levels}
        numbers = {name: finite(values, name, rows, source) for name, values in columns.items() if name not in text}
        X: dict[str, np.ndarray] = {}
        for column in head.columns:
            X |= design(column, columns[column.name], numbers)
        if roles.weights is not None:
            positive(numbers[roles.weights], roles.weights, rows, source)
        return Examples(
            X=_matrix(list(X.values()), len(rows)),
            y=_tensor(numbers[roles.target]),
            offset=None if roles.offset is None else _tensor(numbers[roles.offset]),
            weights=None if roles.weights is None else _tensor(numbers[roles.weights]),
            features=head.features,
            target=head.target,
            columns=head.columns,
            source=source,
            digest=head.digest,
            offset_name=head.offset_name,
        )


def used_columns(roles: Roles, features: list[str]) -> list[str]:
    return list(dict.fromkeys([*roles.named().values(), *features]))


def complete(
    columns: dict[str, pa.ChunkedArray], missing: str, source: str
) -> tuple[dict[str, pa.ChunkedArray], np.ndarray]:
    """The rows of a block that lack no value, and their numbers, from 0."""
    lacks = {name: np.asarray(pc.is_null(column, nan_is_null=True)) for name, column in columns.items()}
    any_lacks = np.logical_or.reduce(list(lacks.values()))
    if not any_lacks.any():
        return columns, np.arange(len(any_lacks))
    if missing == "error":
        name, mask = next((name, mask) for name, mask in lacks.items() if mask.any())
        raise UserError(
            f"Column {name} of {source} has no value in row {mask.argmax() + 1}; "
            "data.missing=drop leaves out the rows that lack one."
        )
    rows = np.flatnonzero(~any_lacks)
    return {name: column.take(pa.array(rows)) for name, column in columns.items()}, rows


@contextmanager
def counted_from(start: int) -> Iterator[None]:
    """What is wrong in row k of a block is so in row start + k of the table."""
    try:
        yield
    except UserError as error:
        said = re.sub(r"in row (\d+)", lambda found: f"in row {int(found[1]) + start}", str(error))
        raise UserError(said) from error


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same, each made in a second thread while the one before it is used."""
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = pool.submit(next, items, None)
            yield item


def _tensor(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values) if values.flags.writeable else torch.tensor(values)


def _matrix(columns: list[np.ndarray], n: int) -> torch.Tensor:
    X = np.empty((n, len(columns)))
    for j, column in enumerate(columns):
        X[:, j] = column
    return torch.from_numpy(X)
