"""What a fit of K members leaves, on the CPU and in the units of the data."""

from __future__ import annotations

import bisect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from noiseworks.metrics import FROM_EXACT


@dataclass(frozen=True)
class Curve:
    """A metric along the steps: values (K, T), nan where a member has none."""

    steps: list[int]
    values: Tensor

    def __iter__(self) -> Iterator[tuple[int, Tensor]]:
        """(step, (K,)) in the order of the steps."""
        return zip(self.steps, self.values.unbind(1))

    def take(self, members: slice, steps: int | None) -> Curve:
        """That of some members, up to their last step."""
        T = len(self.steps) if steps is None else bisect.bisect_left(self.steps, steps)
        return Curve(self.steps[:T], self.values[members, :T])

    def last(self) -> Tensor:
        """The latest value of each member (K,); nan for one without any."""
        there = torch.isfinite(self.values)
        at = there.long().cumsum(1).argmax(1, keepdim=True)  # the first to reach the count: the last that is there
        return self.values.gather(1, at).squeeze(1).where(there.any(1), torch.nan)


@dataclass(frozen=True)
class Distance:
    """What the exact answer says of one trained fit. away (number of terms,): how far each coefficient is from it, in
    its standard errors; None where it was not computed. no_optimum: why there is none."""

    away: Tensor | None = None
    no_optimum: str | None = None

    def said(self, terms: Sequence[str], lr: str, exact: str) -> str | None:
        """In words, and what to do about it: lr is the name of the step size, `exact` asks for the exact answer. None
        where the exact answer is known and no coefficient has a standard error."""
        if self.no_optimum is not None:
            kind = "no finite optimum" if "no finite optimum" in self.no_optimum else "no exact answer"
            return f"{kind}: {self.no_optimum}"
        if self.away is None:
            return f"the exact answer was not computed, as it would take long; {exact} does"
        away = self.away.nan_to_num(-1.0)
        worst = int(away.argmax())
        if away[worst] < 0:
            return None
        said = f"distance to the exact coefficients: worst: {terms[worst]}, {away[worst]:.2g} standard errors"
        if away[worst] > 1:
            said += f"; more epochs, a larger step ({lr}) or {exact} would bring them nearer"
        return said


@dataclass
class Outcome:
    """theta (K, P) is in the units of the fit; everything else in those of the data."""

    theta: Tensor
    coefficients: Tensor  # (K, number of terms)
    exact: Tensor | None  # likewise; None where it was not computed
    scale: Tensor | None  # (K,)
    metrics: dict[str, Tensor]  # name -> (K,); nan for a member that failed
    failures: dict[int, str]  # member -> why
    pruned: dict[int, int] = field(default_factory=dict)  # member -> the epoch, from 1, after which it was stopped
    curves: dict[str, Curve] = field(default_factory=dict)
    path: Tensor | None = None  # (steps, K, number of terms), if it was asked for
    steps: Tensor | None = None  # (K,) how long each was trained: a member may leave before the others
    kind: str = "trained"  # or "optimum", "stationary point"
    standard_errors: Tensor | None = None  # (K, number of terms), of exact answers; nan where there is none
    intervals: Tensor | None = None  # (K, number of terms, 2) at 95 %, likewise
    distance: Distance | None = None  # of a single trained fit
    errors_by: str | None = None  # how they were found, see `noiseworks.inference.uncertainty`

    @property
    def failed(self) -> str | None:
        """Why, if every member failed."""
        return next(iter(self.failures.values())) if len(self.failures) == len(self.theta) else None

    @property
    def names(self) -> list[str]:
        """Of all metrics, those that only have a curve first."""
        return [*(name for name in self.curves if name not in self.metrics), *self.metrics]

    def last(self, name: str) -> Tensor:
        """A metric of each member's answer, or where its curve ends (K,)."""
        return self.metrics[name] if name in self.metrics else self.curves[name].last()

    def take(self, start: int, stop: int) -> Outcome:
        """That of the members start ... stop - 1."""
        own = slice(start, stop)
        steps = None if self.steps is None else int(self.steps[own].max())
        exact = None if self.exact is None or self.exact[own].isnan().all() else self.exact[own]
        unknown = () if exact is not None else FROM_EXACT  # they are there because others have them
        return Outcome(
            theta=self.theta[own],
            coefficients=self.coefficients[own],
            exact=exact,
            scale=None if self.scale is None else self.scale[own],
            metrics={name: values[own] for name, values in self.metrics.items() if name not in unknown},
            failures={k - start: why for k, why in self.failures.items() if start <= k < stop},
            pruned={k - start: epoch for k, epoch in self.pruned.items() if start <= k < stop},
            curves={name: curve.take(own, steps) for name, curve in self.curves.items() if name not in unknown},
            path=None if self.path is None else self.path[:steps, own],
            steps=None if self.steps is None else self.steps[own],
            kind=self.kind,
            standard_errors=None if self.standard_errors is None else self.standard_errors[own],
            intervals=None if self.intervals is None else self.intervals[own],
            errors_by=self.errors_by,
            distance=self.distance,
        )
