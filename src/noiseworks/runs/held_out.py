"""What the noise model of a job says of each test row: kept while a sweep compares noise models."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from noiseworks.noise.lattice import log_cell
from noiseworks.outcome import Outcome
from noiseworks.problem import Problem

FOLDER = "held_out"  # of the sweep
Array = NDArray[np.float64]


@dataclass(frozen=True)
class HeldOut:
    """density: log p(y_i) (n,), in units of the data; cell: log P(y_i - 1/2 < Y <= y_i + 1/2), for counts log P(y_i),
    None where some y is no whole number, or the noise has no distribution function.
    """

    counts: bool
    density: Array
    cell: Array | None
    weights: Array | None

    @classmethod
    def of(cls, problem: Problem, outcome: Outcome) -> HeldOut | None:
        """None without test rows, and for replicates, each of which has test rows of its own."""
        part = problem.parts.get("test")
        if not part or len(outcome.theta) > 1 or outcome.failures:
            return None
        noise = problem.noise.with_scale(None if outcome.scale is None else outcome.scale[0].item())
        eta, y = problem.eta(outcome.theta[0], part), part.y
        cell = log_cell(noise, eta, y) if bool((y == y.floor()).all()) else None
        return cls(
            noise.counts,
            (-noise.nll(eta, y)).numpy(),
            None if cell is None else cell.numpy(),
            None if part.weights is None else part.weights.numpy(),
        )

    def save(self, sweep: Path, job: int) -> None:
        (sweep / FOLDER).mkdir(exist_ok=True)
        columns = {"density": self.density, "cell": self.cell, "weights": self.weights}
        table = pa.table({name: values for name, values in columns.items() if values is not None})
        facts = {"counts": "counts" if self.counts else ""}
        pq.write_table(table.replace_schema_metadata(facts), _path(sweep, job))

    @classmethod
    def load(cls, sweep: Path, job: int) -> HeldOut | None:
        """None if nothing was kept of the job."""
        if not _path(sweep, job).exists():
            return None
        table = pq.read_table(_path(sweep, job))
        columns = {name: table[name].to_numpy() for name in table.column_names}
        counts = bool(table.schema.metadata[b"counts"])
        return cls(counts, columns["density"], columns.get("cell"), columns.get("weights"))


def test_rows(problem: Problem) -> str | None:
    """A digest, equal for the same test rows in the same order; None without any. data.seed chooses the rows; of the
    same seed other data show by their values."""
    part = problem.parts.get("test")
    if not part:
        return None
    return hashlib.sha256(f"{problem.data.seed} ".encode() + part.y.numpy().tobytes()).hexdigest()[:16]


def noise_key(noise: str, swept: Mapping[str, Any]) -> Hashable:
    """Equal for jobs of the same noise model: its name, and what was swept of its settings."""
    settings = {key: str(value) for key, value in swept.items() if key == "noise" or key.startswith("noise.")}
    return noise, *sorted(settings.items())


def _path(sweep: Path, job: int) -> Path:
    return sweep / FOLDER / f"{job}.parquet"
