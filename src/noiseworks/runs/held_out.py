"""What the noise model of a job says of each test row: kept while a sweep compares noise models."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from numpy.typing import NDArray
from torch import Tensor

from noiseworks.noise.base import Noise
from noiseworks.noise.lattice import log_cell, off_grid
from noiseworks.outcome import Outcome
from noiseworks.problem import Problem
from noiseworks.runs.predictor import build, settings

FOLDER = "held_out"  # of the sweep
Array = NDArray[np.float64]


@dataclass(frozen=True)
class HeldOut:
    """Predictors and targets (n,) of the test rows, in units of the data, and the noise model with its scale."""

    noise: Noise
    eta: Tensor
    y: Tensor
    weights: Array | None

    @classmethod
    def of(cls, problem: Problem, outcome: Outcome) -> HeldOut | None:
        """None without test rows, and for replicates, each of which has test rows of its own."""
        part = problem.parts.get("test")
        if not part or len(outcome.theta) > 1 or outcome.failures:
            return None
        noise = problem.noise.with_scale(None if outcome.scale is None else outcome.scale[0].item())
        weights = None if part.weights is None else part.weights.numpy()
        return cls(noise, problem.eta(outcome.theta[0], part), part.y, weights)

    @property
    def on_lattice(self) -> bool:
        """Whether the noise model is of values that are multiples of its step, and all y are."""
        return self.noise.counts and not bool(off_grid(self.y, self.noise.step).any())

    def log_likelihood(self, width: float | None) -> Array | None:
        """log P(y - width / 2 < Y <= y + width / 2) (n,), None where no formula is known; without a width log p(y)."""
        found = -self.noise.nll(self.eta, self.y) if width is None else log_cell(self.noise, self.eta, self.y, width)
        return None if found is None else found.numpy()

    def save(self, sweep: Path, job: int) -> None:
        (sweep / FOLDER).mkdir(exist_ok=True)
        columns = {"eta": self.eta.numpy(), "y": self.y.numpy(), "weights": self.weights}
        table = pa.table({name: values for name, values in columns.items() if values is not None})
        pq.write_table(table.replace_schema_metadata({"noise": json.dumps(settings(self.noise))}), _path(sweep, job))

    @classmethod
    def load(cls, sweep: Path, job: int) -> HeldOut | None:
        """None if nothing was kept of the job."""
        if not _path(sweep, job).exists():
            return None
        table = pq.read_table(_path(sweep, job))
        columns = {name: table[name].to_numpy().copy() for name in table.column_names}
        eta, y = (torch.from_numpy(columns[name]) for name in ("eta", "y"))
        return cls(build(json.loads(table.schema.metadata[b"noise"])), eta, y, columns.get("weights"))


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
