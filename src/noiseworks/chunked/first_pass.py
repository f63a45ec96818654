"""The first pass: everything that can be added up before the units of the fit are known."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from noiseworks.data.base import Examples
from noiseworks.data.scaling import NEGLIGIBLE, Scaling
from noiseworks.model import Model
from noiseworks.noise import Noise
from noiseworks.solvers.linear_problem import Array
from noiseworks.solvers.sufficient_statistics import Gathered, Triangle


@dataclass
class Totals:
    """Of the training rows: number, sum of weights and of their logarithms, sums of w z, w z^2 and the largest |x| of
    each column; likewise for t = transform(y) - offset (location-scale noise), y and the offset.

    z and the columns of the triangle, [D, 1, t], are in units of `first`, those of the first block; columns that are
    measured so have no digits to lose in w z^2, since the first block is one of them.
    """

    model: Model
    noise: Noise
    first: Scaling
    triangle: Triangle
    draws: np.random.Generator
    share: float  # of the rows that go into the sample
    expected: float  # their number
    n: int = 0
    weight: float = 0.0
    log_weight: float = 0.0
    sums: Tensor | float = 0.0
    squares: Tensor | float = 0.0
    largest: Tensor | None = None
    exposure: float = 0.0  # sum of w exp(offset)
    sample: Gathered | None = None  # X, y, offset and weights of some rows
    head: Examples | None = None

    def add(self, block: Examples) -> None:
        n = len(block)
        w = torch.ones(n, dtype=torch.float64) if block.weights is None else block.weights
        offset = torch.zeros_like(w) if block.offset is None else block.offset
        Z = (block.X - self.first.x_center) / self.first.x_spread
        t, level = self.target(block.y, offset)
        columns = torch.column_stack((Z, t, block.y, offset))
        self.n, self.weight, self.log_weight = self.n + n, self.weight + float(w.sum()), self.log_weight + _log(w)
        self.sums, self.squares = self.sums + w @ columns, self.squares + w @ columns.square()
        size = torch.cat((block.X.abs().amax(0), level.abs().amax().unsqueeze(0)))
        self.largest = size if self.largest is None else torch.maximum(self.largest, size)
        self.exposure += float(w @ offset.exp())
        rows = torch.column_stack((self.model.design(Z), torch.ones_like(t), t))
        self.triangle.add((rows if block.weights is None else rows * w.sqrt().unsqueeze(1)).numpy())
        self._draw(block, w, offset)

    def _draw(self, block: Examples, w: Tensor, offset: Tensor) -> None:
        if self.sample is None or self.head is None:
            self.head = block.take(torch.arange(0))
            self.sample = Gathered(block.X.shape[1] + 3, self.expected)
        drawn = torch.from_numpy(np.flatnonzero(self.draws.random(len(block)) < self.share))
        self.sample.add(*(values[drawn].numpy() for values in (block.X, block.y, offset, w)))

    def target(self, y: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
        """t in units of `first`, and as it is; zeros where the noise is no shift."""
        if not self.noise.location_scale:
            return torch.zeros_like(y), torch.zeros_like(y)
        t = self.noise.transform(y) - offset
        return (t - self.first.y_center) / self.first.y_spread, t

    def scaling(self, standardize: bool) -> Scaling:
        """As `fit_scaling`, of all rows."""
        if not standardize:
            return self.first
        assert self.largest is not None
        mean, square = torch.as_tensor(self.sums) / self.weight, torch.as_tensor(self.squares) / self.weight
        d, first, center = len(self.first.x_center), self.first, self.model.intercept
        spread = (square - mean.square() if center else square).clamp_min(0).sqrt()
        x_spread = _at_least(spread[:d] * first.x_spread, self.largest[:d])
        x_center = first.x_center + first.x_spread * mean[:d] if center else first.x_center
        if self.noise.location_scale:
            y_center = first.y_center + first.y_spread * mean[d] if center else first.y_center
            return Scaling(x_center, x_spread, y_center, _at_least(spread[d] * first.y_spread, self.largest[d]))
        y_center = first.y_center
        if center:
            rate = mean[d + 1].clamp_min(0.5 / self.n)  # all zero: half an event in all
            y_center = self.noise.inverse_mean(rate) - mean[d + 2]
        return Scaling(x_center, x_spread, y_center, first.y_spread)

    @property
    def unit(self) -> float:
        """The mean of the weights."""
        return self.weight / self.n

    def constant_rate(self) -> float:
        """Mean y, and with an offset of the log link sum w y / sum w exp(offset)."""
        return float(torch.as_tensor(self.sums)[-2]) / self.exposure

    def small(self, scaling: Scaling) -> Array:
        """The triangle in units of the fit, of weights of mean one."""
        R = self.triangle.R.numpy() / np.sqrt(self.unit)
        if scaling is self.first:
            return _rows(R, R.shape[1])
        P = R.shape[1] - 2
        M = np.zeros((P + 2, P + 2))
        M[:P, :P] = _change(self.model, self.first, scaling)
        M[P, P] = 1.0
        M[P, P + 1] = float((self.first.y_center - scaling.y_center) / scaling.y_spread)
        M[P + 1, P + 1] = float(self.first.y_spread / scaling.y_spread)
        if not self.noise.location_scale:
            M[P:, P + 1] = 0.0
        return _rows(np.asarray(np.linalg.qr(R @ M, mode="r")), R.shape[1])

    def examples(self) -> Examples:
        """The sample."""
        assert self.sample is not None
        assert self.head is not None
        columns, d = torch.from_numpy(self.sample.rows), len(self.first.x_center)
        y, offset, weights = (columns[:, d + k].contiguous() for k in range(3))
        return replace(
            self.head,
            X=columns[:, :d].contiguous(),
            y=y,
            offset=None if self.head.offset is None else offset,
            weights=None if self.head.weights is None else weights,
        )


def _log(w: Tensor) -> float:
    return float(w.log().sum())


def _at_least(spread: Tensor, largest: Tensor) -> Tensor:
    """The spread of a constant is 1."""
    return torch.where(spread > NEGLIGIBLE * largest, spread, torch.ones_like(spread))


def _rows(R: Array, k: int) -> Array:
    """With rows of zeros where there were fewer rows than columns."""
    return np.vstack((R, np.zeros((k - len(R), k))))


def _change(model: Model, first: Scaling, last: Scaling) -> Array:
    """M (P, P) with design(z of `last`) = design(z of `first`) M, from its values at random points: every model here is
    a polynomial, whose columns at other units are combinations of its columns."""
    d = len(first.x_center)
    points = torch.randn(4 * model.num_parameters(d) + 8, d, dtype=torch.float64, generator=_fixed())
    shifted = (first.x_center + first.x_spread * points - last.x_center) / last.x_spread
    return np.asarray(np.linalg.lstsq(model.design(points).numpy(), model.design(shifted).numpy(), rcond=None)[0])


def _fixed() -> torch.Generator:
    return torch.Generator().manual_seed(0)
