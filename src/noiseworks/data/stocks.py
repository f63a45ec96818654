"""The price on last month's price (D2L 3.1, ex. 7)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from noiseworks.data.base import Data
from noiseworks.data.encode import examples
from noiseworks.data.examples import Column, Examples
from noiseworks.data.unknown import not_there
from noiseworks.errors import UserError


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
