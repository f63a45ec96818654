"""docs/coverage.md: its tables have every noise model and marks that follow from their numbers, and the text says what
to do in each row that is low."""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path

import pytest

from noiseworks.regressor.inputs import noise_classes

TEXT = (Path(__file__).parents[2] / "docs" / "coverage.md").read_text()
ORDER = ["HC0", "HC1", "HC2", "HC3"]


def table(begin: str, end: str) -> list[dict[str, str]]:
    """Rows by the names of the columns; the last, which has none, is the mark."""
    header, _, *lines = TEXT.partition(begin)[2].partition(end)[0].strip().splitlines()
    names = [*cells(header)[:-1], "mark"]
    assert all(len(cells(line)) == len(names) for line in lines)
    return [dict(zip(names, cells(line))) for line in lines]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.split("|")[1:-1]]


def advice(title: str) -> list[set[str]]:
    """What stands as code in each item under a title; of `HC0` to `HC2` also what lies between."""
    section = TEXT.partition(f"## {title}\n")[2].partition("\n## ")[0]
    found = []
    for item in re.split(r"\n- ", section)[1:]:
        words = set(re.findall(r"`([^`]+)`", item))
        for first, last in re.findall(r"`(HC\d)` to `(HC\d)`", item):
            words |= set(ORDER[ORDER.index(first) : ORDER.index(last) + 1])
        found.append(words)
    return found


COEFFICIENTS = table("<!-- table -->", "<!-- end of table -->")
PREDICTIONS = table("<!-- predictions -->", "<!-- end of predictions -->")


@pytest.mark.parametrize("rows", [COEFFICIENTS, PREDICTIONS], ids=["coefficients", "predictions"])
def test_every_noise_model_has_rows(rows: list[dict[str, str]]) -> None:
    assert {row["noise model"] for row in rows} == set(noise_classes())


def test_marks_of_coefficients_follow_from_the_numbers() -> None:
    for row in COEFFICIENTS:
        shares = [float(row[name]) for name in ("intercept", "x1", "x2") if row[name]]
        said = row["mark"].partition(",")[0] if row["mark"][:1] in "lh" else ""
        expected = "low" if min(shares) < 93 else "high" if max(shares) > 97.5 else ""
        assert said == expected or 93.0 in shares or 97.5 in shares, row  # rounded in the table


def test_marks_of_predictions_follow_from_the_numbers() -> None:
    for row, n in product(PREDICTIONS, (20, 50, 500)):
        share = float(row[f"n = {n}"] or 90)
        said = [mark for mark in ("low", "high") if f"{mark} at {n}" in row["mark"].split(", ")]
        assert said == (["low"] if share < 88 else ["high"] if share > 92 else []) or share in (88, 92), row


def test_the_text_says_what_to_do_where_coefficients_are_low() -> None:
    items = advice("Where an interval fails, and what to take instead")
    for row in COEFFICIENTS:
        if row["mark"].startswith("low"):
            wanted = {row["noise model"], row["data"], row["method"].removesuffix(" (auto)")}
            assert any(wanted <= item for item in items), wanted


def test_the_text_says_what_to_do_where_predictions_are_low() -> None:
    items = advice("What to do about prediction intervals")
    for row in PREDICTIONS:
        if "low" in row["mark"]:
            wanted = {row["noise model"], row["data"]}
            assert any(wanted <= item for item in items), wanted
