"""Prices that move by a random share of themselves (D2L 3.1, ex. 7; Black & Scholes, 1973)."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from noiseworks.data.base import Data, Shape
from noiseworks.data.examples import Column, Examples
from noiseworks.errors import UserError
from noiseworks.streams import generator


@dataclass(frozen=True, kw_only=True)
class Prices(Data):
    """Geometric Brownian motion, dS = drift S dt + volatility S dW, seen after each of `steps` units of time:
    log S_t = log S_(t-1) + drift - volatility^2 / 2 + volatility Z, and rounded to multiples of `tick`.

    The price on the price before, or with `log` on its logarithm. Row t is step t: X (steps, 1), y (steps,).
    """

    random: ClassVar[bool] = True
    p0: float
    drift: float
    volatility: float
    steps: int
    tick: float
    log: bool

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("p0", "volatility"):
            if not 0 < getattr(self, key) < math.inf:
                raise UserError(f"data.{key}={getattr(self, key)} is out of range; it must be a number above 0.")
        if not 0 <= self.tick < math.inf:
            raise UserError(f"data.tick={self.tick} is out of range; it must be at least 0, which means none.")
        if not math.isfinite(self.drift):
            raise UserError(f"data.drift={self.drift} is no rate; it must be a finite number, such as 0.005.")
        if self.steps < 2:
            raise UserError(f"data.steps={self.steps} is too few; it must be at least 2.")

    def shape(self) -> Shape:
        return Shape(self.steps, 1, has_offset=False, has_weights=False)

    def examples(self, replicate: int) -> Examples:
        prices = self.path(generator(self.seed, "noise", replicate))
        last = prices[:-1]
        if self.log and (last <= 0).any():
            step = int((last <= 0).nonzero()[0])
            raise UserError(
                f"data.log=true: the price is 0 after step {step}, and zero has no logarithm; a data.tick below "
                f"{self.tick:g}, a data.p0 above {self.p0:g}, or data.log=false would do."
            )
        X, y = (last.log() if self.log else last).unsqueeze(1), prices[1:]
        name = "log_last_price" if self.log else "last_price"
        digest = hashlib.sha256(X.numpy().tobytes() + y.numpy().tobytes()).hexdigest()[:16]
        source = f"geometric Brownian motion, data.seed={self.seed}"
        return Examples(X, y, (name,), "price", (Column(name),), source=source, digest=digest)

    def path(self, draw: torch.Generator) -> Tensor:
        """(steps + 1,): p0 and the price after each step, as it can be seen."""
        normal = torch.randn(self.steps, generator=draw, dtype=torch.float64)
        moves = self.drift - self.volatility**2 / 2 + self.volatility * normal
        prices = torch.exp(math.log(self.p0) + torch.cat((torch.zeros(1, dtype=torch.float64), moves.cumsum(0))))
        return prices if self.tick == 0 else torch.round(prices / self.tick) * self.tick
