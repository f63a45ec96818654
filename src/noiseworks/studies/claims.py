"""A sentence that can be wrong, and what the runs say about it."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from noiseworks.studies.intervals import Interval
from noiseworks.text_table import layout

AGREES, DIFFERS, INCONCLUSIVE = "agrees", "differs", "inconclusive"


@dataclass(frozen=True)
class Claim:
    """A sentence and its check: `found` should lie within theory +- margin; that of a control, which is false, not.

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
        """The claim as a row of verdicts.json."""
        found = {"estimate": self.found.estimate, "lo": self.found.lo, "hi": self.found.hi}
        numbers = {"theory": self.theory, **found, "margin": self.margin}
        plain = {key: float(value) if math.isfinite(value) else None for key, value in numbers.items()}
        return {"exercise": self.exercise, "claim": self.claim, "kind": self.kind, **plain, "verdict": self.verdict}


def claim(exercise: str, sentence: str, theory: float, found: Interval, margin: float) -> Claim:
    return Claim(exercise, sentence, float(theory), found, float(margin))


def control(exercise: str, sentence: str, theory: float, found: Interval, margin: float) -> Claim:
    """The same check on runs for which the claim is false; the sentence says what is different about them."""
    return Claim(exercise, sentence, float(theory), found, float(margin), "control")


def verdict_table(claims: Sequence[Claim]) -> str:
    """Text, a line a claim; what is not as hoped is marked."""
    header = ["claim", "kind", "verdict", "theory", "margin", "estimate", "99 % from", "to", "margin/s.e."]
    rows = [header]
    for claim in claims:
        numbers = (claim.theory, claim.margin, claim.found.estimate, claim.found.lo, claim.found.hi, claim.resolution)
        cells = [f"{value:.4g}" for value in numbers]
        verdict = claim.verdict if claim.as_hoped else f"! {claim.verdict}"
        rows.append([f"{claim.exercise} {claim.claim}", claim.kind, verdict, *cells])
    return layout(rows)


def complaint(claims: Sequence[Claim], smoke: bool) -> str | None:
    """A sentence if a claim does not agree or a control does not differ; in a small run they may be inconclusive."""
    wrong = [c for c in claims if not c.as_hoped and not (smoke and c.verdict == INCONCLUSIVE)]
    if not wrong:
        return None
    first = wrong[0]
    said = f"{first.kind} {first.exercise} {first.verdict}: {first.claim}"
    return f"{len(wrong)} of {len(claims)} verdicts are wrong; {said}"


def save(claims: Sequence[Claim], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[\n" + ",\n".join(f"  {json.dumps(claim.record())}" for claim in claims) + "\n]\n")
