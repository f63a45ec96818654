"""Uncertainty from the data alone: rows drawn again with replacement, and the exact answer of each draw."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import torch

from noiseworks.errors import UserError
from noiseworks.inference.uncertainty import LEVEL, Uncertainty
from noiseworks.inference.whitened import Whitened
from noiseworks.solvers.batched import solve_batch
from noiseworks.solvers.design import reduce
from noiseworks.solvers.linear_problem import Array, LinearProblem
from noiseworks.solvers.solution import Solution

BLOCK = 1 << 23  # weights (replicates times rows) in memory at a time


@dataclass(frozen=True)
class Bootstrap(Uncertainty):
    """theta (R, P): the answers of R replicates; `factor` is what makes F F' their sample covariance.

    failed: replicates without an answer (no finite optimum), or that lack the rows to tell what all rows can. They are
    left out, so that what is said holds for the others.
    """

    theta: Array = field(kw_only=True)
    failed: int = field(kw_only=True)

    def intervals(self, theta: Array, L: Array | None = None, level: float = LEVEL) -> Array:
        """Percentiles (1 -+ level) / 2 of L theta over the replicates (m, 2) (Efron & Tibshirani, "An Introduction to
        the Bootstrap", 1993, 13.3); nan for what is not estimable."""
        L = np.eye(self.theta.shape[1]) if L is None else L
        ends = np.quantile(self.theta @ L.T, [(1 - level) / 2, (1 + level) / 2], axis=0).T
        return np.where(self._estimable(L)[:, None], ends, np.nan)


def check_replicates(replicates: object) -> None:
    if isinstance(replicates, bool) or not isinstance(replicates, int) or replicates < 2:
        raise UserError(f"optimizer.bootstrap={replicates} is not possible; it must be a whole number from 2.")


def bootstrap(problem: LinearProblem, answer: Solution, replicates: int, draw: torch.Generator) -> Bootstrap:
    """`replicates` times n of the n rows with replacement: their counts, times the weights, are weights again."""
    check_replicates(replicates)
    design = answer.design or reduce(problem.D, problem.weights)
    theta = np.concatenate(list(_answers(problem, replicates, draw, design.rank)))
    if len(theta) < 2:
        raise UserError(
            f"Of {replicates} bootstrap replicates {len(theta)} have an answer; the rows are too few for a bootstrap."
        )
    factor = (theta - theta.mean(axis=0)).T / np.sqrt(len(theta) - 1)
    span, failed = Whitened.of(design).row_space(), replicates - len(theta)
    return Bootstrap(factor, span, design.scale, "bootstrap", np.inf, theta=theta, failed=failed)


def _answers(problem: LinearProblem, replicates: int, draw: torch.Generator, rank: int) -> Iterator[Array]:
    D, y, offset = (torch.from_numpy(np.ascontiguousarray(part)) for part in (problem.D, problem.y, problem.offset))
    size = max(1, BLOCK // len(problem.y))
    for low in range(0, replicates, size):
        weights = np.stack(
            [problem.weights * _counts(len(problem.y), draw) for _ in range(low, min(low + size, replicates))]
        )
        found = solve_batch(problem.noise, D, y, offset, torch.from_numpy(weights))
        yield found.theta[(found.rank == rank) & np.isfinite(found.theta).all(axis=1)]


def _counts(n: int, draw: torch.Generator) -> Array:
    """How often each of n rows is drawn in n draws."""
    return torch.randint(n, (n,), generator=draw).bincount(minlength=n).double().numpy()
