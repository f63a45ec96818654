"""What a solver is given, checked: float64 arrays, offset and weights filled in."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
    """Minimize mean_i weights_i nll(D_i theta + offset_i, y_i). D (n, P); y, offset, weights (n,), of mean one.

    unit: the mean of the weights as they were given, without those that are zero.
    """

    noise: Noise
    D: Array
    y: Array
    offset: Array
    weights: Array
    unit: float = 1.0

    @classmethod
    def of(cls, noise: Noise, D: Tensor, y: Tensor, offset: Tensor | None, weights: Tensor | None) -> Problem:
        if D.ndim != 2 or y.ndim != 1 or D.shape[0] != y.shape[0] or y.shape[0] == 0:
            raise UserError(f"The design must be (n, P) and y (n,), n > 0; they are {_shape(D)} and {_shape(y)}.")
        for name, extra in (("offset", offset), ("weights", weights)):
            if extra is not None and extra.shape != y.shape:
                raise UserError(f"{name} must have the shape of y, {_shape(y)}; it is {_shape(extra)}.")
        noise.check_support(y)
        n = y.shape[0]
        made = cls(
            noise if noise.scale_value is None else noise.with_scale(float(noise.scale_value)),
            _array(D),
            _array(y),
            np.zeros(n) if offset is None else _array(offset),
            np.ones(n) if weights is None else _array(weights),
        )
        made._check_numbers()
        return made._usual_weights()

    @property
    def target(self) -> Array:
        """transform(y) - offset: what D theta approximates under a location-scale noise."""
        return _array(self.noise.transform(torch.from_numpy(self.y))) - self.offset

    def _check_numbers(self) -> None:
        for name, values in (("the design", self.D), ("offset", self.offset), ("weights", self.weights)):
            if not np.isfinite(values).all():
                row = int(np.argwhere(~np.isfinite(values))[0][0])
                raise UserError(f"{name} is not finite in row {row + 1}.")
        if self.weights.min() < 0 or self.weights.max() == 0:
            raise UserError(f"weights must be positive; the smallest is {self.weights.min():g}.")

    def _usual_weights(self) -> Problem:
        """Of mean one, without the rows of weight zero."""
        used = self.weights > 0
        rows = self if used.all() else replace(self, **{name: getattr(self, name)[used] for name in ROWWISE})
        unit = float(rows.weights.mean())
        return replace(rows, weights=rows.weights / unit, unit=unit)


def _array(values: Tensor) -> Array:
    array: Array = values.detach().to("cpu", torch.float64).numpy()
    return array


def _shape(values: Tensor) -> str:
    return str(tuple(values.shape))
