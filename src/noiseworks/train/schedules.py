"""How the learning rate changes with the step, and whether the iterates are averaged."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from noiseworks.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Schedule(ABC):
    """With `averaging`, the answer is the mean of the iterates from step `averaging_start` * total on: Polyak-Ruppert
    averaging ("Acceleration of stochastic approximation by averaging", 1992)."""

    averaging: bool
    averaging_start: float

    def __post_init__(self) -> None:
        if not 0 <= self.averaging_start < 1:
            raise UserError(
                f"schedule.averaging_start={self.averaging_start} is no share of the steps; "
                "it must be at least 0 and below 1."
            )

    @abstractmethod
    def factor(self, step: Tensor, total: int) -> Tensor:
        """What multiplies the learning rate at `step` = 0 ... total - 1."""


class ConstantRate(Schedule):
    def factor(self, step: Tensor, total: int) -> Tensor:
        return torch.ones_like(step, dtype=torch.float64)


@dataclass(frozen=True, kw_only=True)
class InverseSqrt(Schedule):
    """1 / sqrt(1 + step / decay_steps): the decay under which SGD converges for every convex loss."""

    decay_steps: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.decay_steps <= 0:
            raise UserError(f"schedule.decay_steps={self.decay_steps} is no number of steps; it must be above 0.")

    def factor(self, step: Tensor, total: int) -> Tensor:
        return (1 + step.double() / self.decay_steps).rsqrt()


class Cosine(Schedule):
    """(1 + cos(pi step / total)) / 2: from 1 to 0 over the whole run."""

    def factor(self, step: Tensor, total: int) -> Tensor:
        return (1 + torch.cos(math.pi * step.double() / total)) / 2
