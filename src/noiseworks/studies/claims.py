"""Claims: sentences that can be wrong, estimates with 99 % intervals from independent replicates, and verdicts."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from noiseworks.text_table import layout

Array = NDArray[np.float64]
LEVEL = 0.99


@dataclass(frozen=True)
class Interval:
    """An estimate and its 99 % interval. standard_error: 0 for a number that no chance is in."""

    estimate: float
    lo: float
    hi: float
    standard_error: float


def exactly(value: float) -> Interval:
    """A number that no chance is in: of one computation, or the largest of many."""
    value = float(value)
    return Interval(value, value, value, 0.0)


def mean(values: ArrayLike) -> Interval:
    """The mean of replicates (R,), by Student's t."""
    x = _replicates(values)
    return _symmetric(x.mean(), x.std(ddof=1) / np.sqrt(len(x)), len(x) - 1)


def proportion(hits: ArrayLike) -> Interval:
    """The share of hits (R,), by Wilson's score interval; the standard error is that of the middle, never 0."""
    x = _replicates(hits)
    wilson = stats.binomtest(int(x.sum()), len(x)).proportion_ci(LEVEL, method="wilson")
    error = (wilson.high - wilson.low) / (2 * stats.norm.ppf((1 + LEVEL) / 2))
    return Interval(float(x.mean()), float(wilson.low), float(wilson.high), float(error))


def variance(values: ArrayLike, unit: float = 1.0) -> Interval:
    """The variance of values (R,) over `unit`, by the delta method for its logarithm: whatever their distribution."""
    x = _replicates(values)
    return _log(x.var(ddof=1) / unit, _influence(x))


def variance_ratio(above: ArrayLike, below: ArrayLike) -> Interval:
    """var(above) / var(below) of paired replicates: sd(log ratio) = sd(u - v) / sqrt(R), u and v the squared deviations
    over their means."""
    x, y = _replicates(above), _replicates(below)
    return _log(x.var(ddof=1) / y.var(ddof=1), _influence(x) - _influence(y))


def ratio_of_means(above: ArrayLike, below: ArrayLike) -> Interval:
    """mean(above) / mean(below) of paired replicates, both positive; by the delta method for the logarithm."""
    x, y = _replicates(above), _replicates(below)
    return _log(x.mean() / y.mean(), x / x.mean() - y / y.mean())


def slope(x: ArrayLike, values: ArrayLike) -> Interval:
    """The slope of log mean(values) (points, R) against log x (points,), by least squares; the points may be paired."""
    at, v = np.log(np.asarray(x, dtype=float)), np.asarray(values, dtype=float)
    weight = (at - at.mean()) / ((at - at.mean()) ** 2).sum()
    means = v.mean(axis=1)
    each = weight @ (v / means[:, None])  # the influence of each replicate
    R = v.shape[1]
    error = each.std(ddof=1) / np.sqrt(R) if R > 1 else 0.0
    return _symmetric(float(weight @ np.log(means)), error, max(R - 1, 1))


def quantile(values: ArrayLike, level: float) -> Interval:
    """The quantile of values (R,) at `level`, by order statistics, whose ranks are binomial."""
    x = np.sort(_replicates(values))
    n = len(x)
    low, high = stats.binom.ppf([(1 - LEVEL) / 2, (1 + LEVEL) / 2], n, level).astype(int)
    lo, hi = x[max(low - 1, 0)], x[min(high, n - 1)]
    error = (hi - lo) / (2 * stats.norm.ppf((1 + LEVEL) / 2))
    return Interval(float(np.quantile(x, level)), float(lo), float(hi), float(error))


def _replicates(values: ArrayLike) -> Array:
    x = np.asarray(values, dtype=float)
    if x.ndim != 1 or len(x) < 2:
        raise ValueError(f"an interval needs at least two replicates; there are {x.shape}")
    return x


def _influence(x: Array) -> Array:
    squares = (x - x.mean()) ** 2
    return np.asarray(squares / squares.mean() - 1)


def _log(estimate: float, influence: Array) -> Interval:
    """exp(log estimate +- t sd(influence) / sqrt(R))."""
    R = len(influence)
    error = influence.std(ddof=1) / np.sqrt(R)
    reach = stats.t.ppf((1 + LEVEL) / 2, R - 1) * error
    return Interval(
        float(estimate), float(estimate * np.exp(-reach)), float(estimate * np.exp(reach)), float(estimate * error)
    )


def _symmetric(estimate: float, error: float, degrees: int) -> Interval:
    reach = stats.t.ppf((1 + LEVEL) / 2, degrees) * error
    return Interval(float(estimate), float(estimate - reach), float(estimate + reach), float(error))


AGREES, DIFFERS, INCONCLUSIVE = "agrees", "differs", "inconclusive"


@dataclass(frozen=True)
class Claim:
    """A sentence and its check: `found` should lie within theory +- margin; that of a control, which is false, not.

    exercise: number of the sub-question, such as 5.3 or T4. margin: fixed before the runs, by what would matter.
    wrong: plausible theories that are wrong, name -> what each would expect in place of `theory`.
    """

    exercise: str
    claim: str
    theory: float
    found: Interval
    margin: float
    kind: str = "claim"
    wrong: Mapping[str, float] = field(default_factory=dict)

    @property
    def wrong_theories(self) -> list[Claim]:
        """The same check of each of them: the estimate and the margin of the claim, which must differ."""
        return [
            Claim(self.exercise, f"{self.claim}; {name}", float(theory), self.found, self.margin, "wrong theory")
            for name, theory in self.wrong.items()
        ]

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


def claim(
    exercise: str,
    sentence: str,
    theory: float,
    found: Interval,
    margin: float,
    wrong: Mapping[str, float] | None = None,
) -> Claim:
    """wrong: name -> what a theory that is wrong, but plausible, expects: the factor a textbook gets wrong."""
    return Claim(exercise, sentence, float(theory), found, float(margin), wrong=wrong or {})


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
