"""A table that is read again and again, a chunk of rows at a time, and never held as a whole."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch

from noiseworks.data.base import Column, Examples, renumbered, written_out
from noiseworks.data.columns import (
    Roles,
    as_categories,
    by_size,
    category_order,
    is_text,
    plain,
    refuse_text,
    stray,
    stray_text,
)
from noiseworks.data.encoding import (
    MAX_LEVELS,
    design,
    feature_names,
    finite,
    lacks,
    levels,
    offset_of,
    vanished,
    weights_of,
)
from noiseworks.data.reading import ParquetRows, check_names, no_rows, readable
from noiseworks.errors import UserError

MOST, LEAST = 1 << 16, 1 << 10  # rows in a block: enough to make Python's share small, few enough for the cache
COPIES = 64  # bytes a number of a block takes in all, from Arrow's columns to the last product
Item = TypeVar("Item")


@dataclass(frozen=True)
class TableChunks:
    """The complete rows of Parquet files as `Examples`, in the order of the files; `head` has names, what
    there is to say of the rows that are left out, and no rows.

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
        """All rows, at most MOST at a time; `progress` is told of the rows gone by."""
        width = len(self.used) + 2 * max(len(self.head.features), 1)
        rows = min(MOST, max(LEAST, self.memory // (4 * COPIES * width)))
        start = 0
        with readable(self.files.path):
            for table in self.files.batches(self.used, rows):
                with counted_from(start):
                    block = self._examples(table, start)
                start += table.num_rows
                progress(table.num_rows)
                if self.roles.frequency:
                    yield from self._pieces(block, rows)
                elif len(block):
                    yield block

    @staticmethod
    def _pieces(block: Examples, most: int) -> Iterator[Examples]:
        """The rows as often as they were counted, so many or so at a time; one row, however often, in one piece."""
        assert block.weights is not None
        piece = (block.weights.cumsum(0) - 1).div(most, rounding_mode="floor").long()
        for number in piece.unique().tolist():
            yield written_out(block.take((piece == number).nonzero().squeeze(1)))

    def _examples(self, table: pa.Table, start: int) -> Examples:
        """The rows of this table, the first of which is number `start` of the file, from 0, as `encode` has them."""
        head, roles, source = self.head, self.roles, self.head.source
        table = as_categories(table, roles.categorical)
        features = {column.name for column in head.columns}
        plain_columns = {name: plain(table[name], name, source, name in features) for name in table.column_names}
        for key, name in roles.named().items():
            if plain_columns[name].null_count < table.num_rows:
                refuse_text(plain_columns[name], f"{key}={name}", source)
        columns, rows = complete(plain_columns, self.missing, source)
        text = {column.name for column in head.columns if column.levels}
        numbers = {name: finite(values, name, rows, source) for name, values in columns.items() if name not in text}
        X: dict[str, np.ndarray] = {}
        for column in head.columns:
            X |= design(column, columns[column.name], numbers)
        weights = weights_of(roles, numbers, rows, source)
        offset = offset_of(roles, numbers, rows, source)
        return Examples(
            X=_matrix(list(X.values()), len(rows)),
            y=_tensor(numbers[roles.target]),
            offset=None if offset is None else _tensor(offset),
            weights=None if weights is None else _tensor(weights),
            features=head.features,
            target=head.target,
            columns=head.columns,
            source=source,
            digest=head.digest,
            offset_name=head.offset_name,
            exposure=head.exposure,
            rows=torch.from_numpy(rows + start + 1),
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
        raise renumbered(error, lambda k: k + start) from error


def ahead(items: Iterator[Item]) -> Iterator[Item]:
    """The same items, each made in a second thread while the one before it is used."""
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


Passes = Callable[[str], AbstractContextManager[Any]]  # shows a pass over the rows: see noiseworks.chunked.problem
MANY = 100 * MAX_LEVELS  # so many different texts are no levels, whatever comes


def survey(files: ParquetRows, roles: Roles, missing: str, source: str, memory: int, passes: Passes) -> TableChunks:
    """The chunks of a table. Without text and with nothing to leave out the footers say it all; else it takes one pass
    over the columns of text, or, since the levels are those of the rows that stay, over all columns that are used."""
    with readable(files.path):
        check_names(files.names, files.path)
        if not files.num_rows:
            raise no_rows(files.path)
        features = roles.choose(files.schema.names, source)
        empty = as_categories(files.schema.empty_table(), roles.categorical)
        text = [name for name in features if is_text(plain(empty[name], name, source))]
        looked_at = used_columns(roles, features) if missing == "drop" else text
        found = _Survey(roles, missing, source, {name: Counter() for name in text})
        if roles.frequency:
            assert roles.weights is not None
            looked_at = list(dict.fromkeys([*looked_at, roles.weights]))
        if looked_at:
            with passes("levels and gaps") as bar:
                for table in files.batches(looked_at, MOST):
                    found.add(table)
                    bar.update(table.num_rows)
            if not found.num_rows:
                every = f"Every row of {source} lacks a value in some column"
                raise UserError(f"{every}; fill them, or choose other columns.")
        columns = tuple(Column(name, found.levels(name) if name in text else ()) for name in features)
        head = _head(columns, roles, source, files.digest())
        head = replace(head, lacking=found.lacking, lacks=dict(found.lacks), vanished=vanished(columns, found.seen))
        num_rows = found.num_rows if looked_at else files.num_rows
        return TableChunks(files, roles, missing, head, num_rows, memory)


@dataclass
class _Survey:
    """What the rows so far hold: how often each text is there in rows that stay, and which there are at all; `orders`
    of categories; how many rows stay, or are counted in them, and how many do not."""

    roles: Roles
    missing: str
    source: str
    counts: dict[str, Counter[str]]
    orders: dict[str, list[str]] = field(default_factory=dict)
    seen: dict[str, set[str | None]] = field(default_factory=dict)
    gone_by: int = 0
    num_rows: int = 0
    lacking: int = 0
    lacks: Counter[str] = field(default_factory=Counter)

    def add(self, table: pa.Table) -> None:
        table = as_categories(table, self.roles.categorical)
        with counted_from(self.gone_by):
            columns = {name: plain(table[name], name, self.source, name in self.counts) for name in table.column_names}
            kept, rows = complete(columns, self.missing, self.source)
        self.gone_by += table.num_rows
        if len(rows) < table.num_rows:
            self.lacking += table.num_rows - len(rows)
            self.lacks.update(lacks(columns))
        frequency = self.roles.frequency
        self.num_rows += int(pc.sum(kept[str(self.roles.weights)]).as_py() or 0) if frequency else len(rows)
        for name, counter in self.counts.items():
            if (order := category_order(table[name])) is not None:
                known = self.orders.setdefault(name, [])
                known += [level for level in order if level not in known]
            self.seen.setdefault(name, set()).update(pc.unique(columns[name]).to_pylist())
            for item in pc.value_counts(kept[name]).to_pylist():
                counter[item["values"]] += item["counts"]
            if len(counter) > MANY:
                self.levels(name)

    def levels(self, name: str) -> tuple[str, ...]:
        counts, order = self.counts[name], self.orders.get(name)
        if name in self.roles.categorical and order is not None:
            order = sorted(order, key=by_size)
        if order is None and (bad := stray(counts)):
            raise stray_text(name, self.source, f"also '{min(bad)}'")
        return levels(counts, name, self.source, order)


def _head(columns: tuple[Column, ...], roles: Roles, source: str, digest: str) -> Examples:
    features = feature_names(columns, source)
    nothing = torch.empty(0, dtype=torch.float64)
    return Examples(
        X=nothing.new_empty(0, len(features)),
        y=nothing,
        offset=None if (roles.offset or roles.exposure) is None else nothing,
        weights=None if roles.weights is None or roles.frequency else nothing,
        features=features,
        target=roles.target,
        columns=columns,
        source=source,
        digest=digest,
        offset_name=roles.offset or roles.exposure,
        exposure=roles.exposure is not None,
    )
