from __future__ import annotations

import numpy as np

from noiseworks.exact.problem import Array


class Gathered:
    """Rows (n, k) put one below the other as they come, in one array.

    In a list of many pieces each would take a bite of the memory that a block has just given back, which the next block
    then no longer fits into: measured, 2 GB of holes in a pass over 20 million rows.
    """

    def __init__(self, num_columns: int, expected: float) -> None:
        self.space = np.empty((int(1.1 * expected) + 1000, num_columns))
        self.n = 0

    def add(self, *columns: Array) -> None:
        """(n, ..) and (n,) arrays, side by side."""
        n = len(columns[0])
        if self.n + n > len(self.space):
            larger = np.empty((2 * (self.n + n), self.space.shape[1]))
            larger[: self.n] = self.rows
            self.space = larger
        start = 0
        for part in columns:
            width = part.shape[1] if part.ndim == 2 else 1
            self.space[self.n : self.n + n, start : start + width] = part.reshape(n, width)
            start += width
        self.n += n

    @property
    def rows(self) -> Array:
        return np.asarray(self.space[: self.n])
