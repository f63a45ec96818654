"""What least squares needs to know of all rows, in a few numbers."""

from __future__ import annotations

import numpy as np
import torch

from noiseworks.exact.problem import Array

CHUNK = 8192  # rows in the cache


class Triangle:
    """R of the QR of all rows that were added, (at most k, k): R'R = rows'rows, without the digits that forming this
    product would cost."""

    def __init__(self, num_columns: int) -> None:
        self.R = torch.empty(0, num_columns, dtype=torch.float64)

    def add(self, rows: Array) -> None:
        """rows (n, k)."""
        for low in range(0, len(rows), CHUNK):
            block = torch.from_numpy(rows[low : low + CHUNK])
            self.R = torch.linalg.qr(torch.cat((self.R, block)), mode="r").R

    def times(self, M: Array) -> Array:
        """R of the QR of rows @ M, for a change of units M (k, l)."""
        return np.asarray(np.linalg.qr(self.R.numpy() @ M, mode="r"))
