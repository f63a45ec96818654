"""The mean nll, with a ridge penalty, as a function of the unknowns of Newton's method, with its derivatives."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from noiseworks.noise import Noise
from noiseworks.solvers.design import Design, Parts, TransformedDesign, summed
from noiseworks.solvers.linear_problem import Array, LinearProblem


@dataclass(frozen=True)
class RidgePenalty:
    """z -> |root z + shift|^2 / 2, root (k, r), shift (k,)."""

    root: Array
    shift: Array

    @classmethod
    def of(
        cls, penalty: Array | None, design: Design, unit: float = 1.0, center: Array | None = None
    ) -> RidgePenalty | None:
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


@dataclass(frozen=True)
class Likelihood:
    """v -> sum_i w_i nll(eta_i, y_i) + penalty(z), eta = A z + offset, v = z (r,) or, if `joint`, (z, log scale).

    A (n, r) has columns of root mean square one or so, orthogonal but for a penalty; the weights sum to one. The noise
    must answer for a scale of shape (n,), one for each example: the derivatives of all examples then come from one
    backward pass.
    """

    noise: Noise
    A: TransformedDesign
    y: Tensor
    offset: Tensor
    weights: Tensor
    joint: bool
    penalty: RidgePenalty | None = None

    @classmethod
    def of(
        cls, problem: LinearProblem, A: Array | TransformedDesign, joint: bool, penalty: RidgePenalty | None = None
    ) -> Likelihood:
        weights = torch.from_numpy(problem.weights / len(problem.y))
        y, offset = torch.from_numpy(problem.y), torch.from_numpy(problem.offset)
        blocks = A if isinstance(A, TransformedDesign) else TransformedDesign(A)
        return cls(problem.noise, blocks, y, offset, weights, joint, penalty)

    def value(self, v: Array) -> float:
        """The mean nll, with the penalty; infinite where it is no number."""
        z = v[: self.A.shape[1]]

        def part(span: slice) -> Parts:
            total = 0.0
            with torch.no_grad():
                for rows, A in self.A.within(span):
                    eta = torch.from_numpy(A.times(z)).add_(self.offset[rows])
                    nll = self._noise(eta.new_tensor([self._log_scale(v)])).nll(eta, self.y[rows])
                    total += float(self.weights[rows] @ nll)
            return (total,)

        total = float(summed(len(self.y), part)[0]) + (0.0 if self.penalty is None else self.penalty.value(z))
        return total if np.isfinite(total) else np.inf

    def derivatives(self, v: Array) -> tuple[Array, Array]:
        """Gradient (k,) and Hessian (k, k)."""
        return self.evaluate(v)[1:]

    def evaluate(self, v: Array) -> tuple[float, Array, Array]:
        """Value, gradient (k,) and Hessian (k, k), in one pass over the rows."""
        r = self.A.shape[1]

        def part(span: slice) -> Parts:
            value, gradient, hessian = 0.0, np.zeros(len(v)), np.zeros((len(v), len(v)))
            with np.errstate(over="ignore", invalid="ignore"):
                for rows, A in self.A.within(span):
                    nll, slopes, curved = self._rowwise(A.times(v[:r]), rows, self._log_scale(v))
                    value += nll
                    gradient[:r] += A.turned(slopes[0])
                    hessian[:r, :r] += A.gram(curved[0])
                    if self.joint:
                        gradient[r] += slopes[1].sum()
                        hessian[r, :r] += A.turned(curved[1])
                        hessian[r, r] += curved[2].sum()
            return value, gradient, hessian

        value, gradient, hessian = summed(len(self.y), part)
        value, gradient, hessian = float(value), np.asarray(gradient), np.asarray(hessian)
        hessian[:r, r:] = hessian[r:, :r].T
        if self.penalty is not None:
            value += self.penalty.value(v[:r])
            gradient[:r] += self.penalty.gradient(v[:r])
            hessian[:r, :r] += self.penalty.hessian
        return value if np.isfinite(value) else np.inf, gradient, hessian

    def expected(self, v: Array) -> Array | None:
        """A' diag(w information) A, positive where the Hessian need not be; None for joint or unknown information."""
        r = self.A.shape[1]
        total = np.zeros((r, r)) if self.penalty is None else self.penalty.hessian.copy()
        for rows, A in self.A.within():
            eta = torch.from_numpy(A.times(v[:r])).add_(self.offset[rows])
            information = None if self.joint else self.noise.information(eta)
            if information is None:
                return None
            total += A.gram((self.weights[rows] * information).numpy())
        return total

    def _log_scale(self, v: Array) -> float:
        return float(v[-1]) if self.joint else 0.0

    def _noise(self, t: Tensor) -> Noise:
        return self.noise.with_scale(t.exp()) if self.joint else self.noise

    def _rowwise(self, moved: Array, rows: slice, log_scale: float) -> tuple[float, list[Array], list[Array]]:
        """Of some rows, times their weights: the sum of nll, d nll by eta and t = log scale, and d^2 nll by eta eta,
        eta t and t t (n,)."""
        w, y = self.weights[rows], self.y[rows]
        eta = torch.from_numpy(moved).add_(self.offset[rows])
        found = self._by_formula(eta, y, log_scale)
        if found is not None and all(bool(torch.isfinite(one).all()) for one in found[2 + self.joint :]):
            return _weighted(w, found[0], found[1 : 2 + self.joint], found[2 + self.joint :])
        return _weighted(w, *by_autograd(self.noise, eta, y, torch.full_like(y, log_scale) if self.joint else None))

    def _by_formula(self, eta: Tensor, y: Tensor, log_scale: float) -> list[Tensor] | None:
        """nll, its first and its second derivatives, if autograd has no more to do than to differentiate a score."""
        noise = self._noise(eta.new_tensor([log_scale]))
        if self.joint:
            found = noise.joint_derivatives(eta, y)
            return None if found is None else [noise.nll(eta, y), *found]
        leaf = eta.detach().requires_grad_()
        score = noise.score(leaf, y)
        return [noise.nll(eta, y), score, *_again(score, [leaf])] if score.requires_grad else None


def by_autograd(
    noise: Noise, eta: Tensor, y: Tensor, log_scale: Tensor | None
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """nll of each example, its first and its second derivatives: by eta and, where each example has one, log scale."""
    with torch.enable_grad():
        leaves = [leaf.detach().requires_grad_() for leaf in (eta, log_scale) if leaf is not None]
        nll = (noise if log_scale is None else noise.with_scale(leaves[1].exp())).nll(leaves[0], y)
        slopes = list(torch.autograd.grad(nll.sum(), leaves, create_graph=True))
        return nll, slopes, [second for k, slope in enumerate(slopes) for second in _again(slope, leaves[k:])]


def _weighted(
    w: Tensor, nll: Tensor, slopes: list[Tensor], curved: list[Tensor]
) -> tuple[float, list[Array], list[Array]]:
    value = float(w @ nll.detach())
    return value, [(w * one.detach()).numpy() for one in slopes], [(w * one.detach()).numpy() for one in curved]


def _again(slope: Tensor, leaves: list[Tensor]) -> list[Tensor]:
    """d slope_i / d leaf_i: zeros where the slope does not depend on it."""
    if not slope.requires_grad:
        return [torch.zeros_like(slope) for _ in leaves]
    found = torch.autograd.grad(slope.sum(), leaves, retain_graph=True, allow_unused=True)
    return [torch.zeros_like(slope) if part is None else part for part in found]
