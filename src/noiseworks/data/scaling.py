"""Standardization: the units of the fit, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from noiseworks.noise.base import weighted_mean

if TYPE_CHECKING:
    from noiseworks.data.base import Examples
    from noiseworks.noise import Noise

NEGLIGIBLE = 1e-12  # of the largest value of a column: so small a spread is rounding


@dataclass(frozen=True)
class Scaling:
    """z = (x - x_center) / x_spread and eta = y_center + y_spread eta', eta' being the linear predictor of the fit.

    For location-scale noise the target is standardized with it; for the others y_spread is 1 and y_center the
    predictor of the constant fit, so that for every noise zero parameters mean "no feature matters".
    Members are stacked on a leading axis: x_center (..., d), y_center (...,).
    """

    x_center: Tensor
    x_spread: Tensor
    y_center: Tensor
    y_spread: Tensor

    @staticmethod
    def none(num_features: int) -> Scaling:
        zero, one = torch.zeros((), dtype=torch.float64), torch.ones((), dtype=torch.float64)
        return Scaling(zero.expand(num_features), one.expand(num_features), zero, one)

    @staticmethod
    def stack(scalings: list[Scaling]) -> Scaling:
        fields = ("x_center", "x_spread", "y_center", "y_spread")
        return Scaling(*(torch.stack([getattr(s, field) for s in scalings]) for field in fields))

    def to(self, device: torch.device) -> Scaling:
        return Scaling(*(t.to(device) for t in (self.x_center, self.x_spread, self.y_center, self.y_spread)))

    def __getitem__(self, index: Tensor) -> Scaling:
        return Scaling(self.x_center[index], self.x_spread[index], self.y_center[index], self.y_spread[index])


def fit_scaling(train: Examples, noise: Noise, intercept: bool) -> Scaling:
    """By mean and standard deviation of the training rows; without an intercept nothing is centred."""
    X_center, X_spread = _moments(train.X.T, train.weights, intercept)
    offset = torch.zeros_like(train.y) if train.offset is None else train.offset
    if noise.location_scale:
        y_center, y_spread = _moments(noise.transform(train.y) - offset, train.weights, intercept)
        return Scaling(X_center, X_spread, y_center, y_spread)
    one, y_center = torch.ones((), dtype=train.y.dtype), torch.zeros((), dtype=train.y.dtype)
    if intercept:
        mean = weighted_mean(train.y, train.weights).clamp_min(0.5 / len(train))  # all zero: half an event in all
        y_center = noise.inverse_mean(mean) - weighted_mean(offset, train.weights)
    return Scaling(X_center, X_spread, y_center, one)


def _moments(values: Tensor, weights: Tensor | None, center: bool) -> tuple[Tensor, Tensor]:
    """Center and spread over the last axis; the spread of a constant is 1."""
    middle = weighted_mean(values, weights) if center else torch.zeros(values.shape[:-1], dtype=values.dtype)
    spread = weighted_mean((values - middle.unsqueeze(-1)).square(), weights).sqrt()
    negligible = NEGLIGIBLE * values.abs().amax(-1) if values.shape[-1] else torch.zeros_like(spread)
    return middle, torch.where(spread > negligible, spread, torch.ones_like(spread))
