"""Where an interval lies, drawn in units of the margin: -1 to 1 is where the claim wants it."""

from __future__ import annotations

import math
from dataclasses import dataclass

from noiseworks.study.claim import Claim

REACH = 2.0  # margins to each side; what lies farther out is an arrow at the end


@dataclass(frozen=True)
class Strip:
    """Positions from 0 (two margins below theory) to 100 (two above). beyond: -1 or 1 for an arrow to that side."""

    lo: float
    middle: float
    hi: float
    beyond: int


def strip(claim: Claim) -> Strip | None:
    """None for an estimate that is no number."""
    found = claim.found
    places = [_place(value, claim) for value in (found.lo, found.estimate, found.hi)]
    if any(math.isnan(place) for place in places):
        return None
    lo, middle, hi = (50 + 50 * max(-REACH, min(REACH, place)) / REACH for place in places)
    return Strip(lo, middle, hi, (places[0] > REACH) - (places[2] < -REACH))


def _place(value: float, claim: Claim) -> float:
    return (value - claim.theory) / claim.margin if claim.margin > 0 else math.copysign(math.inf, value - claim.theory)
