"""K problems of one shape, checked: float64 arrays with a leading axis of K."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from noiseworks.errors import UserError
from noiseworks.exact.problem import Array, Problem
from noiseworks.noise import Noise

CACHED = 1 << 17  # numbers of one kind (rows times members, or designs) in a block of members


@dataclass(frozen=True)
class Problems:
    """Minimize sum_i weights_ki nll(D_ki theta_k + offset_ki, y_ki) for k = 1 ... K.

    D (n, P), one for all, or (K, n, P); y, offset, weights (K, n), weights as they were given, zeros allowed.
    """

    noise: Noise
    D: Array
    y: Array
    offset: Array
    weights: Array

    @classmethod
    def of(cls, noise: Noise, D: Tensor, y: Tensor, offset: Tensor | None, weights: Tensor | None) -> Problems:
        extra = {"offset": offset, "weights": weights}
        given = {"D": D, "y": y} | {name: values for name, values in extra.items() if values is not None}
        K, n = _sizes({name: tuple(values.shape) for name, values in given.items()})
        arrays = {name: values.detach().to("cpu", torch.float64).numpy() for name, values in given.items()}
        for name, values in arrays.items():
            if not np.isfinite(values).all() and name != "y":
                raise UserError(f"{name} must be finite; some of it is not.")
        for k, own in enumerate(torch.atleast_2d(y)):
            noise.check_support(own, "y" if y.ndim == 1 else f"y of problem {k}")
        w = arrays.get("weights", np.ones(n))
        if w.min() < 0 or (w.max(axis=-1) == 0).any():
            raise UserError(f"weights must be positive; the smallest is {w.min():g}.")
        offset_of = arrays.get("offset", np.zeros(n))
        wide = [np.broadcast_to(values, (K, n)) for values in (arrays["y"], offset_of, w)]
        return cls(noise, arrays["D"], *wide)

    def __len__(self) -> int:
        return len(self.y)

    @property
    def shared(self) -> bool:
        return self.D.ndim == 2

    @property
    def target(self) -> Array:
        """transform(y) - offset (K, n)."""
        return np.asarray(self.noise.transform(tensor(self.y)).numpy()) - self.offset

    def eta(self, theta: Array) -> Array:
        """D_k theta_k + offset_k (K, n)."""
        fitted = theta @ self.D.T if self.shared else (self.D @ theta[..., None])[..., 0]
        return np.asarray(fitted + self.offset)

    def one(self, k: int) -> Problem:
        D = self.D if self.shared else self.D[k]
        return Problem.of(self.noise, *map(tensor, (D, *self._rows(k))))

    def take(self, members: NDArray[np.intp]) -> Problems:
        y, offset, weights = self._rows(members)
        return replace(self, D=self.D if self.shared else self.D[members], y=y, offset=offset, weights=weights)

    def blocks(self) -> Iterator[NDArray[np.intp]]:
        """Members of which no intermediate result is larger than the cache, nor memory if their rows are few."""
        per_member = self.y.shape[1] * (1 if self.shared else self.D.shape[-1])
        yield from np.array_split(np.arange(len(self)), max(1, -(-len(self) * per_member // CACHED)))

    def _rows(self, members: NDArray[np.intp] | int) -> tuple[Array, Array, Array]:
        return self.y[members], self.offset[members], self.weights[members]


def tensor(values: Array) -> Tensor:
    """A copy only where torch needs one: of what is spread over the axis without being in memory more than once."""
    return torch.from_numpy(np.require(values, requirements=["C", "W"]))


def _sizes(shapes: dict[str, tuple[int, ...]]) -> tuple[int, int]:
    """K and n, or a sentence about what does not fit."""
    rows = {name: shape[:-1] if name == "D" else shape for name, shape in shapes.items()}
    K = {shape[0] for shape in rows.values() if len(shape) == 2} or {1}
    n = {shape[-1] for shape in rows.values() if shape}
    if len(K) > 1 or len(n) > 1 or not all(len(shape) in (1, 2) and min(shape) > 0 for shape in rows.values()):
        theirs = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise UserError(
            f"K problems must share their rows, D (n, P) or (K, n, P) and y (n,) or (K, n); given: {theirs}."
        )
    return K.pop(), n.pop()
