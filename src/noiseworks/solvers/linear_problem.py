"""What a solver is given, checked: float64 arrays of one problem, and of K problems with a leading axis of K."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from numbers import Real

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from noiseworks.errors import UserError
from noiseworks.noise import Noise

Array = NDArray[np.float64]
ROWWISE = ("D", "y", "offset", "weights")


@dataclass(frozen=True)
class LinearProblem:
    """Minimize mean_i weights_i nll(D_i theta + offset_i, y_i) + ridge / 2 * sum_j theta_j^2, j in `penalized`.

    D (n, P); y, offset, weights (n,), of mean one; penalized (P,), None: all of theta. Gaussian noise (of log y for
    LogNormal) counts with scale 1 under a ridge, as squared loss over two, whatever its scale is.
    unit: the mean of the weights as they were given, without those that are zero.
    method: auto, or one of `noiseworks.solvers.naive.METHODS`.
    """

    noise: Noise
    D: Array
    y: Array
    offset: Array
    weights: Array
    unit: float = 1.0
    ridge: float = 0.0
    penalized: NDArray[np.bool_] | None = None
    method: str = "auto"

    @classmethod
    def of(
        cls,
        noise: Noise,
        D: Tensor,
        y: Tensor,
        offset: Tensor | None = None,
        weights: Tensor | None = None,
        *,
        ridge: float = 0.0,
        penalized: Tensor | None = None,
    ) -> LinearProblem:
        if D.ndim != 2 or y.ndim != 1 or D.shape[0] != y.shape[0] or y.shape[0] == 0:
            raise UserError(f"The design must be (n, P) and y (n,), n > 0; they are {_shape(D)} and {_shape(y)}.")
        for name, extra in (("offset", offset), ("weights", weights)):
            if extra is not None and extra.shape != y.shape:
                raise UserError(f"{name} must have the shape of y, {_shape(y)}; it is {_shape(extra)}.")
        check_ridge(ridge, "ridge")
        if penalized is not None and penalized.shape != D.shape[1:]:
            raise UserError(
                f"penalized must have the shape {_shape(D[0])}, one for each column; it is {_shape(penalized)}."
            )
        noise.check_support(y)
        n = y.shape[0]
        made = cls(
            noise if noise.scale_value is None else noise.with_scale(float(noise.scale_value)),
            _array(D),
            _array(y),
            np.zeros(n) if offset is None else _array(offset),
            np.ones(n) if weights is None else _array(weights),
            ridge=float(ridge),
            penalized=None if penalized is None else penalized.detach().cpu().numpy().astype(bool),
        )
        made._check_numbers()
        made = made._usual_weights()
        made._check_rank()
        return made

    @property
    def penalty(self) -> Array | None:
        """The square roots (P,) of what multiplies theta_j^2 / 2; None without a ridge."""
        if self.ridge == 0:
            return None
        penalized = np.ones(self.D.shape[1]) if self.penalized is None else self.penalized
        return np.asarray(np.sqrt(self.ridge) * penalized)

    @cached_property
    def target(self) -> Array:
        """transform(y) - offset: what D theta approximates under a location-scale noise."""
        return _array(self.noise.transform(torch.from_numpy(self.y))) - self.offset

    def _check_numbers(self) -> None:
        for name, values in (("the design", self.D), ("offset", self.offset), ("weights", self.weights)):
            if not np.isfinite(_sum(values)) and not np.isfinite(values).all():
                row = int(np.argwhere(~np.isfinite(values))[0][0])
                raise UserError(f"{name} is not finite in row {row + 1}.")
        if self.weights.min() < 0 or self.weights.max() == 0:
            raise UserError(f"weights must be positive; the smallest is {self.weights.min():g}.")

    def _check_rank(self) -> None:
        if self.D.shape[1] and not self.D[:1].any() and not self.D.any():
            raise UserError(
                f"The design has rank 0: each of its {self.D.shape[1]} columns is zero in all rows. It needs a column "
                "that is not, or the constant (model.intercept=true)."
            )

    def _usual_weights(self) -> LinearProblem:
        """Of mean one, without the rows of weight zero."""
        used = self.weights > 0
        rows = self if used.all() else replace(self, **{name: getattr(self, name)[used] for name in ROWWISE})
        unit = float(rows.weights.mean())
        return replace(rows, weights=rows.weights / unit, unit=unit)


def check_ridge(ridge: float, key: str) -> None:
    if isinstance(ridge, bool) or not (isinstance(ridge, Real) and 0 <= ridge < float("inf")):
        raise UserError(f"{key}={ridge} is no penalty; it must be a number of at least 0.")


def _sum(values: Array) -> float:
    """Finite only if all values are; a fraction of the time and none of the memory that asking each takes."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(values.sum())


def _array(values: Tensor) -> Array:
    array: Array = values.detach().to("cpu", torch.float64).numpy()
    return array


def _shape(values: Tensor) -> str:
    return str(tuple(values.shape))


MEMBERS_CACHED = 1 << 17  # numbers of one kind (rows times members, or designs) in a block of members


@dataclass(frozen=True)
class LinearProblems:
    """Minimize sum_i weights_ki nll(D_ki theta_k + offset_ki, y_ki) for k = 1 ... K.

    D (n, P), one for all, or (K, n, P); y, offset, weights (K, n), weights as they were given, zeros allowed.
    """

    noise: Noise
    D: Array
    y: Array
    offset: Array
    weights: Array

    @classmethod
    def of(cls, noise: Noise, D: Tensor, y: Tensor, offset: Tensor | None, weights: Tensor | None) -> LinearProblems:
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

    def one(self, k: int) -> LinearProblem:
        D = self.D if self.shared else self.D[k]
        return LinearProblem.of(self.noise, *map(tensor, (D, *self._rows(k))))

    def take(self, members: NDArray[np.intp]) -> LinearProblems:
        y, offset, weights = self._rows(members)
        return replace(self, D=self.D if self.shared else self.D[members], y=y, offset=offset, weights=weights)

    def blocks(self) -> Iterator[NDArray[np.intp]]:
        """Members of which no intermediate result is larger than the cache, nor memory if their rows are few."""
        per_member = self.y.shape[1] * (1 if self.shared else self.D.shape[-1])
        yield from np.array_split(np.arange(len(self)), max(1, -(-len(self) * per_member // MEMBERS_CACHED)))

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
