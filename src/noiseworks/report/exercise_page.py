"""An exercise with everything that its page shows."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from noiseworks.errors import UserError
from noiseworks.report.page import Page, Question
from noiseworks.studies.claims import INCONCLUSIVE, Claim
from noiseworks.studies.exercise import Exercise
from noiseworks.studies.figures import Figure
from noiseworks.studies.runs import Sweep

REACH = 2.0  # margins to each side; what lies farther out is an arrow at the end


@dataclass(frozen=True)
class Strip:
    """Positions from 0 (two margins below theory) to 100 (two above). beyond: -1 or 1 for an arrow to that side."""

    lo: float
    middle: float
    hi: float
    beyond: int


def strip(claim: Claim) -> Strip | None:
    """Where interval and estimate of a claim lie; None for an estimate that is no number."""
    found = claim.found
    places = [_place(value, claim) for value in (found.lo, found.estimate, found.hi)]
    if any(math.isnan(place) for place in places):
        return None
    lo, middle, hi = (50 + 50 * max(-REACH, min(REACH, place)) / REACH for place in places)
    return Strip(lo, middle, hi, (places[0] > REACH) - (places[2] < -REACH))


def _place(value: float, claim: Claim) -> float:
    return (value - claim.theory) / claim.margin if claim.margin > 0 else math.copysign(math.inf, value - claim.theory)


@dataclass(frozen=True)
class Tally:
    """How many claims agree and how many controls are caught; state: good, open (some inconclusive), wrong, none."""

    claims: Sequence[Claim]

    def count(self, kind: str) -> int:
        return sum(claim.kind == kind for claim in self.claims)

    def as_hoped(self, kind: str) -> int:
        return sum(claim.kind == kind and claim.as_hoped for claim in self.claims)

    @property
    def state(self) -> str:
        missed = [claim for claim in self.claims if not claim.as_hoped]
        if not missed:
            return "good" if self.claims else "none"
        return "open" if all(claim.verdict == INCONCLUSIVE for claim in missed) else "wrong"


@dataclass(frozen=True)
class Study:
    """An exercise, its page, and what the runs say. sweeps: of each of its experiments, in their order."""

    exercise: Exercise
    page: Page
    claims: Sequence[Claim]
    figures: Sequence[Figure]
    sweeps: Sequence[Sweep]

    def __post_init__(self) -> None:
        """Each claim and each figure has its place on the page."""
        asked = {question.number for question in self.page.questions}
        shown: Iterable[Claim | Figure] = [*self.claims, *self.figures]
        for one in shown:
            if one.exercise not in asked:
                kind = type(one).__name__.lower()
                raise UserError(
                    f"{self.exercise.name}.py has a {kind} of {one.exercise}, but {self.exercise.name}.md has no "
                    f"`## {one.exercise} `."
                )

    @property
    def number(self) -> str:
        return self.exercise.number

    @property
    def heading(self) -> str:
        """Exercise 5, or Claim 4 of the text."""
        return f"Claim {self.number[1:]} of the text" if self.number.startswith("T") else f"Exercise {self.number}"

    @property
    def file(self) -> str:
        return f"{self.number}.html"

    @cached_property
    def tally(self) -> Tally:
        return Tally(self.claims)

    def claims_of(self, question: Question) -> list[Claim]:
        return [claim for claim in self.claims if claim.exercise == question.number]

    def tally_of(self, question: Question) -> Tally:
        return Tally(self.claims_of(question))

    def figures_of(self, question: Question) -> list[Figure]:
        return [figure for figure in self.figures if figure.exercise == question.number]
