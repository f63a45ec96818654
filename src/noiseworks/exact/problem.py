"""What a solver is given, checked: float64 arrays, offset and weights filled in."""

from __future__ import annotations

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
class Problem:
    """Minimize mean_i weights_i nll(D_i theta + offset_i, y_i) + ridge / 2 * sum_j theta_j^2, j in `penalized`.

    D (n, P); y, offset, weights (n,), of mean one; penalized (P,), None: all of theta. Gaussian noise (of log y for
    LogNormal) counts with scale 1 under a ridge, as squared loss over two, whatever its scale is.
    unit: the mean of the weights as they were given, without those that are zero.
    method: auto, or one of `noiseworks.exact.naive.METHODS`.
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
    ) -> Problem:
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

    def _usual_weights(self) -> Problem:
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
