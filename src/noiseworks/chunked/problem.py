"""A problem whose rows stay on disk, and passes over them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from noiseworks.chunked.first_pass import Totals
from noiseworks.data.base import Examples, split_rows
from noiseworks.data.chunks import TableChunks, ahead
from noiseworks.data.scaling import Scaling, fit_scaling
from noiseworks.data.table import Table
from noiseworks.errors import UserError
from noiseworks.model import Model
from noiseworks.noise import Noise
from noiseworks.problem import Part, Problem, check_target
from noiseworks.solvers.linear_problem import LinearProblem
from noiseworks.solvers.quantile.preprocessing import sample_size
from noiseworks.solvers.sufficient_statistics import Pass, Sketch, Triangle


@dataclass(frozen=True)
class Passes:
    """`with passes("signs") as bar` is a pass; bar.update(n) says that n rows went by."""

    num_rows: int
    quiet: bool
    numbers: Iterator[int] = field(default_factory=lambda: count(1))

    @contextmanager
    def __call__(self, what: str) -> Iterator[tqdm]:
        name = f"pass {next(self.numbers)}, {what}"
        with tqdm(
            total=self.num_rows, desc=name, unit=" rows", unit_scale=True, disable=self.quiet, dynamic_ncols=True
        ) as bar:
            yield bar


PARTS = ("train", "val", "test")
SAMPLE = 100_000  # rows from which Newton's method starts
BYTES = 128  # that a number of the sample takes while it is fitted
SPLIT = 9  # bytes a row while the rows are split: a permutation, and the part of each


@dataclass(frozen=True)
class ChunkedRows:
    """The rows of a table and the part that each of them is in; None: all are training rows."""

    chunks: TableChunks
    passes: Passes
    parts: NDArray[np.uint8] | None

    def __call__(
        self, what: str, check: Callable[[Examples], None] = lambda block: None
    ) -> Iterator[tuple[str, Examples]]:
        """All rows, once more: (part, some of its rows). `check` may raise a UserError that names a row."""
        with self.passes(what) as bar:
            yield from ahead(self._split(self.chunks.blocks(bar.update), check))

    def _split(self, blocks: Iterator[Examples], check: Callable[[Examples], None]) -> Iterator[tuple[str, Examples]]:
        start = 0
        for block in blocks:
            check(block)
            if self.parts is None:
                start += len(block)
                yield "train", block
                continue
            own = self.parts[start : start + len(block)]
            start += len(block)
            for k in np.unique(own):
                yield PARTS[k], block.take(torch.from_numpy(np.flatnonzero(own == k)))


@dataclass(frozen=True)
class ChunkedProblem(Problem):
    """`examples` and `parts` are a sample of the training rows: what figures, names and shapes are taken from."""

    rows: ChunkedRows
    totals: Totals
    counts: dict[str, int]  # part -> its number of rows

    def num_rows(self, part: str) -> int:
        return self.counts[part]

    def training_rows(self, noise: Noise) -> Pass:
        """What the exact solvers take."""

        def blocks(what: str) -> Iterator[LinearProblem]:
            for name, examples in self.rows(what):
                if name == "train":
                    yield self.exact(noise, self.part(examples))

        return blocks

    def exact(self, noise: Noise, part: Part) -> LinearProblem:
        """Some rows in units of the fit, weights of mean one over all of them."""
        y, offset = self.in_fit_units(part)
        unit = self.totals.unit
        offset = torch.zeros_like(y) if offset is None else offset
        weights = torch.ones_like(y) if part.weights is None else part.weights / unit
        return LinearProblem(noise, part.D.numpy(), y.numpy(), offset.numpy(), weights.numpy(), unit)

    def sketch(self, noise: Noise) -> Sketch:
        sample = self.exact(noise, self.parts["train"])
        sample = replace(sample, weights=sample.weights / sample.weights.mean())
        return Sketch(self.totals.small(self.scaling), self.totals.n, sample, self.rows.chunks.memory)


def chunked_problem(
    data: Table, noise: Noise, model: Model, val_fraction: float, replicate: int, quiet: bool
) -> ChunkedProblem:
    """Survey, split and first pass; every mistake in the data is found here."""
    passes = Passes(data.rows.num_rows, quiet)
    chunks = data.chunks(passes)
    if "intercept" in chunks.head.features:
        raise UserError(f"The column 'intercept' of {chunks.head.source} has the name of the constant; rename it.")
    rows = ChunkedRows(chunks, passes, _split(data, chunks, val_fraction, replicate))
    counts = _counts(rows.parts, chunks.num_rows)
    totals = _first_pass(rows, data, noise, model, counts["train"])
    scaling = totals.scaling(data.standardize)
    said = {name: getattr(chunks.head, name) for name in ("lacking", "lacks", "vanished")}
    sample = replace(totals.examples(), total=chunks.num_rows, **said)
    problem = ChunkedProblem(data, noise, model, sample, scaling, {}, rows, totals, counts)
    nothing = problem.part(sample.take(torch.arange(0)))
    problem.parts.update({"train": problem.part(sample), "val": nothing, "test": nothing})
    return problem


def _split(data: Table, chunks: TableChunks, val_fraction: float, replicate: int) -> NDArray[np.uint8] | None:
    """The same rows as `split_rows` has in memory, which takes a permutation of them all."""
    if data.test_fraction == 0 and val_fraction == 0:
        return None
    needed = SPLIT * chunks.num_rows
    if needed > chunks.memory:
        raise UserError(
            f"data.val_fraction={val_fraction:g} and data.test_fraction={data.test_fraction:g} take a permutation of "
            f"all {chunks.num_rows} rows; data.memory_mb must be at least {-(-needed // 2**20)}."
        )
    parts = np.zeros(chunks.num_rows, dtype=np.uint8)
    for name, index in split_rows(data, chunks.num_rows, val_fraction, replicate).items():
        parts[index.numpy()] = PARTS.index(name)
    return parts


def _counts(parts: NDArray[np.uint8] | None, num_rows: int) -> dict[str, int]:
    found = [num_rows, 0, 0] if parts is None else np.bincount(parts, minlength=3).tolist()
    return dict(zip(PARTS, found))


def _first_pass(rows: ChunkedRows, data: Table, noise: Noise, model: Model, num_train: int) -> Totals:
    totals, num_columns = None, model.num_parameters(len(rows.chunks.head.features))
    for name, block in rows("sums", lambda block: check_target(block, noise, data.allow_fractions)):
        if name != "train":
            continue
        if totals is None:
            first = Scaling.none(block.X.shape[1])
            first = fit_scaling(block, noise, model.intercept) if data.standardize else first
            wanted = sample_size(num_train, max(num_columns, 1)) if noise.quantile_level is not None else SAMPLE
            most = rows.chunks.memory // (BYTES * (num_columns + block.X.shape[1] + 3))
            size, draws = min(wanted, most, num_train), np.random.default_rng(0)
            totals = Totals(model, noise, first, Triangle(num_columns + 2), draws, size / num_train, size)
        totals.add(block)
    assert totals is not None
    return totals
