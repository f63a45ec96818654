"""Writes a Parquet data set of any size, a block at a time, for fits of tables that are larger than memory.

    python scripts/make_parquet.py big --rows 20000000 --features 20 --noise poisson
    noiseworks optimizer=exact noise=poisson data=table data.path=big data.target=y

x0, x1, ... are correlated normal variables (x1 shares half of x0, and so on), y is drawn from the noise model with
eta = 0.5 + sum_j w_j x_j, w_j = (-1)^j / (j + 2); the folder also gets truth.json with the coefficients.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from noiseworks.noise import Gaussian, Laplace, Noise, Poisson

NOISES: dict[str, Noise] = {"gaussian": Gaussian(), "laplace": Laplace(), "poisson": Poisson(link="log")}
GROUP = 1 << 17  # rows in a row group, the most that are held at a time


def main() -> None:
    given = arguments()
    given.folder.mkdir(parents=True, exist_ok=True)
    weights = np.array([(-1) ** j / (j + 2) for j in range(given.features)])
    per_file = -(-given.rows // given.files)
    for k in range(given.files):
        rows = min(per_file, given.rows - k * per_file)
        write(given.folder / f"part-{k:04}.parquet", rows, weights, NOISES[given.noise], (given.seed, k))
    truth = {"intercept": 0.5, **{f"x{j}": float(w) for j, w in enumerate(weights)}}
    (given.folder / "truth.json").write_text(json.dumps(truth, indent=2) + "\n")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--noise", choices=NOISES, default="gaussian")
    parser.add_argument("--files", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def write(path: Path, rows: int, weights: np.ndarray, noise: Noise, seed: tuple[int, int]) -> None:
    rng = np.random.default_rng(seed)
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    names = [f"x{j}" for j in range(len(weights))]
    schema = pa.schema([*((name, pa.float64()) for name in names), ("y", pa.float64())])
    with pq.ParquetWriter(path, schema, use_dictionary=False) as writer:
        for low in range(0, rows, GROUP):
            X = rng.standard_normal((min(GROUP, rows - low), len(weights)))
            X[:, 1:] += 0.5 * X[:, :-1]
            y = noise.sample(torch.from_numpy(0.5 + X @ weights), generator).numpy()
            writer.write_table(pa.table([*X.T.copy(), y], schema=schema))


if __name__ == "__main__":
    main()
