"""The likelihood at the answer: what each row says about its own linear predictor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from noiseworks.noise import Noise
from noiseworks.solvers.linear_problem import Array, LinearProblem
from noiseworks.solvers.solution import Solution


@dataclass(frozen=True)
class RowScores:
    """noise: at the scale of the answer; eta, y (n,) tensors; weights (n,) of mean one."""

    problem: LinearProblem
    noise: Noise
    eta: Tensor
    y: Tensor
    weights: Array

    @classmethod
    def of(cls, problem: LinearProblem, answer: Solution) -> RowScores:
        eta = torch.from_numpy(problem.D @ answer.theta.numpy() + problem.offset)
        noise = problem.noise.with_scale(answer.scale)
        return cls(problem, noise, eta, torch.from_numpy(problem.y), problem.weights)

    @property
    def n(self) -> int:
        return len(self.y)

    @property
    def counted(self) -> Array:
        """The weights as they multiply the likelihood: those given, where the law of a row is known apart from eta; of
        mean one, where the spread is estimated from the rows, since then their unit cannot matter."""
        given = self.problem.noise.scale_value is not None
        return self.weights * (self.problem.unit if given or not self.noise.location_scale else 1.0)

    def residual(self) -> Array:
        """transform(y) - eta."""
        return np.asarray((self.noise.transform(self.y) - self.eta).numpy())

    def score(self) -> Array:
        """d nll / d eta (n,)."""
        return np.asarray(self.noise.score(self.eta, self.y).numpy())

    def information(self) -> Array | None:
        found = self.noise.information(self.eta)
        return None if found is None else np.asarray(found.numpy())

    def curvature(self) -> Array:
        """d^2 nll / d eta^2 (n,), by autograd."""
        with torch.enable_grad():
            eta = self.eta.clone().requires_grad_()
            (slope,) = torch.autograd.grad(self.noise.nll(eta, self.y).sum(), eta, create_graph=True)
            (curvature,) = torch.autograd.grad(slope.sum(), eta)
        return np.asarray(curvature.numpy())
