"""The rule of verdicts, at its edges, and the record of a claim in verdicts.json."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from noiseworks.studies import Interval, claim, control, exactly
from noiseworks.studies.claims import complaint, save, verdict_table

NAN, INF = math.nan, math.inf


def interval(lo: float, hi: float) -> Interval:
    return Interval((lo + hi) / 2, lo, hi, (hi - lo) / 5.2)


# Theory 1, margin 0.5: the claim wants the interval in [0.5, 1.5]. All numbers here are exact in binary.
@pytest.mark.parametrize(
    ("lo", "hi", "verdict"),
    [
        (0.5, 1.5, "agrees"),  # touches both ends
        (0.75, 1.25, "agrees"),
        (0.5, 1.5000001, "inconclusive"),
        (0.4999999, 1.5, "inconclusive"),
        (0.0, 2.0, "inconclusive"),  # covers all: a wide interval proves nothing
        (1.5, 2.0, "inconclusive"),  # touches from outside
        (1.5000001, 2.0, "differs"),
        (0.0, 0.4999999, "differs"),
        (-INF, INF, "inconclusive"),
    ],
)
def test_the_verdict_is_by_where_the_interval_lies(lo: float, hi: float, verdict: str) -> None:
    assert claim("9.1", "", 1.0, interval(lo, hi) if hi < INF else Interval(1.0, lo, hi, INF), 0.5).verdict == verdict


def test_an_estimate_that_is_no_number_differs() -> None:
    found = claim("9.1", "", 1.0, exactly(NAN), 0.5)
    assert found.verdict == "differs"
    assert not found.as_hoped
    assert control("9.1", "", 1.0, exactly(NAN), 0.5).as_hoped
    assert claim("9.1", "", 1.0, exactly(INF), 0.5).verdict == "differs"


def test_a_wrong_theory_is_told_apart_where_the_margin_is_narrow_enough() -> None:
    wrong = {"sd for variance": 3.0, "a factor 1.25": 1.25}
    far, near = claim("9.1", "so", 1.0, interval(0.75, 1.25), 0.5, wrong).wrong_theories
    assert (far.claim, far.kind, far.theory, far.verdict) == ("so; sd for variance", "wrong theory", 3.0, "differs")
    assert far.as_hoped
    assert near.verdict == "agrees"  # within the margin: the claim cannot tell it from the theory
    assert not near.as_hoped


def test_ends_that_are_no_numbers_decide_nothing() -> None:
    assert claim("9.1", "", 1.0, Interval(1.0, NAN, NAN, NAN), 0.5).verdict == "inconclusive"


def test_theory_that_is_no_number_decides_nothing() -> None:
    assert claim("9.1", "", NAN, exactly(1.0), 0.5).verdict == "inconclusive"


def test_a_margin_of_zero_asks_for_equality() -> None:
    assert claim("9.1", "", 1.0, exactly(1.0), 0.0).verdict == "agrees"
    assert claim("9.1", "", 1.0, exactly(1.0 + 1e-15), 0.0).verdict == "differs"


def test_a_control_is_as_hoped_when_it_differs() -> None:
    inside, outside, across = interval(0.9, 1.1), interval(3, 4), interval(1, 4)
    assert [claim("9.1", "", 1.0, found, 0.5).as_hoped for found in (inside, outside, across)] == [True, False, False]
    assert [control("9.1", "", 1.0, found, 0.5).as_hoped for found in (inside, outside, across)] == [False, True, False]


def test_resolution_is_the_margin_in_standard_errors() -> None:
    assert claim("9.1", "", 1.0, Interval(1.0, 0.9, 1.1, 0.04), 0.5).resolution == pytest.approx(12.5)
    assert claim("9.1", "", 1.0, exactly(1.0), 0.5).resolution == INF


def test_the_record_is_that_of_the_design(tmp_path: Path) -> None:
    claims = [
        claim("5.3", "it holds", 1.0, Interval(1.1, 1.0, 1.2, 0.04), 0.5),
        control("T4", "or not", 0.0, exactly(NAN), 1),
    ]
    save(claims, tmp_path / "report" / "verdicts.json")
    first, second = json.loads((tmp_path / "report" / "verdicts.json").read_text())
    assert first == {
        "exercise": "5.3",
        "claim": "it holds",
        "kind": "claim",
        "theory": 1.0,
        "estimate": 1.1,
        "lo": 1.0,
        "hi": 1.2,
        "margin": 0.5,
        "verdict": "agrees",
    }
    assert (second["kind"], second["estimate"], second["verdict"]) == ("control", None, "differs")  # JSON has no NaN


def test_only_a_small_run_may_be_inconclusive() -> None:
    good, open_, wrong = (
        claim("9.1", "a", 1.0, interval(0.9, 1.1), 0.5),
        claim("9.2", "b", 1.0, interval(0.0, 2.0), 0.5),
        control("9.3", "c", 1.0, interval(0.9, 1.1), 0.5),
    )
    assert complaint([good], smoke=False) is None
    assert complaint([good, open_], smoke=True) is None
    assert complaint([good, open_], smoke=False) == "1 of 2 verdicts are wrong; claim 9.2 inconclusive: b"
    assert complaint([good, open_, wrong], smoke=True) == "1 of 3 verdicts are wrong; control 9.3 agrees: c"
    assert "! inconclusive" in verdict_table([good, open_])
