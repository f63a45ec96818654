from __future__ import annotations

import csv
from pathlib import Path

import matplotlib
import pytest
from data_tables import COMMON

from noiseworks.data.prices import Stocks
from noiseworks.errors import UserError

FILE = Path(matplotlib.get_data_path()) / "sample_data" / "Stocks.csv"
TICKERS = FILE.read_text().splitlines()[1].split(",")[1:]


def stocks(ticker: str):
    return Stocks(ticker=ticker, **COMMON).examples(0)


@pytest.mark.parametrize("ticker", TICKERS)
def test_prices_are_those_of_the_first_of_each_month(ticker):
    with FILE.open(newline="") as lines:
        next(lines)  # the comment
        rows = [row for row in csv.DictReader(lines) if row["Date"].endswith("-01") and row[ticker] != ""]
    prices = [float(row[ticker]) for row in rows]
    examples = stocks(ticker)
    assert examples.y.tolist() == prices[1:]
    assert examples.X.tolist() == [[price] for price in prices[:-1]]
    assert (examples.features, examples.target) == (("last_price",), "price")
    assert [column.name for column in examples.columns] == ["last_price"]
    assert ticker in examples.source


def test_months_listed():
    # 390 months from January 1990 to June 2022; Dell came back in 2016.
    assert {ticker: len(stocks(ticker)) for ticker in ("IBM", "AAPL", "DELL")} == {"IBM": 389, "AAPL": 389, "DELL": 69}
    assert stocks("IBM").digest != stocks("AAPL").digest


@pytest.mark.parametrize(("typed", "meant"), [("IMB", "IBM"), ("appl", "AAPL"), ("GSPC", "^GSPC")])
def test_an_unknown_ticker_is_refused_with_the_nearest(typed, meant):
    with pytest.raises(UserError) as caught:
        stocks(typed)
    text = str(caught.value)
    assert f"data.ticker={typed}" in text
    assert f"did you mean {meant}?" in text
    assert ", ".join(TICKERS) in text
