"""Prices that move by a random share of themselves (D2L 3.1, ex. 7; Black & Scholes, 1973), and real monthly ones."""

from __future__ import annotations

import csv
import hashlib
import math
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from noiseworks.data.base import Column, Data, Examples, Shape
from noiseworks.data.columns import not_there
from noiseworks.data.encoding import examples
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


@dataclass(frozen=True, kw_only=True)
class Stocks(Data):
    """Monthly prices 1990 to 2022, adjusted for splits, as matplotlib ships them: n months with a month before.

    The price on last month's, or with `log` on its logarithm."""

    ticker: str
    log: bool = False

    def examples(self, replicate: int) -> Examples:
        return _load(str(self.ticker), self.log)


@lru_cache
def _load(ticker: str, log: bool) -> Examples:
    prices = monthly_prices(ticker)
    name = "log_last_price" if log else "last_price"
    return examples(
        {name: np.log(prices[:-1]) if log else prices[:-1]},
        ("price", prices[1:]),
        columns=(Column(name),),
        source=f"matplotlib Stocks.csv, {ticker}",
    )


def monthly_prices(ticker: str) -> np.ndarray:
    """The first price in each month that has one: cells are blank before a firm is listed and on days of dividends."""
    import matplotlib  # slow, and only these data need it

    path = Path(matplotlib.get_data_path()) / "sample_data" / "Stocks.csv"
    if not path.exists():
        raise UserError(f"data=stocks: this matplotlib came without its sample data; there is no file {path}.")
    with path.open(newline="") as lines:
        rows = list(csv.DictReader(line for line in lines if not line.startswith("#")))
    tickers = [name for name in rows[0] if name != "Date"]
    if ticker not in tickers:
        raise UserError(not_there(f"data.ticker={ticker} is no ticker of these data", ticker, tickers))
    first: dict[str, float] = {}
    for row in rows:
        if row[ticker]:
            first.setdefault(row["Date"][:7], float(row[ticker]))
    return np.array(list(first.values()))
