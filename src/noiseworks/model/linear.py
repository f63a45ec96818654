"""Models that are linear in their parameters: a feature map and a weight for each of its columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from noiseworks.model.base import Model

if TYPE_CHECKING:
    from noiseworks.data.scaling import Scaling


def with_ones(Z: Tensor) -> Tensor:
    """Z (..., n, d) -> (..., n, d + 1): the intercept's column of ones comes last (D2L 3.1.1.3)."""
    return torch.cat([Z, torch.ones_like(Z[..., :1]) if Z.shape[-1] else Z.new_ones(*Z.shape[:-1], 1)], dim=-1)


def affine_coefficients(weights: Tensor, intercept: Tensor | None, scaling: Scaling) -> Tensor:
    """Undo the standardization of w'z + b: (..., d) and (...,) -> (..., d + 1), or (..., d) without an intercept."""
    slopes = scaling.y_spread.unsqueeze(-1) * weights / scaling.x_spread
    if intercept is None:
        return slopes
    shift = scaling.y_center + scaling.y_spread * intercept - (slopes * scaling.x_center).sum(-1)
    return torch.cat([slopes, shift.unsqueeze(-1)], dim=-1)


@dataclass(frozen=True, kw_only=True)
class Linear(Model):
    """eta' = w'z + b (D2L 3.1, (3.1.3))."""

    name: ClassVar[str] = "linear"

    def terms(self, features: Sequence[str]) -> list[str]:
        return [*features, "intercept"] if self.intercept else list(features)

    def num_parameters(self, num_features: int) -> int:
        return num_features + self.intercept

    def design(self, Z: Tensor) -> Tensor:
        return with_ones(Z) if self.intercept else Z

    def coefficients(self, theta: Tensor, scaling: Scaling) -> Tensor:
        d = scaling.x_center.shape[-1]
        return affine_coefficients(theta[..., :d], theta[..., d] if self.intercept else None, scaling)


@dataclass(frozen=True, kw_only=True)
class Constant(Model):
    """eta' = b: the location of y, whatever the features (D2L 3.1, ex. 1)."""

    name: ClassVar[str] = "constant"

    def terms(self, features: Sequence[str]) -> list[str]:
        return ["intercept"]

    def num_parameters(self, num_features: int) -> int:
        return 1

    def design(self, Z: Tensor) -> Tensor:
        return with_ones(Z[..., :0])

    def shifted(self, D: Tensor, shift: Tensor) -> Tensor:
        return D

    def coefficients(self, theta: Tensor, scaling: Scaling) -> Tensor:
        return (scaling.y_center + scaling.y_spread * theta[..., 0]).unsqueeze(-1)


@dataclass(frozen=True, kw_only=True)
class Quadratic(Model):
    """eta' = b + sum_i w_i z_i + sum_{j <= i} w_ij z_i z_j (D2L 3.1, ex. 3), (d + 1)(d + 2) / 2 parameters."""

    name: ClassVar[str] = "quadratic"

    def terms(self, features: Sequence[str]) -> list[str]:
        products = [
            f"{features[i]}^2" if i == j else f"{features[j]}*{features[i]}" for i, j in zip(*pairs(len(features)))
        ]
        return [*features, *products, "intercept"] if self.intercept else [*features, *products]

    def num_parameters(self, num_features: int) -> int:
        return num_features + num_features * (num_features + 1) // 2 + self.intercept

    def design(self, Z: Tensor) -> Tensor:
        i, j = pairs(Z.shape[-1])
        columns = torch.cat([Z, Z[..., i] * Z[..., j]], dim=-1)
        return with_ones(columns) if self.intercept else columns

    def coefficients(self, theta: Tensor, scaling: Scaling) -> Tensor:
        """With (1, z) = A (1, x) the form (1, z)'Q(1, z) is (1, x)'(A'QA)(1, x): read the new coefficients off A'QA.

        Q is lower triangular, and so is A'QA but for its first row.
        """
        d = scaling.x_center.shape[-1]
        i, j = (torch.tensor(index, device=theta.device) for index in pairs(d))
        Q = theta.new_zeros(*theta.shape[:-1], d + 1, d + 1)
        Q[..., 1:, 0] = theta[..., :d]
        Q[..., i + 1, j + 1] = theta[..., d : d + len(i)]
        if self.intercept:
            Q[..., 0, 0] = theta[..., -1]
        A = torch.diag_embed(torch.cat([torch.ones_like(scaling.x_spread[..., :1]), 1 / scaling.x_spread], -1))
        A[..., 1:, 0] = -scaling.x_center / scaling.x_spread
        Q = scaling.y_spread[..., None, None] * (A.mT @ Q.to(A.dtype) @ A)
        linear, products = Q[..., 1:, 0] + Q[..., 0, 1:], Q[..., i + 1, j + 1]
        if not self.intercept:
            return torch.cat([linear, products], -1)
        return torch.cat([linear, products, (scaling.y_center + Q[..., 0, 0]).unsqueeze(-1)], -1)


def pairs(d: int) -> tuple[list[int], list[int]]:
    """All (i, j) with j <= i."""
    pairs = [(i, j) for i in range(d) for j in range(i + 1)]
    return [i for i, _ in pairs], [j for _, j in pairs]
