"""What must be known of a streamed table before its rows can become numbers: the levels of text, and how many rows
there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import pyarrow.compute as pc
import torch

from noiseworks.data.encode import MAX_LEVELS, feature_names, levels
from noiseworks.data.examples import Column, Examples
from noiseworks.data.numbers import is_text, plain, stray, stray_text
from noiseworks.data.parquet import ParquetRows
from noiseworks.data.read import check_names, no_rows, readable
from noiseworks.data.roles import Roles
from noiseworks.data.stream import MOST, TableStream, complete, counted_from, used_columns
from noiseworks.errors import UserError

Passes = Callable[[str], AbstractContextManager[Any]]  # shows a pass over the rows: see noiseworks.streamed.passes
MANY = 100 * MAX_LEVELS  # so many different texts are no levels, whatever comes


def survey(files: ParquetRows, roles: Roles, missing: str, source: str, memory: int, passes: Passes) -> TableStream:
    """Without text and with nothing to leave out the footers say it all; else one pass over the columns of text, or,
    since the levels are those of the rows that stay, over all columns that are used."""
    with readable(files.path):
        check_names(files.names, files.path)
        if not files.num_rows:
            raise no_rows(files.path)
        features = roles.choose(files.schema.names, source)
        empty = files.schema.empty_table()
        text = [name for name in features if is_text(plain(empty[name], name, source))]
        looked_at = used_columns(roles, features) if missing == "drop" else text
        counts: dict[str, Counter[str]] = {name: Counter() for name in text}
        num_rows = files.num_rows
        if looked_at:
            with passes("levels and gaps") as bar:
                num_rows = _count(files, looked_at, counts, missing, source, bar.update)
        columns = tuple(Column(name, _levels(counts[name], name, source) if name in text else ()) for name in features)
        return TableStream(files, roles, missing, _head(columns, roles, source, files.digest()), num_rows, memory)


def _count(
    files: ParquetRows,
    looked_at: list[str],
    counts: dict[str, Counter[str]],
    missing: str,
    source: str,
    progress: Callable[[int], None],
) -> int:
    """The number of rows that stay; `counts` gets how often each text is there."""
    start = num_rows = 0
    for table in files.batches(looked_at, MOST):
        with counted_from(start):
            kept, rows = complete({name: plain(table[name], name, source) for name in looked_at}, missing, source)
        start += table.num_rows
        num_rows += len(rows)
        progress(table.num_rows)
        for name, counter in counts.items():
            for item in pc.value_counts(kept[name]).to_pylist():
                counter[item["values"]] += item["counts"]
            if len(counter) > MANY:
                _levels(counter, name, source)
    if not num_rows:
        raise UserError(f"Every row of {source} lacks a value in some column; fill them, or choose other columns.")
    return num_rows


def _levels(counts: Counter[str], name: str, source: str) -> tuple[str, ...]:
    if bad := stray(counts):
        raise stray_text(name, source, f"also '{min(bad)}'")
    return levels(counts, name, source)


def _head(columns: tuple[Column, ...], roles: Roles, source: str, digest: str) -> Examples:
    features = feature_names(columns, source)
    nothing = torch.empty(0, dtype=torch.float64)
    return Examples(
        X=nothing.new_empty(0, len(features)),
        y=nothing,
        offset=None if roles.offset is None else nothing,
        weights=None if roles.weights is None else nothing,
        features=features,
        target=roles.target,
        columns=columns,
        source=source,
        digest=digest,
        offset_name=roles.offset,
    )
