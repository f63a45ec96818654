from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from noiseworks.exact.answer import Answer
from noiseworks.exact.problem import Array


@dataclass(frozen=True)
class Answers:
    """K of what `Answer` is: theta (K, P), nan where a problem has no answer; scale (K,), nan where there is none.

    gradient, unique, rank (K,) as in `Answer`. failures: member -> why it has no answer.
    """

    theta: Array
    scale: Array
    gradient: Array
    rank: NDArray[np.intp]
    unique: NDArray[np.bool_]
    kind: str
    failures: dict[int, str]

    @classmethod
    def empty(cls, K: int, P: int, kind: str = "optimum") -> Answers:
        nothing = np.full(K, np.nan)
        ranks, unique = np.zeros(K, dtype=np.intp), np.ones(K, dtype=bool)
        return cls(np.full((K, P), np.nan), nothing, nothing.copy(), ranks, unique, kind, {})

    def __len__(self) -> int:
        return len(self.theta)

    def one(self, k: int) -> Answer | None:
        """None where it failed."""
        if k in self.failures:
            return None
        scale = None if np.isnan(self.scale[k]) else float(self.scale[k])
        theta, rank = torch.from_numpy(self.theta[k].copy()), int(self.rank[k])
        return Answer(theta, scale, float(self.gradient[k]), rank, self.kind, unique=bool(self.unique[k]))

    def put(self, k: int, answer: Answer) -> None:
        self.theta[k], self.gradient[k], self.rank[k] = answer.theta.numpy(), answer.gradient, answer.rank
        self.scale[k] = np.nan if answer.scale is None else answer.scale
        self.unique[k] = answer.unique
