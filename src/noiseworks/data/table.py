"""A person's own table, or one shipped with the package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from hydra.utils import to_absolute_path

from noiseworks.data.base import Data, Examples
from noiseworks.data.chunks import Passes, TableChunks, survey, used_columns
from noiseworks.data.columns import Roles
from noiseworks.data.encoding import encode
from noiseworks.data.reading import (
    ParquetRows,
    content_digest,
    existing,
    pandas_categories,
    parquet_files,
    read,
    readable,
)
from noiseworks.errors import UserError

SHIPPED = "shipped:"
MISSING = ("error", "drop")
WEIGHT_KINDS = ("precision", "frequency")
NUMBER = 64  # bytes that a number of the table takes in an exact fit that holds all rows, its copies included
MIB = 2**20


@dataclass(frozen=True, kw_only=True)
class Table(Data):
    """Rows of a CSV or Parquet file, or of all Parquet files of a folder; a path `shipped:houses.csv` is that of a file
    in the package."""

    path: str
    target: str
    features: Sequence[str] | None
    missing: str
    offset: str | None
    weights: str | None
    exposure: str | None = None
    categorical: Sequence[str] | None = None
    weight_kind: str = "precision"
    memory_mb: int | None = None  # None: all rows are read, however many

    def __post_init__(self) -> None:
        super().__post_init__()
        for key, example in {"path": "shop.csv", "target": "sold"}.items():
            if getattr(self, key) in (None, ""):
                raise UserError(f"data.{key} is not set; say, for example, data.{key}={example}.")
        if self.missing not in MISSING:
            raise UserError(f"data.missing={self.missing} is unknown; it must be one of {', '.join(MISSING)}.")
        if self.weight_kind not in WEIGHT_KINDS:
            raise UserError(
                f"data.weight_kind={self.weight_kind} is unknown; it must be one of {', '.join(WEIGHT_KINDS)}."
            )
        if self.weight_kind == "frequency" and self.weights is None:
            raise UserError("data.weight_kind=frequency says what data.weights is; say data.weights=COLUMN, too.")
        if self.memory_mb is not None and self.memory_mb < 1:
            raise UserError(f"data.memory_mb={self.memory_mb} is no memory; it must be at least 1, or null.")
        for key in ("features", "categorical"):
            if isinstance(value := getattr(self, key), str):
                raise UserError(f"data.{key}={value} is no list; say data.{key}=[{value}].")

    def examples(self, replicate: int) -> Examples:
        path = self.file
        states = tuple(
            (now.st_mtime_ns, now.st_size) for now in (file.stat() for file in parquet_files(path) or [path])
        )
        return _load(path, states, self.roles, self.missing, self.source)

    def inputs(self) -> dict[str, str]:
        return {self.source: content_digest(self.file)}

    @property
    def in_chunks(self) -> bool:
        """Whether it is read in chunks: what an exact fit holds of these rows is more than `memory_mb`."""
        if self.memory_mb is None or not parquet_files(self.file):
            return False
        rows = self.rows
        with readable(rows.path):
            used = used_columns(self.roles, self.roles.choose(rows.schema.names, self.source))
            return rows.num_rows * len(used) * NUMBER > self.memory_mb * MIB

    def chunks(self, passes: Passes) -> TableChunks:
        """The rows in chunks; only for Parquet."""
        assert self.memory_mb is not None
        return survey(self.rows, self.roles, self.missing, self.source, self.memory_mb * MIB, passes)

    @property
    def rows(self) -> ParquetRows:
        return ParquetRows.of(self.file)

    @property
    def source(self) -> str:
        return self.path if self.path.startswith(SHIPPED) else str(self.file)

    @property
    def file(self) -> Path:
        """A relative path is relative to the folder the command was typed in."""
        if self.path.startswith(SHIPPED):
            return existing(Path(__file__).with_name("files") / self.path.removeprefix(SHIPPED))
        return existing(Path(to_absolute_path(str(Path(self.path).expanduser()))))

    @property
    def roles(self) -> Roles:
        # A column named 2020 arrives as a number.
        features = None if self.features is None else tuple(map(str, self.features))
        one = {key: getattr(self, key) for key in ("offset", "weights", "exposure")}
        names = {key: None if name is None else str(name) for key, name in one.items()}
        roles = Roles(str(self.target), features, names["offset"], names["weights"], names["exposure"])
        apart = roles.named().values()
        declared = [n for n in pandas_categories(self.file) if n not in apart and (features is None or n in features)]
        frequency = self.weight_kind == "frequency"
        return replace(
            roles, frequency=frequency, categorical=tuple(dict.fromkeys([*map(str, self.categorical or ()), *declared]))
        )


@lru_cache(maxsize=8)  # the members of a group read a file once, and once more when it has changed
def _load(path: Path, states: tuple[tuple[int, int], ...], roles: Roles, missing: str, source: str) -> Examples:
    return encode(read(path), roles, missing, source)
