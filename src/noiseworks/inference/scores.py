"""The likelihood at K answers: what each row says about its own linear predictor."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from noiseworks.noise import Noise
from noiseworks.solvers.likelihood import by_autograd
from noiseworks.solvers.linear_problem import Array, LinearProblem, LinearProblems, tensor
from noiseworks.solvers.solution import Solution, Solutions

TINY = 1e-300  # the rate that stands for zero, which some links cannot reach


@dataclass(frozen=True)
class RowScores:
    """Terms of the rows of K problems, (K, n) each; one problem, or a chunk of its rows, is K = 1.

    noise: at the scales of the answers; assumed: as it was given. eta, y: tensors; weights: of mean one.
    unit: the mean of the weights as they were given.
    """

    assumed: Noise
    noise: Noise
    eta: Tensor
    y: Tensor
    offset: Array
    weights: Array
    unit: float = 1.0

    @classmethod
    def of(cls, problem: LinearProblem, answer: Solution) -> RowScores:
        eta = problem.D @ answer.theta.numpy() + problem.offset
        rows = problem.offset[None], problem.weights[None]
        noise = problem.noise.with_scale(answer.scale)
        return cls(problem.noise, noise, tensor(eta[None]), tensor(problem.y[None]), *rows, problem.unit)

    @classmethod
    def batched(cls, problems: LinearProblems, answers: Solutions) -> RowScores:
        noise = problems.noise
        at = noise if noise.scale_name is None else noise.with_scale(tensor(answers.scale[:, None]))
        eta = tensor(problems.eta(answers.theta))
        return cls(noise, at, eta, tensor(problems.y), problems.offset, problems.weights)

    @property
    def n(self) -> int:
        return self.y.shape[1]

    @property
    def counting(self) -> float:
        """What the weights of mean one are multiplied by in the likelihood: their unit, where the distribution of a
        row is known apart from eta; 1, where the spread is estimated from the rows, since then it cannot matter."""
        given = self.assumed.scale_value is not None
        return self.unit if given or not self.noise.location_scale else 1.0

    @property
    def counted(self) -> Array:
        """The weights as they multiply the likelihood."""
        return self.weights * self.counting

    @property
    def scales(self) -> list[float]:
        """Those of the K answers."""
        scale = self.noise.scale_value
        assert scale is not None
        return torch.as_tensor(scale, dtype=torch.float64).reshape(-1).expand(len(self.y)).tolist()

    def residual(self) -> Array:
        """transform(y) - eta."""
        return np.asarray((self.noise.transform(self.y) - self.eta).numpy())

    @cached_property
    def score(self) -> Array:
        """d nll / d eta."""
        return np.asarray(self.noise.score(self.eta, self.y).numpy())

    @cached_property
    def information(self) -> Array | None:
        found = self.noise.information(self.eta)
        return None if found is None else np.asarray(found.numpy())

    def curvature(self) -> Array:
        """d^2 nll / d eta^2, by autograd."""
        with torch.enable_grad():
            eta = self.eta.clone().requires_grad_()
            slope = self.noise.score(eta, self.y)
            if not slope.requires_grad:  # found by autograd, which keeps no graph
                (slope,) = torch.autograd.grad(self.noise.nll(eta, self.y).sum(), eta, create_graph=True)
            (curvature,) = torch.autograd.grad(slope.sum(), eta)
        return np.asarray(curvature.numpy())

    @cached_property
    def joint(self) -> tuple[Array, ...]:
        """d nll by eta and t = log scale, then d^2 nll by eta eta, eta t and t t, (K, n) each."""
        found = self.noise.joint_derivatives(self.eta, self.y)
        if found is None or not all(bool(torch.isfinite(one).all()) for one in found):
            log_scale = torch.tensor(self.scales, dtype=torch.float64).log().unsqueeze(1).expand_as(self.eta)
            _, slopes, curved = by_autograd(self.assumed, self.eta, self.y, log_scale)
            found = (*slopes, *curved)
        return tuple(one.detach().numpy() for one in found)

    def mean_nll(self) -> Array:
        """(K,)."""
        return np.asarray((torch.from_numpy(self.weights) * self.noise.nll(self.eta, self.y)).mean(dim=1).numpy())

    def deviance(self, eta: Tensor | None = None) -> Array:
        """2 sum w (nll(eta, y) - min nll(., y)) (K,), of these eta (K, n) or those of the answers."""
        terms = self.noise.nll(self.eta if eta is None else eta, self.y) - self._least
        return np.asarray(2 * (self.counted * terms.numpy()).sum(axis=1))

    @cached_property
    def _least(self) -> Tensor:
        return least_nll(self.noise, self.y)

    def pearson(self) -> Array:
        """Pearson's sum w (y - mu)^2 / var(mu) (K,): for a score (y - mu) / var(mu) d mu / d eta each term is score^2 /
        information; nan where no information is known."""
        if self.information is None:
            return np.full(len(self.y), np.nan)
        return np.asarray((self.counted * self.score**2 / self.information).sum(axis=1))


def least_nll(noise: Noise, y: Tensor) -> Tensor:
    """min nll(., y) of each row, from which deviances are counted; an additive noise has it at eta = transform(y)."""
    best = noise.transform(y) if noise.location_scale else noise.inverse_mean(y.clamp_min(TINY))
    return noise.nll(best, y)
