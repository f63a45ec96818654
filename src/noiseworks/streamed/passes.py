"""Passes over the rows of a stream, shown on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count

from tqdm import tqdm


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
