"""A sum over the rows, by spans of rows that are worked on side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import reduce

import numpy as np
import torch

from noiseworks.solvers.linear_problem import Array

LONG = 1 << 15  # rows in a span, at least
SPANS = 8  # however many threads there are, so that the last digits do not depend on them
CACHED = 1 << 18  # numbers in a block of rows: it stays in the cache while it is used several times
NARROW = 40_000  # numbers in a product of matrices: few enough to stay in the nearest cache, and with one thread

Parts = tuple[float | Array, ...]


def summed(n: int, part: Callable[[slice], Parts]) -> Parts:
    """The sums of what `part` returns for each span of rows. In threads: numpy and torch let go of Python's lock, and
    blocks of rows are too short for them to start threads of their own."""
    size = max(-(-n // SPANS), LONG)
    spans = [slice(low, min(low + size, n)) for low in range(0, n, size)]
    threads = min(torch.get_num_threads(), len(spans))
    if threads > 1:
        with ThreadPoolExecutor(threads) as pool:
            parts = list(pool.map(part, spans))
    else:
        parts = [part(span) for span in spans]
    return reduce(lambda left, right: tuple(a + b for a, b in zip(left, right)), parts)


def blocks(span: slice, columns: int, numbers: int = CACHED, longest: int = 16384) -> Iterator[slice]:
    """The span in blocks of about as many numbers each."""
    size = min(max(numbers // max(columns, 1), 256), longest)
    for low in range(span.start, span.stop, size):
        yield slice(low, min(low + size, span.stop))


def weighted_gram(D: Array, weights: Array) -> Array:
    """D' diag(weights) D (P, P); weights (n,) of any sign."""
    total = np.zeros((D.shape[1], D.shape[1]))
    for rows in blocks(slice(0, len(D)), D.shape[1], NARROW):
        total += D[rows].T @ (weights[rows, None] * D[rows])
    return total
