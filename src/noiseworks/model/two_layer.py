"""Two linear maps, one after the other (D2L 3.1, ex. 6), and what an activation between them changes (ex. 3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from noiseworks.errors import UserError
from noiseworks.model.base import Model
from noiseworks.model.linear import Quadratic, affine_coefficients, pairs

if TYPE_CHECKING:
    from noiseworks.data.scaling import Scaling

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": torch.relu,
    "square": torch.square,
    "tanh": torch.tanh,
}


@dataclass(frozen=True, kw_only=True)
class TwoLayer(Model):
    """eta' = u'g(W z + a) + b with W (width, d), a and u (width,); g the activation, or none.

    Without an activation the two maps are one affine map, whose coefficients are reported; with squares they are one
    quadratic function, likewise.
    """

    name: ClassVar[str] = "two_layer"
    linear: ClassVar[bool] = False
    width: int
    activation: str | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.width < 1:
            raise UserError(f"model.width={self.width} is no width; it must be at least 1.")
        if self.activation is not None and self.activation not in ACTIVATIONS:
            raise UserError(
                f"model.activation={self.activation} is unknown; it must be null or {', '.join(ACTIVATIONS)}."
            )

    def terms(self, features: Sequence[str]) -> list[str]:
        if self.activation == "square":
            return self._quadratic.terms(features)
        if self.activation is not None:
            return []
        return [*features, "intercept"] if self.intercept else list(features)

    def num_parameters(self, num_features: int) -> int:
        return self.width * (num_features + 1) + self.intercept * (self.width + 1)

    def design(self, Z: Tensor) -> Tensor:
        return Z

    def eta(self, theta: Tensor, D: Tensor) -> Tensor:
        W, u, a, b = self._unpack(theta, D.shape[-1])
        hidden = torch.bmm(D, W.mT) if a is None else torch.baddbmm(a.unsqueeze(1), D, W.mT)  # (K, n, width)
        if self.activation is not None:
            hidden = ACTIVATIONS[self.activation](hidden)
        eta = torch.bmm(hidden, u.unsqueeze(2)).squeeze(2)
        return eta if b is None else eta + b

    def coefficients(self, theta: Tensor, scaling: Scaling) -> Tensor:
        if self.activation not in (None, "square"):
            return theta[..., :0]
        W, u, a, b = self._unpack(theta, scaling.x_center.shape[-1])
        if self.activation == "square":
            return self._quadratic.coefficients(_expanded(W, u, a, b), scaling)
        weights = (u.unsqueeze(-2) @ W).squeeze(-2)
        intercept = None if a is None or b is None else (u * a).sum(-1) + b.squeeze(-1)
        return affine_coefficients(weights, intercept, scaling)

    @property
    def _quadratic(self) -> Quadratic:
        return Quadratic(intercept=self.intercept, init_scale=0.0)

    def _unpack(self, theta: Tensor, d: int) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        sizes = [self.width * d, self.width] + ([self.width, 1] if self.intercept else [])
        W, u, *biases = torch.split(theta, sizes, dim=-1)
        a, b = biases if biases else (None, None)
        return W.unflatten(-1, (self.width, d)), u, a, b


def _expanded(W: Tensor, u: Tensor, a: Tensor | None, b: Tensor | None) -> Tensor:
    """u'(W z + a)^2 + b as the parameters of `Quadratic`: 2 W'(u a), then W' diag(u) W with its products taken twice,
    then u'a^2 + b."""
    i, j = pairs(W.shape[-1])
    form = W.mT @ (u.unsqueeze(-1) * W)
    products = form[..., i, j] * torch.tensor([1.0 if k == m else 2.0 for k, m in zip(i, j)]).to(form)
    if a is None or b is None:
        return torch.cat([torch.zeros_like(W[..., 0, :]), products], dim=-1)
    linear = 2 * ((u * a).unsqueeze(-2) @ W).squeeze(-2)
    return torch.cat([linear, products, (u * a * a).sum(-1, keepdim=True) + b], dim=-1)
