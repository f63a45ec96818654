"""A ridge penalty in the unknowns of Newton's method."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from noiseworks.exact.design import Design
from noiseworks.exact.problem import Array


@dataclass(frozen=True)
class Quadratic:
    """z -> |root z + shift|^2 / 2, root (k, r), shift (k,)."""

    root: Array
    shift: Array

    @classmethod
    def of(
        cls, penalty: Array | None, design: Design, unit: float = 1.0, center: Array | None = None
    ) -> Quadratic | None:
        """sum_j (penalty_j theta_j)^2 / 2 of theta = center + unit design.theta(z); None: no penalty."""
        if penalty is None:
            return None
        by_z = np.stack([design.theta(one) for one in np.eye(design.rank)], 1)
        center = np.zeros(len(penalty)) if center is None else center
        return cls(unit * penalty[:, None] * by_z, penalty * center)

    @cached_property
    def hessian(self) -> Array:
        return np.asarray(self.root.T @ self.root)

    def value(self, z: Array) -> float:
        return float(np.square(self.root @ z + self.shift).sum()) / 2

    def gradient(self, z: Array) -> Array:
        return np.asarray(self.root.T @ (self.root @ z + self.shift))
