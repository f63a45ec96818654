"""The same rows fitted twice: held in memory, and streamed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import torch

from noiseworks.chunked.fit import check_chunkable, fit_chunked
from noiseworks.chunked.problem import ChunkedProblem, chunked_problem
from noiseworks.data.table import Table
from noiseworks.exact import Exact, solve_problem
from noiseworks.fit import solve_exactly
from noiseworks.model import Linear, Model
from noiseworks.noise import Noise
from noiseworks.outcome import Outcome
from noiseworks.problem import Problem, make_problem
from noiseworks.train.ensemble import Member

LINEAR = Linear(intercept=True, init_scale=0.0)
COMMON: dict[str, Any] = {
    "seed": 3,
    "batch_size": 32,
    "order": "shuffle",
    "val_fraction": None,
    "test_fraction": 0.0,
    "standardize": True,
    "allow_fractions": False,
    "features": None,
    "missing": "error",
    "offset": None,
    "weights": None,
}


def table(path: Path, memory_mb: int | None, **settings: Any) -> Table:
    return Table(path=str(path), target="y", memory_mb=memory_mb, **(COMMON | settings))


def held(path: Path, noise: Noise, model: Model = LINEAR, method: str = "auto", **settings: Any) -> Outcome:
    data = table(path, None, **settings)
    assert not data.in_chunks
    problem = make_problem(data, noise.with_scale(None), model, data.val_fraction or 0.0, 0)
    return solve_exactly([_member(problem, noise, method)], [solve_problem(problem, noise)])


def streamed(
    path: Path, noise: Noise, model: Model = LINEAR, method: str = "auto", memory_mb: int = 1, **settings: Any
) -> Outcome:
    return fit_chunked(streamed_problem(path, noise, model, memory_mb, method, **settings), noise, method)


def streamed_problem(
    path: Path, noise: Noise, model: Model = LINEAR, memory_mb: int = 1, method: str = "auto", **settings: Any
) -> ChunkedProblem:
    data = table(path, memory_mb, **settings)
    assert data.in_chunks
    check_chunkable(noise, model, Exact(method), 1, data.source)
    return chunked_problem(data, noise.with_scale(None), model, data.val_fraction or 0.0, 0, quiet=True)


def _member(problem: Problem, noise: Noise, method: str) -> Member:
    return Member(problem, noise, Exact(method), None, 0, 0)


def columns(n: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Features of many kinds: correlated, far from zero and in order, whole numbers, a rare level (of 5
    rows: an even number of them would have no unique median)."""
    rng = np.random.default_rng(seed)
    a = rng.normal(size=n)
    return {
        "a": a,
        "b": 0.7 * a + rng.normal(size=n),
        "year": np.linspace(1990, 2020, n) + rng.normal(size=n) / 100,
        "children": rng.integers(0, 4, n),
        "town": np.where(rng.permutation(n) < 5, "far", rng.choice(["east", "north", "west"], n)),
    }


def eta(x: dict[str, np.ndarray]) -> np.ndarray:
    town = np.select([x["town"] == "west", x["town"] == "far"], [0.3, -0.4])
    return 0.2 + 0.3 * x["a"] - 0.2 * x["b"] + (x["year"] - 2000) / 40 + 0.1 * x["children"] + town


def drawn(noise: Noise, n: int, seed: int = 0, exposure: float = 0.0) -> dict[str, np.ndarray]:
    """The columns, y of this noise, log_exposure and a weight of every row."""
    x, rng = columns(n, seed), np.random.default_rng(seed + 1)
    log_exposure = exposure * rng.normal(size=n)
    generator = torch.Generator().manual_seed(seed)
    y = noise.sample(torch.from_numpy(eta(x) + log_exposure), generator).numpy()
    return x | {"y": y, "log_exposure": log_exposure, "weight": rng.uniform(0.5, 2.0, n)}


def write(path: Path, given: dict[str, Any], files: int = 1, group: int = 1500) -> Path:
    """One file, or a folder of several."""
    whole = pa.table(given)
    if files == 1:
        pa.parquet.write_table(whole, path, row_group_size=group)
        return path
    path.mkdir()
    size = -(-whole.num_rows // files)
    for k in range(files):
        pa.parquet.write_table(whole.slice(k * size, size), path / f"part-{k}.parquet", row_group_size=group)
    return path
