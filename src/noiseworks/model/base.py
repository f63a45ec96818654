"""What every model answers: its terms, its design, its linear predictor, and its coefficients in units of the data."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from noiseworks.errors import UserError

if TYPE_CHECKING:
    from noiseworks.data.scaling import Scaling


@dataclass(frozen=True, kw_only=True)
class Model(ABC):
    """eta' = f(z; theta) for standardized features z; theta (..., P) holds all parameters of a member in one row."""

    name: ClassVar[str]
    linear: ClassVar[bool] = True  # eta' = D theta for a design D
    intercept: bool
    init_scale: float

    def __post_init__(self) -> None:
        if self.init_scale < 0:
            raise UserError(f"model.init_scale={self.init_scale} is negative; it must be 0 (zeros) or above.")

    @abstractmethod
    def terms(self, features: Sequence[str]) -> list[str]:
        """The names of the coefficients, `intercept` last; empty where the model has none to name."""

    @abstractmethod
    def num_parameters(self, num_features: int) -> int: ...

    @abstractmethod
    def design(self, Z: Tensor) -> Tensor:
        """Z (..., n, d) -> D (..., n, q), what `eta` takes."""

    def shifted(self, D: Tensor, shift: Tensor) -> Tensor:
        """The design of Z + shift, from that of Z, whose first columns are Z itself; shift (..., n, d)."""
        return self.design(D[..., : shift.shape[-1]] + shift)

    @abstractmethod
    def coefficients(self, theta: Tensor, scaling: Scaling) -> Tensor:
        """theta (..., P) -> coefficients (..., number of terms) for features and target in units of the data."""

    def eta(self, theta: Tensor, D: Tensor) -> Tensor:
        """theta (K, P), D (K, n, q) -> eta' (K, n)."""
        return torch.bmm(D, theta.unsqueeze(2)).squeeze(2)

    def initial(self, num_features: int, generator: torch.Generator) -> Tensor:
        """Normal with standard deviation init_scale / sqrt(number of inputs), (P,); zeros for init_scale 0."""
        size = self.num_parameters(num_features)
        scale = self.init_scale / math.sqrt(max(num_features, 1))
        return scale * torch.randn(size, generator=generator, dtype=torch.float64)
