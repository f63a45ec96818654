"""The mean loss of one minibatch for K members, and its gradient."""

from __future__ import annotations

import torch
from torch import Tensor

from noiseworks.model import Model
from noiseworks.noise import Noise


class Minibatch:
    """D (K, B, q), y (K, B), offset and weights (K, B) or None. Member k's loss is factor_k * sum_i w_i nll_i.

    For models that are linear in their parameters the gradient is factor * D'score(eta, y), for Gaussian noise the
    chapter's (3.1.11); for the others autograd takes it.
    """

    __slots__ = ("D", "eta", "factor", "model", "noise", "offset", "weights", "y")

    def __init__(
        self,
        model: Model,
        noise: Noise,
        factor: Tensor,
        D: Tensor,
        y: Tensor,
        offset: Tensor | None,
        weights: Tensor | None,
    ) -> None:
        self.model, self.noise, self.factor = model, noise, factor
        self.D, self.y, self.offset, self.weights = D, y, offset, weights
        self.eta: Tensor | None = None  # of the latest theta, for the record of losses

    def predict(self, theta: Tensor) -> Tensor:
        eta = self.model.eta(theta, self.D)
        self.eta = eta if self.offset is None else eta + self.offset
        return self.eta

    def loss(self, theta: Tensor) -> Tensor:
        nll = self.noise.nll(self.predict(theta), self.y)
        return self.factor.squeeze(1) * (nll if self.weights is None else nll * self.weights).sum(1)

    def gradient(self, theta: Tensor) -> Tensor:
        """(K, P)."""
        if not self.model.linear:
            return self._gradient_by_autograd(theta)
        score = self.noise.score(self.predict(theta), self.y)
        if self.weights is not None:
            score = score * self.weights
        return torch.bmm(score.unsqueeze(1), self.D).squeeze(1) * self.factor

    def _gradient_by_autograd(self, theta: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = theta.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.loss(leaf).sum(), leaf)
        assert self.eta is not None
        self.eta = self.eta.detach()
        return gradient

    def alone(self, k: int) -> Minibatch:
        """The minibatch of member k only."""
        own = slice(k, k + 1)
        noise, scale = self.noise, self.noise.scale_value
        if isinstance(scale, Tensor):
            noise = noise.with_scale(scale[own])
        offset = None if self.offset is None else self.offset[own]
        weights = None if self.weights is None else self.weights[own]
        return Minibatch(self.model, noise, self.factor[own], self.D[own], self.y[own], offset, weights)
