"""The mean nll as a function of the unknowns of Newton's method, with its first and second derivatives."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from noiseworks.exact.problem import Array, Problem
from noiseworks.noise import Noise


@dataclass(frozen=True)
class Likelihood:
    """v -> sum_i w_i nll(eta_i, y_i), eta = A z + offset, v = z (r,) or, if `joint`, (z, log scale) (r + 1,).

    A (n, r) has orthogonal columns of root mean square one; the weights sum to one. The noise must answer for a scale
    of shape (n,), one for each example: the derivatives of all examples then come from one backward pass.
    """

    noise: Noise
    A: Tensor
    y: Tensor
    offset: Tensor
    weights: Tensor
    joint: bool

    @classmethod
    def of(cls, problem: Problem, A: Array, joint: bool) -> Likelihood:
        weights = torch.from_numpy(problem.weights / len(problem.y))
        y, offset = torch.from_numpy(problem.y), torch.from_numpy(problem.offset)
        return cls(problem.noise, torch.from_numpy(A), y, offset, weights, joint)

    def value(self, v: Array) -> float:
        """The mean nll; infinite where it is no number."""
        with torch.no_grad():
            value = float((self.weights * self._nll(self._eta(v), self._log_scale(v))).sum())
        return value if np.isfinite(value) else np.inf

    def derivatives(self, v: Array) -> tuple[Array, Array]:
        """Gradient (k,) and Hessian (k, k)."""
        eta, t = self._eta(v).requires_grad_(), self._log_scale(v).requires_grad_(self.joint)
        leaves = (eta, t) if self.joint else (eta,)
        slopes = torch.autograd.grad(self._nll(eta, t).sum(), leaves, create_graph=True)
        curved = [self._again(slope, leaves) for slope in slopes]
        w, A = self.weights, self.A
        gradient, hessian = A.T @ (w * slopes[0].detach()), A.T @ ((w * curved[0][0]).unsqueeze(-1) * A)
        if self.joint:
            cross = A.T @ (w * curved[0][1])
            last = (w * curved[1][1]).sum().reshape(1)
            gradient = torch.cat((gradient, (w * slopes[1].detach()).sum().reshape(1)))
            hessian = torch.cat((torch.cat((hessian, cross.unsqueeze(-1)), 1), torch.cat((cross, last)).unsqueeze(0)))
        return gradient.numpy(), hessian.numpy()

    def expected(self, v: Array) -> Array | None:
        """A' diag(w information) A, positive where the Hessian need not be; None for joint or unknown information."""
        information = None if self.joint else self._noise(self._log_scale(v)).information(self._eta(v))
        if information is None:
            return None
        matrix: Array = (self.A.T @ ((self.weights * information).unsqueeze(-1) * self.A)).numpy()
        return matrix

    def _eta(self, v: Array) -> Tensor:
        return self.A @ torch.from_numpy(v[: self.A.shape[1]]) + self.offset

    def _log_scale(self, v: Array) -> Tensor:
        return torch.full_like(self.y, v[-1] if self.joint else 0.0)

    def _noise(self, t: Tensor) -> Noise:
        return self.noise.with_scale(t.exp()) if self.joint else self.noise

    def _nll(self, eta: Tensor, t: Tensor) -> Tensor:
        return self._noise(t).nll(eta, self.y)

    def _again(self, slope: Tensor, leaves: tuple[Tensor, ...]) -> list[Tensor]:
        """d slope_i / d leaf_i: zeros where the slope does not depend on it."""
        if not slope.requires_grad:
            return [torch.zeros_like(self.y) for _ in leaves]
        found = torch.autograd.grad(slope.sum(), leaves, retain_graph=True, allow_unused=True)
        return [torch.zeros_like(self.y) if part is None else part for part in found]
