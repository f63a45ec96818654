"""The rows of a design as an interior point method asks for them, for K problems at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from noiseworks.exact.problem import Array

CHUNK = 8192  # rows whose weighted copy stays in the cache
PRODUCTS = 1 << 24  # numbers: up to so many, the products of all pairs of columns are kept


@dataclass(frozen=True)
class Rows:
    """A', (r, n) for one design that K problems share, or (K, r, n); `products` (n, r (r + 1) / 2), see `gram`."""

    At: Array
    pairs: tuple[NDArray[np.intp], NDArray[np.intp]]
    products: Array | None

    @classmethod
    def of(cls, A: Array, K: int) -> Rows:
        """A (n, r) or (K, n, r)."""
        At = np.ascontiguousarray(np.swapaxes(A, -1, -2))
        pairs = np.tril_indices(A.shape[-1])
        products = None
        if K > 1 and A.ndim == 2 and A.shape[0] * len(pairs[0]) <= PRODUCTS:
            products = A[:, pairs[0]] * A[:, pairs[1]]
        return cls(At, pairs, products)

    def times(self, b: Array) -> Array:
        """A_k b_k (K, n)."""
        return np.asarray(b @ self.At if self.At.ndim == 2 else (b[:, None, :] @ self.At)[:, 0])

    def turned(self, x: Array) -> Array:
        """A_k' x_k (K, r)."""
        return np.asarray(x @ self.At.T if self.At.ndim == 2 else (self.At @ x[..., None])[..., 0])

    def gram(self, weights: Array) -> Array:
        """A_k' diag(weights_k) A_k (K, r, r)."""
        if self.products is None:
            designs = np.broadcast_to(self.At, (len(weights), *self.At.shape[-2:]))
            return np.stack([_gram(At, root) for At, root in zip(designs, np.sqrt(weights))])
        r = len(self.At)
        full = np.empty((len(weights), r, r))
        full[:, self.pairs[0], self.pairs[1]] = full[:, self.pairs[1], self.pairs[0]] = weights @ self.products
        return full


def _gram(At: Array, root: Array) -> Array:
    """A matrix times its own transpose is half the work for BLAS."""
    total = np.zeros((len(At), len(At)))
    for low in range(0, len(root), CHUNK):
        block = At[:, low : low + CHUNK] * root[low : low + CHUNK]
        total += block @ block.T
    return total
