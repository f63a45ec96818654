"""The density of the errors at zero, on which the precision of a quantile regression depends, row by row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from noiseworks.exact import Answer
from noiseworks.exact.problem import Array
from noiseworks.exact.stream import Pass, Sketch, solve_stream
from noiseworks.exact.stream.rows import Columns
from noiseworks.inference.local import Local
from noiseworks.inference.sparsity import bandwidth
from noiseworks.noise import AsymmetricLaplace, Noise


@dataclass(frozen=True)
class Density:
    """f_i(0) = width / (w_i a_i'apart): two more quantile fits, `width` of probability apart, as
    `inference.sparsity.row_density` has it (quantreg's "nid"); 0 where they cross."""

    width: float
    apart: Array
    tiny: float

    @classmethod
    def of(cls, noise: Noise, rows: Pass, sketch: Sketch, answer: Answer) -> Density:
        tau = float(noise.quantile_level or 0.5)
        b = bandwidth(sketch.n, tau)
        while b >= min(tau, 1 - tau):
            b /= 2
        high, low = (solve_stream(AsymmetricLaplace(tau=level), rows, sketch) for level in (tau + b, tau - b))
        design = sketch.design()
        apart = Columns.of(design).coordinates(design.D @ (high.theta - low.theta).numpy(), sketch.n)
        left = sketch.sample.weights * Local.of(sketch.sample, answer).residual()
        return cls(2 * b, apart, float(np.sqrt(np.finfo(float).eps) * np.abs(left).mean()))

    def __call__(self, weights: Array, A: Array) -> Array:
        apart = weights * (A @ self.apart)
        return np.asarray(np.where(apart > self.tiny, self.width / np.maximum(apart, self.tiny), 0.0))
