"""CSV and Parquet files as Arrow tables."""

from __future__ import annotations

import re
from codecs import getincrementaldecoder
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.csv

from noiseworks.data.parquet import PARQUET, ParquetRows, parquet_files
from noiseworks.data.unknown import nearest
from noiseworks.errors import UserError

TEXT = (".csv", ".tsv", ".txt")
DELIMITERS = (",", "\t", ";")  # where a header would do for several, the first


def read(path: Path) -> pa.Table:
    """All columns of a file that exists, or of all Parquet files of a folder."""
    kind = Path(path.name.removesuffix(".gz")).suffix.lower()
    if kind not in TEXT and not parquet_files(path):
        raise UserError(
            f"data.path={path} is no kind of table that can be read; its name must end in {', '.join(TEXT)} "
            f"(also with .gz) or {', '.join(PARQUET)}."
        )
    with readable(path):
        table = read_text(path) if kind in TEXT and not path.is_dir() else ParquetRows.of(path).table()
    check_names(table.column_names, path)
    if table.num_rows == 0:
        raise no_rows(path)
    return table


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """What Arrow cannot read, in a sentence."""
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        reason = re.sub(r"Row #(\d+)", lambda found: f"row {int(found[1]) - 1}", str(error).splitlines()[0])
        raise UserError(f"data.path={path} cannot be read: {reason.rstrip('.')}.") from error


def check_names(names: list[str], path: Path) -> None:
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise UserError(f"data.path={path} has more than one column named '{twice[0]}'; column names must differ.")


def no_rows(path: Path) -> UserError:
    return UserError(f"data.path={path} has no rows, only the names of columns.")


def existing(path: Path) -> Path:
    if path.is_dir() and not parquet_files(path):
        raise UserError(
            f"data.path={path} is a folder without Parquet files; it must have some, or be a CSV or Parquet file."
        )
    if not path.exists():
        if not path.parent.is_dir():
            raise UserError(f"data.path: there is no file {path}, nor a folder {path.parent}.")
        others = sorted(other.name for other in path.parent.iterdir() if other.is_file())
        raise UserError(f"data.path: there is no file {path}{nearest(path.name, others) or '.'}")
    return path


def read_text(path: Path) -> pa.Table:
    # One block, because Arrow fails on a row that is longer than a block; one thread, because errors then name the row.
    with pa.input_stream(str(path)) as stream:
        content = stream.read()
    lines = first_lines(path, content)
    if len(lines) == 1 and len(content) < 2**16:
        raise no_rows(path)
    table = pa.csv.read_csv(
        pa.BufferReader(content),
        read_options=pa.csv.ReadOptions(use_threads=False, block_size=min(len(content) + 1, 2**31 - 1)),
        parse_options=pa.csv.ParseOptions(delimiter=delimiter(lines), newlines_in_values=True),
        convert_options=pa.csv.ConvertOptions(strings_can_be_null=True),
    )
    if content.count(b'"') % 2 and any(isinstance(cell, str) and "\n" in cell for cell in last_row(table)):
        raise UserError(
            f"data.path={path} has a quote that is not closed; row {table.num_rows} takes in all that follows."
        )
    return table.rename_columns([name.strip() for name in table.column_names])


def last_row(table: pa.Table) -> list[object]:
    return [column[-1].as_py() for column in table.columns if len(column)]


def first_lines(path: Path, content: bytes) -> list[str]:
    """The header and up to five more lines that are not blank."""
    start = content[: 2**16]
    try:
        text = getincrementaldecoder("utf-8-sig")().decode(start, final=len(start) == len(content))
    except UnicodeDecodeError as error:
        raise UserError(f"data.path={path} is not UTF-8 text (byte {error.start + 1}); save it as UTF-8.") from error
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise UserError(f"data.path={path} is empty; it must have a line of column names and rows.")
    return lines[:6]


def delimiter(lines: list[str]) -> str:
    """The one that is most frequent in the header among those as frequent in the rows below, if there are such."""
    bare = [re.sub(r'"[^"]*"', "", line) for line in lines]

    def key(mark: str) -> tuple[bool, int]:
        counts = [line.count(mark) for line in bare]
        return counts[0] > 0 and len(set(counts)) == 1, counts[0]

    return max(DELIMITERS, key=key)
