"""Columns of a table: which are what, as float64 or as text, and what to say of those that are not there."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import pyarrow as pa
import pyarrow.compute as pc

from noiseworks.errors import UserError

GROUPED = re.compile(r"(?<=\d)[ \u00a0\u2009\u202f'\u2019](\d{3})(?!\d)")  # thousands: a blank of any kind


def nearest(name: str, names: Sequence[str]) -> str:
    """'; did you mean X?' if one of `names` resembles `name`, capitals aside, else an empty string."""
    plain = {other.casefold(): other for other in reversed(names)}
    close = get_close_matches(name.casefold(), list(plain), n=1, cutoff=0.5)
    return f"; did you mean {plain[close[0]]}?" if close else ""


def listing(names: Sequence[str], limit: int = 10) -> str:
    shown = ", ".join(names[:limit])
    return shown if len(names) <= limit else f"{shown} ... ({len(names)} in all)"


def not_there(said: str, name: str, names: Sequence[str]) -> str:
    """Two sentences: `said`, with the nearest of `names`, and what there is."""
    close = nearest(name, names)
    return f"{said}{close or '.'} There are {listing(names)}."


@dataclass(frozen=True)
class Roles:
    """Names of columns as the settings give them; `features` None: all that have no other role."""

    target: str
    features: tuple[str, ...] | None = None
    offset: str | None = None
    weights: str | None = None
    exposure: str | None = None
    categorical: tuple[str, ...] = ()  # features that are levels although they look like numbers
    frequency: bool = False  # the weights are counts: so many rows that are alike

    def named(self) -> dict[str, str]:
        """setting -> column, for the roles of one column."""
        pairs = {"target": self.target, "offset": self.offset, "weights": self.weights, "exposure": self.exposure}
        return {f"data.{key}": name for key, name in pairs.items() if name is not None}

    def check(self, names: list[str], source: str) -> None:
        wanted = [*self.named().items(), *(("data.features", name) for name in self.features or ())]
        for key, name in wanted:
            if name not in names:
                raise UserError(not_there(f"{key}: {source} has no column {name}", name, names))
        if self.offset is not None and self.exposure is not None:
            raise UserError(
                f"data.offset={self.offset} and data.exposure={self.exposure} are both added to the linear predictor, "
                "the second as its logarithm; give one of them, or a column of their sum."
            )
        for key in ("offset", "weights", "exposure"):
            if getattr(self, key) == self.target:
                raise UserError(f"data.{key}={self.target} is the target too; it must be another column.")
        for i, name in enumerate(self.features or ()):
            if name == self.target:
                raise UserError(f"data.features lists {name}, which is the target; it must list other columns.")
            if name in (self.features or ())[:i]:
                raise UserError(f"data.features lists {name} twice; once is enough.")

    def choose(self, names: list[str], source: str) -> list[str]:
        """The columns that are features, in order."""
        self.check(names, source)
        if self.features is not None:
            self._check_categorical(self.features, source)
            return list(self.features)
        features = [name for name in names if name not in self.named().values()]
        if not features:
            raise UserError(
                f"data.features: {source} has no column beside {', '.join(self.named().values())}; "
                "data.features=[] fits an intercept alone."
            )
        if "" in features:
            raise UserError(
                f"Column {names.index('') + 1} of {source} has no name (row numbers?); "
                "give it one, or list the columns to use in data.features."
            )
        self._check_categorical(features, source)
        return features

    def _check_categorical(self, features: Sequence[str], source: str) -> None:
        for name in self.categorical:
            if name not in features:
                raise UserError(not_there(f"data.categorical: {name} is no feature of {source}", name, features))


def as_categories(table: pa.Table, names: Sequence[str]) -> pa.Table:
    """These columns as categories of text, numbers in the order of their size before other text."""
    for name in names:
        if name in table.column_names and not pa.types.is_dictionary(table[name].type):
            values = pc.unique(table[name].combine_chunks()).drop_null()
            places = sorted(range(len(values)), key=lambda at: by_size(level_text(values[at].as_py())))
            codes = pc.index_in(table[name].combine_chunks(), values.take(pa.array(places, pa.int64())))
            texts = pa.array([level_text(values[at].as_py()) for at in places], pa.string())
            category = pa.DictionaryArray.from_arrays(codes, texts, ordered=True)
            at = table.column_names.index(name)
            table = table.set_column(at, name, pa.chunked_array([category]))
    return table


def level_text(value: object) -> str:
    """A value as the name of a level: 4 for 4.0, too, which a program may have made of it; true for True."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def by_size(value: str) -> tuple[bool, float, str]:
    return (False, float(value), value) if is_number(value) else (True, 0.0, value)


def category_order(column: pa.ChunkedArray) -> list[str] | None:
    """The values of a category as text: in their own order if it has one, else sorted; None: it is no category."""
    if not pa.types.is_dictionary(column.type):
        return None
    chunks = column.unify_dictionaries().chunks
    values = [value for value in (chunks[0].dictionary.to_pylist() if chunks else []) if value is not None]
    return [level_text(value) for value in (values if column.type.ordered else sorted(values))]


def plain(column: pa.ChunkedArray, name: str, source: str, feature: bool = True) -> pa.ChunkedArray:
    """The column as float64 or string; integers above 2^53 are rounded. A category is text where it is a feature, also
    one of numbers, which are then names."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        if feature and not pa.types.is_string(kind.value_type):
            names = [pa.array(map(level_text, chunk.dictionary.to_pylist()), pa.string()) for chunk in column.chunks]
            return pa.chunked_array([of.take(chunk.indices) for of, chunk in zip(names, column.chunks)], pa.string())
        kind = kind.value_type
        column = pc.cast(column, kind)
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    if number or pa.types.is_boolean(kind) or pa.types.is_null(kind):
        return pc.cast(column, pa.float64(), safe=False)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pc.cast(column, pa.string())
    what = "text that is not UTF-8" if pa.types.is_binary(kind) else f"{kind}, neither numbers nor text"
    raise UserError(f"Column {name} of {source} holds {what}; convert it, or leave it out of data.features.")


def is_text(column: pa.ChunkedArray) -> bool:
    return bool(pa.types.is_string(column.type))


def is_number(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def looks_like_number(value: str) -> bool:
    """Whether a person would read a number: also `12,5`, `1,234.50`, `1 051`, `$3` and `40 %`, which float() does not
    take."""
    bare = value.strip("$€£% \t\u00a0")
    return is_number(GROUPED.sub(r"\1", bare).replace(",", ""))


def refuse_text(column: pa.ChunkedArray, what: str, source: str) -> None:
    """Refuse a text column where numbers must be, by its first value that is no number."""
    if is_text(column):
        values = column.to_pylist()
        stray = (row for row, value in enumerate(values) if value is not None and not is_number(value))
        row = next(stray, next(row for row, value in enumerate(values) if value is not None))
        raise UserError(
            f"{what} holds text in {source}: '{values[row]}' in row {row + 1}; it must be numbers like 12.5, "
            "or empty where a value is missing."
        )


def refuse_stray_text(column: pa.ChunkedArray, name: str, source: str) -> None:
    """Refuse a column that is text only because of a few values: it would become an indicator for each number."""
    if not is_text(column):
        return
    counts = {item["values"]: item["counts"] for item in pc.value_counts(column.drop_null()).to_pylist()}
    if bad := stray(counts):
        values = column.to_pylist()
        row = next(row for row, value in enumerate(values) if value in bad)
        raise stray_text(name, source, f"'{values[row]}' in row {row + 1}")


def stray(counts: Mapping[str, int]) -> set[str]:
    """The texts that are no number, if at least half of all (text -> how often it is there) look like numbers."""
    like = sum(count for value, count in counts.items() if looks_like_number(value))
    bad = {value for value in counts if not is_number(value)}
    return bad if 2 * like >= sum(counts.values()) else set()


def stray_text(name: str, source: str, what: str) -> UserError:
    return UserError(
        f"Column {name} of {source} holds numbers, but {what}; numbers are like 12.5, and a missing value is an empty "
        "cell. Correct it, or leave the column out of data.features."
    )
