"""Parquet on disk, a file or a folder of files: what their footers say, and their rows in batches of bounded size."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from noiseworks.errors import UserError

PARQUET = (".parquet", ".pq")
PAGE = 1 << 20  # bytes of each column that are read from disk at a time


def parquet_files(path: Path) -> list[Path]:
    """The file itself, or those of a folder by name, without hidden ones; none if there are none."""
    if not path.is_dir():
        return [path] if path.suffix.lower() in PARQUET else []
    return sorted(file for file in path.iterdir() if file.suffix.lower() in PARQUET and file.name[0] not in "._")


def is_index(name: str) -> bool:
    """Written by pandas, no column of the user's."""
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
        """Of the columns of the first file."""
        return list(pa.parquet.read_schema(self.files[0]).names)

    @cached_property
    def schema(self) -> pa.Schema:
        schemas = []
        for file in self.files:
            schemas.append(pa.parquet.read_schema(file).remove_metadata())
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
        """At most so many rows at a time. Nothing is read ahead: by default Arrow holds whole row groups."""
        schema = pa.schema([self.schema.field(name) for name in columns])
        for file in self.files:
            with pa.parquet.ParquetFile(file, buffer_size=PAGE, pre_buffer=False) as content:
                there = [name for name in columns if name in content.schema_arrow.names]
                for batch in content.iter_batches(rows, columns=there, use_threads=False):
                    yield _with_columns(pa.Table.from_batches([batch]), schema)

    def table(self) -> pa.Table:
        """All of it, with all columns."""
        tables = []
        for file in self.files:
            with pa.parquet.ParquetFile(file) as content:
                table = content.read()
            tables.append(_with_columns(table, self.schema) if len(self.files) > 1 else table)
        together = pa.concat_tables(tables)
        return together.drop_columns([name for name in together.column_names if is_index(name)])


def _with_columns(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """In this order and of these types; a column that a file lacks has no value in it."""
    empty = {field.name: field for field in schema if field.name not in table.column_names}
    for name, field in empty.items():
        table = table.append_column(name, pa.nulls(table.num_rows, field.type))
    return table.select(schema.names).cast(schema)
