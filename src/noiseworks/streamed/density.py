"""The density of the errors at zero, on which the precision of a quantile regression depends, row by row."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from noiseworks.exact import Answer
from noiseworks.exact.problem import Array
from noiseworks.exact.stream import Pass
from noiseworks.exact.stream.rows import Columns
from noiseworks.inference.local import Local
from noiseworks.inference.sparsity import STEPS, at_the_edge, smoothed
from noiseworks.inference.whitened import inverse_root
from noiseworks.noise import Noise


@dataclass
class Density:
    """f_i(0) as `inference.sparsity.row_density`: a pass for the mean size of w |u|, one for each of its steps but the
    last, which is made when the rows are seen for the last time. roots: F (r, r) with F F' = V, one a step."""

    unit: float  # nan: there are too few rows beyond the quantile
    roots: list[Array] = field(default_factory=list)

    @classmethod
    def of(cls, noise: Noise, rows: Pass, size: int, answer: Answer) -> Density:
        assert answer.design is not None
        columns, tau = Columns.of(answer.design), float(noise.quantile_level or 0.5)
        if at_the_edge(size, answer.rank, tau):
            return cls(np.nan)
        total, J = 0.0, np.zeros((answer.rank, answer.rank))
        for block in rows("spread"):
            local, A = Local.of(block, answer), block.weights[:, None] * columns(block.D)
            total, J = total + float(np.abs(block.weights * local.residual()).sum()), J + A.T @ A
        density = cls(total / size)
        density.roots.append(density.unit * inverse_root(J))
        while len(density.roots) < STEPS:
            H = np.zeros_like(J)
            for block in rows("density"):
                local, A = Local.of(block, answer), columns(block.D)
                f = density(block.weights, A, local.residual())
                H += A.T @ ((block.weights**2 * f)[:, None] * A)
            half = inverse_root(H)
            density.roots.append(np.sqrt(tau * (1 - tau)) * half @ (half.T @ np.linalg.cholesky(J)))
        return density

    def __call__(self, weights: Array, A: Array, residual: Array) -> Array:
        if np.isnan(self.unit):
            return np.full(len(residual), np.nan)
        found = None
        for root in self.roots:
            width = weights * np.sqrt(2) * np.linalg.norm(A @ root, axis=1)
            found = smoothed(found, weights * residual, width, self.unit)
        assert found is not None
        return found
