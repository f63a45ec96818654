"""Tables for the tests of noiseworks.data."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from noiseworks.data.table import Table

COMMON: dict[str, Any] = {
    "seed": 0,
    "batch_size": 32,
    "order": "shuffle",
    "val_fraction": None,
    "test_fraction": 0.0,
    "standardize": True,
    "allow_fractions": False,
}


def table(path: Path | str, target: str = "y", **settings: Any) -> Table:
    given = COMMON | {"features": None, "missing": "error", "offset": None, "weights": None} | settings
    return Table(path=str(path), target=target, **given)


def write(path: Path, text: str | bytes) -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def write_parquet(path: Path, **columns: Any) -> Path:
    pa.parquet.write_table(pa.table(columns), path)
    return path
