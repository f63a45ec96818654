"""From the columns of a table to numbers."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor

from noiseworks.data.base import Column, Examples, written_out
from noiseworks.data.columns import Roles, as_categories, category_order, is_text, plain, refuse_stray_text, refuse_text
from noiseworks.errors import UserError

MAX_LEVELS = 100


def encode(table: pa.Table, roles: Roles, missing: str, source: str) -> Examples:
    """Examples: numbers as they are, booleans 0 and 1, of text an indicator `column=level` of each level but the first.

    Rows in messages count from 1 after the header, rows that are left out included.
    """
    features = roles.choose(table.column_names, source)
    table = as_categories(table, roles.categorical)
    used = list(dict.fromkeys([*roles.named().values(), *features]))
    columns = {name: plain(table[name], name, source, name in features) for name in used}
    for key, name in roles.named().items():
        refuse_text(columns[name], f"{key}={name}", source)
    order = {name: category_order(table[name]) for name in features}
    for name in features:
        if order[name] is None:
            refuse_stray_text(columns[name], name, source)
    rows = complete_rows(columns, missing, source)
    kept = {name: column.take(pa.array(rows)) for name, column in columns.items()}
    numbers = {name: finite(column, name, rows, source) for name, column in kept.items() if not is_text(column)}

    raw = tuple(
        Column(name, () if name in numbers else levels(pc.unique(kept[name]).to_pylist(), name, source, order[name]))
        for name in features
    )
    feature_names(raw, source)
    X: dict[str, np.ndarray] = {}
    for column in raw:
        X |= design(column, kept[column.name], numbers)
    made = examples(
        X,
        (roles.target, numbers[roles.target]),
        columns=raw,
        source=source,
        offset=offset_of(roles, numbers, rows, source),
        offset_name=roles.offset or roles.exposure,
        weights=weights_of(roles, numbers, rows, source),
    )
    made = replace(made, exposure=roles.exposure is not None, lacking=table.num_rows - len(rows))
    if made.lacking:
        seen = {column.name: pc.unique(columns[column.name]).to_pylist() for column in raw if column.levels}
        made = replace(made, rows=torch.from_numpy(rows + 1), vanished=vanished(raw, seen), lacks=lacks(columns))
    return written_out(made) if roles.frequency else made


def examples(
    X: dict[str, np.ndarray],
    target: tuple[str, np.ndarray],
    columns: tuple[Column, ...],
    source: str,
    offset: np.ndarray | None = None,
    offset_name: str | None = None,
    weights: np.ndarray | None = None,
) -> Examples:
    """Examples of these columns of X (n,), with their digest."""
    name, y = target
    design_matrix = np.column_stack(list(X.values())) if X else np.empty((len(y), 0))
    arrays = {"X": design_matrix, "y": y, "offset": offset, "weights": weights}
    tensors = {
        key: None if array is None else torch.tensor(array, dtype=torch.float64) for key, array in arrays.items()
    }
    return Examples(
        **tensors,  # type: ignore[arg-type]
        features=tuple(X),
        target=name,
        columns=columns,
        source=source,
        digest=digest(tensors, [name, *X]),
        offset_name=offset_name,
    )


def digest(tensors: dict[str, Tensor | None], names: list[str]) -> str:
    """16 hex digits that differ where a value, a shape or a name does."""
    sha = hashlib.sha256(repr(names).encode())
    for key, tensor in tensors.items():
        if tensor is not None:
            sha.update(f"{key}{tuple(tensor.shape)}".encode() + tensor.numpy().tobytes())
    return sha.hexdigest()[:16]


def complete_rows(columns: dict[str, pa.ChunkedArray], missing: str, source: str) -> np.ndarray:
    """The numbers, from 0, of the rows that lack no value."""
    lacks = {name: np.asarray(pc.is_null(column, nan_is_null=True)) for name, column in columns.items()}
    any_lacks = np.logical_or.reduce(list(lacks.values()))
    name, first = next(((name, mask) for name, mask in lacks.items() if mask.any()), ("", any_lacks))
    if any_lacks.all():
        worst = max(lacks, key=lambda name: lacks[name].sum())
        raise UserError(
            f"Every row of {source} lacks a value in some column, {worst} in {lacks[worst].sum()} of {len(any_lacks)}; "
            "fill them, or choose other columns."
        )
    if missing == "error" and any_lacks.any():
        raise UserError(
            f"Column {name} of {source} has no value in row {first.argmax() + 1} and lacks {first.sum()} in all; "
            f"data.missing=drop leaves out the rows that lack one ({any_lacks.sum()} of {len(any_lacks)})."
        )
    return np.flatnonzero(~any_lacks)


def finite(column: pa.ChunkedArray, name: str, rows: np.ndarray, source: str) -> np.ndarray:
    values: np.ndarray = column.to_numpy()
    bad = np.flatnonzero(~np.isfinite(values))
    if len(bad):
        raise UserError(
            f"Column {name} of {source} is {values[bad[0]]} in row {rows[bad[0]] + 1}; values must be finite."
        )
    return values


def weights_of(roles: Roles, numbers: dict[str, np.ndarray], rows: np.ndarray, source: str) -> np.ndarray | None:
    """Precisions above 0; or counts, whole numbers from 1."""
    if roles.weights is None:
        return None
    values = numbers[roles.weights]
    if roles.frequency:
        why = "with data.weight_kind=frequency weights are counts, whole numbers from 1"
        return positive(values, roles.weights, rows, source, "weights", why, (values < 1) | (values != values.round()))
    why = "weights must be above 0 (a row that should not count can be deleted)"
    return positive(values, roles.weights, rows, source, "weights", why)


def positive(
    values: np.ndarray,
    name: str,
    rows: np.ndarray,
    source: str,
    key: str,
    why: str,
    wrong: np.ndarray | None = None,
) -> np.ndarray:
    bad = np.flatnonzero(values <= 0 if wrong is None else wrong)
    if len(bad):
        raise UserError(f"data.{key}={name} is {values[bad[0]]:g} in row {rows[bad[0]] + 1} of {source}; {why}.")
    return values


def offset_of(roles: Roles, numbers: dict[str, np.ndarray], rows: np.ndarray, source: str) -> np.ndarray | None:
    """What is added to the linear predictor: a column, or the logarithm of an exposure."""
    if roles.exposure is None:
        return None if roles.offset is None else numbers[roles.offset]
    why = "an exposure (time, area, number at risk) must be above 0"
    return np.log(positive(numbers[roles.exposure], roles.exposure, rows, source, "exposure", why))


def levels(found: Iterable[str], name: str, source: str, order: Sequence[str] | None = None) -> tuple[str, ...]:
    """Those that were found, sorted, or in the order of a category."""
    ordered = tuple(sorted(found, key=None if order is None else order.index))
    if len(ordered) > MAX_LEVELS:
        raise UserError(
            f"Text column {name} of {source} has {len(ordered)} levels, more than {MAX_LEVELS}; "
            "leave it out of data.features, or merge levels."
        )
    return ordered


def lacks(columns: Mapping[str, pa.ChunkedArray]) -> dict[str, int]:
    """Column -> rows in which it has no value, of those that lack any."""
    counts = {name: pc.sum(pc.is_null(column, nan_is_null=True)).as_py() or 0 for name, column in columns.items()}
    return {name: count for name, count in counts.items() if count}


def vanished(columns: Sequence[Column], seen: Mapping[str, Iterable[str | None]]) -> tuple[str, ...]:
    """column=level of those that were seen before rows that lack a value were left out, and are not there after."""
    gone = ((column.name, set(seen[column.name]) - {*column.levels, None}) for column in columns if column.levels)
    return tuple(f"{name}={level}" for name, levels in gone for level in sorted(map(str, levels)))


def feature_names(columns: Sequence[Column], source: str) -> tuple[str, ...]:
    """The names of X's columns, in order."""
    names = [name for column in columns for name in _names(column)]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(f"Two features of {source} would be called {twice[0]}; rename a column.")
    return tuple(names)


def _names(column: Column) -> list[str]:
    return [f"{column.name}={level}" for level in column.levels[1:]] if column.levels else [column.name]


def design(column: Column, values: pa.ChunkedArray, numbers: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The columns of X, by name, that a column of the source gives."""
    if column.name in numbers:
        return {column.name: numbers[column.name]}
    return {name: np.asarray(pc.equal(values, level)) for name, level in zip(_names(column), column.levels[1:])}
