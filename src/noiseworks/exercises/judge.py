"""What the claims come to, on the screen and in verdicts.json."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from noiseworks.layout import layout
from noiseworks.study.claim import INCONCLUSIVE, Claim


def verdict_table(claims: Sequence[Claim]) -> str:
    """A line a claim; what is not as hoped is marked."""
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
