"""A sentence that can be wrong, and what the runs say about it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from noiseworks.study.intervals import Interval

AGREES, DIFFERS, INCONCLUSIVE = "agrees", "differs", "inconclusive"


@dataclass(frozen=True)
class Claim:
    """`found` should lie within theory +- margin, and that of a control should not: there the sentence is false.

    exercise: number of the sub-question, such as 5.3 or T4. margin: fixed before the runs, by what would matter.
    """

    exercise: str
    claim: str
    theory: float
    found: Interval
    margin: float
    kind: str = "claim"

    @property
    def verdict(self) -> str:
        """agrees: the interval lies inside theory +- margin; differs: wholly outside. An estimate that is no number, of
        a fit that diverged, is wholly outside, too."""
        low, high = self.theory - self.margin, self.theory + self.margin
        lo, hi = self.found.lo, self.found.hi
        if math.isnan(self.found.estimate):
            return DIFFERS
        if low <= lo and hi <= high:
            return AGREES
        return DIFFERS if hi < low or lo > high else INCONCLUSIVE

    @property
    def as_hoped(self) -> bool:
        return self.verdict == (AGREES if self.kind == "claim" else DIFFERS)

    @property
    def resolution(self) -> float:
        """How many standard errors the margin is wide: 5.2 let a true claim pass 99 times in 100."""
        error = self.found.standard_error
        return math.inf if error == 0 else self.margin / error

    def record(self) -> dict[str, Any]:
        """As in verdicts.json."""
        found = {"estimate": self.found.estimate, "lo": self.found.lo, "hi": self.found.hi}
        numbers = {"theory": self.theory, **found, "margin": self.margin}
        plain = {key: float(value) if math.isfinite(value) else None for key, value in numbers.items()}
        return {"exercise": self.exercise, "claim": self.claim, "kind": self.kind, **plain, "verdict": self.verdict}


def claim(exercise: str, sentence: str, theory: float, found: Interval, margin: float) -> Claim:
    return Claim(exercise, sentence, float(theory), found, float(margin))


def control(exercise: str, sentence: str, theory: float, found: Interval, margin: float) -> Claim:
    """The same check on runs for which the claim is false; the sentence says what is different about them."""
    return Claim(exercise, sentence, float(theory), found, float(margin), "control")
