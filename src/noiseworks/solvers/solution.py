"""Exact solutions and their certificates: of one problem, and of K on the leading axis."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from noiseworks.solvers.design import Design
from noiseworks.solvers.linear_problem import Array


@dataclass(frozen=True)
class Solution:
    """An exact answer and its certificate.

    theta (P,) float64; among several with the same fitted values the one of least Euclidean norm.
    scale: the maximum-likelihood scale (NegativeBinomial: dispersion), or the one that was given; None: there is none.
    gradient: the largest entry of the gradient of the mean nll at this theta (and log scale, where it is estimated
        jointly), free of units: each column counted in its root mean square, and for a location-scale noise times the
        scale; 0 for a perfect fit, whose scale is only a floor. For Laplace: the relative duality gap.
    rank: the numerical rank of the design.
    kind: "optimum", or "stationary point" where the likelihood is not log-concave in eta (StudentT); or the name of the
        naive method whose word for it this is.
    unique: no other fitted values are as likely. A quantile alone can say no, and then `optimal_range` how far it goes.
    design: the factored design, for what is computed from the answer; None where it was not kept.
    """

    theta: Tensor
    scale: float | None
    gradient: float
    rank: int
    kind: str
    design: Design | None = field(default=None, repr=False, compare=False)
    unique: bool = True


@dataclass(frozen=True)
class Solutions:
    """K of what `Solution` is: theta (K, P), nan where a problem has no answer; scale (K,), nan where there is none.

    gradient, unique, rank (K,) as in `Solution`. failures: member -> why it has no answer.
    """

    theta: Array
    scale: Array
    gradient: Array
    rank: NDArray[np.intp]
    unique: NDArray[np.bool_]
    kind: str
    failures: dict[int, str]

    @classmethod
    def empty(cls, K: int, P: int, kind: str = "optimum") -> Solutions:
        nothing = np.full(K, np.nan)
        ranks, unique = np.zeros(K, dtype=np.intp), np.ones(K, dtype=bool)
        return cls(np.full((K, P), np.nan), nothing, nothing.copy(), ranks, unique, kind, {})

    def __len__(self) -> int:
        return len(self.theta)

    def take(self, members: NDArray[np.intp]) -> Solutions:
        """Some of those without a failure."""
        names = ("theta", "scale", "gradient", "rank", "unique")
        return replace(self, **{name: getattr(self, name)[members] for name in names})

    def one(self, k: int) -> Solution | None:
        """None where it failed."""
        if k in self.failures:
            return None
        scale = None if np.isnan(self.scale[k]) else float(self.scale[k])
        theta, rank = torch.from_numpy(self.theta[k].copy()), int(self.rank[k])
        return Solution(theta, scale, float(self.gradient[k]), rank, self.kind, unique=bool(self.unique[k]))

    def put(self, k: int, answer: Solution) -> None:
        self.theta[k], self.gradient[k], self.rank[k] = answer.theta.numpy(), answer.gradient, answer.rank
        self.scale[k] = np.nan if answer.scale is None else answer.scale
        self.unique[k] = answer.unique
