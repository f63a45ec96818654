"""CSV and Parquet files, in memory as Arrow tables, or as row batches of bounded size."""

from __future__ import annotations

import hashlib
import json
import re
from codecs import getincrementaldecoder
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet

from noiseworks.data.columns import is_text, nearest
from noiseworks.errors import UserError

PARQUET = (".parquet", ".pq")
PAGE = 1 << 20  # bytes of each column that are read from disk at a time


def parquet_files(path: Path) -> list[Path]:
    """The file itself, or those of a folder by name, without hidden ones; none if there are none."""
    if not path.is_dir():
        return [path] if path.suffix.lower() in PARQUET else []
    return sorted(file for file in path.iterdir() if file.suffix.lower() in PARQUET and file.name[0] not in "._")


def is_index(name: str) -> bool:
    """Whether pandas wrote this column: it is none of the user's."""
    return re.fullmatch(r"__index_level_\d+__", name) is not None


@dataclass(frozen=True)
class ParquetRows:
    """The rows of all files, one after the other, with the columns of all of them."""

    path: Path
    files: tuple[Path, ...]

    @classmethod
    def of(cls, path: Path) -> ParquetRows:
        return cls(path, tuple(parquet_files(path)))

    @cached_property
    def names(self) -> list[str]:
        """The columns of the first file."""
        return list(pa.parquet.read_schema(self.files[0]).names)

    @cached_property
    def schema(self) -> pa.Schema:
        schemas = []
        for file in self.files:
            schemas.append(pa.parquet.read_schema(file).remove_metadata())
            check_names(schemas[-1].names, file)
            try:
                together = pa.unify_schemas(schemas, promote_options="permissive")
            except pa.ArrowException as error:
                raise UserError(
                    f"data.path={self.path}: {file.name} does not go together with the files before it ({error})."
                ) from error
        return pa.schema([field for field in together if not is_index(field.name)])

    @cached_property
    def num_rows(self) -> int:
        return sum(pa.parquet.read_metadata(file).num_rows for file in self.files)

    def digest(self) -> str:
        """16 hex digits from the footers, which hold the schema and each column's sizes, places and extremes."""
        sha = hashlib.sha256()
        for file in self.files:
            with file.open("rb") as content:
                content.seek(-8, 2)
                size = int.from_bytes(content.read(4), "little")
                content.seek(-8 - size, 2)
                sha.update(content.read(size))
        return sha.hexdigest()[:16]

    def batches(self, columns: Sequence[str], rows: int) -> Iterator[pa.Table]:
        """Tables of at most so many rows. Nothing is read ahead: by default Arrow holds whole row groups."""
        schema = pa.schema([self.schema.field(name) for name in columns])
        for file in self.files:
            with pa.parquet.ParquetFile(file, buffer_size=PAGE, pre_buffer=False) as content:
                there = [name for name in columns if name in content.schema_arrow.names]
                for batch in content.iter_batches(rows, columns=there, use_threads=False):
                    yield _with_columns(pa.Table.from_batches([batch]), schema)

    def table(self) -> pa.Table:
        """All rows and columns."""
        tables = []
        for file in self.files:
            with pa.parquet.ParquetFile(file) as content:
                table = content.read()
            tables.append(_with_columns(table, self.schema) if len(self.files) > 1 else table)
        together = pa.concat_tables(tables)
        return together.drop_columns([name for name in together.column_names if is_index(name)])


def _with_columns(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The table with the columns of `schema`, in its order and types; one that a file lacks has no value in it."""
    empty = {field.name: field for field in schema if field.name not in table.column_names}
    for name, field in empty.items():
        table = table.append_column(name, pa.nulls(table.num_rows, field.type))
    return table.select(schema.names).cast(schema)


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


def content_digest(path: Path) -> str:
    """16 hex digits of the bytes of a file, or of the Parquet files of a folder."""
    files = parquet_files(path) or [path]
    return _content_digest(tuple((file, file.stat().st_mtime_ns, file.stat().st_size) for file in files))


def pandas_categories(path: Path) -> tuple[str, ...]:
    """The columns of a Parquet file that were a category in pandas: Arrow may read them back as plain numbers."""
    files = parquet_files(path)
    return _categories(files[0], files[0].stat().st_mtime_ns) if files else ()


@lru_cache(maxsize=64)
def _categories(file: Path, changed: int) -> tuple[str, ...]:
    with readable(file):
        said = (pa.parquet.read_schema(file).metadata or {}).get(b"pandas", b"{}")
    columns = json.loads(said).get("columns", [])
    return tuple(str(each["name"]) for each in columns if each["pandas_type"] == "categorical")


@lru_cache(maxsize=64)
def _content_digest(files: tuple[tuple[Path, int, int], ...]) -> str:
    sha = hashlib.sha256()
    for file, *_ in files:
        with file.open("rb") as content:
            sha.update(hashlib.file_digest(content, "sha256").digest())
    return sha.hexdigest()[:16]


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
    names = [name.strip() for name in table.column_names]
    return pa.Table.from_arrays([_trimmed(column) for column in table.columns], names=names)


def _trimmed(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Text without the blanks around it, as the names of columns."""
    return pc.utf8_trim_whitespace(column) if is_text(column) else column


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
