"""How often the 95 % intervals of coefficients hold the truth: the first table of docs/coverage.md."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from coverage_cases import CASES, Array, Case, draw, place
from coverage_fits import fits
from scipy import stats

from noiseworks.inference.uncertainty import automatic, batched_standard_errors
from noiseworks.noise import Noise
from noiseworks.solvers.batched import solve_batch
from noiseworks.solvers.linear_problem import LinearProblems
from noiseworks.solvers.quantile.interior_point import StackedDesign, frisch_newton
from noiseworks.solvers.solution import Solutions

BOOTSTRAPPED = {
    "gaussian": ("right", "t3 errors", "heteroscedastic"),
    "laplace": ("right", "gaussian errors", "heteroscedastic", "monotone"),
    "poisson": ("right", "overdispersed"),
}
FULL = tuple(BOOTSTRAPPED)  # all formulas
MANY, FEW = {500: 10_000, 50: 10_000}, {500: 1000, 50: 2000}  # rows -> data sets
HEADER = [
    "| noise model | data | n | data sets | method | intercept | x1 | x2 | |",
    "|---|---|---|---|---|---|---|---|---|",
]
BLOCK = 250  # data sets at a time
LATTICE = 2500  # rows, of rounded prices, at a time: a sum over all prices for each
REPLICATED = 2  # data sets whose bootstrap replicates are fitted at a time


@dataclass(frozen=True)
class Work:
    """One line of work: all methods of one kind, for one noise model, one truth and one n."""

    table: ClassVar[str] = "coefficients"
    noise: str
    case: str
    n: int
    kind: str  # formulas, bootstrap
    datasets: int
    replicates: int = 200

    @property
    def key(self) -> tuple[object, ...]:
        return (*place(self.noise, self.case), self.n, self.kind)

    @property
    def chosen(self) -> Case:
        return CASES[self.noise][self.case]

    def tenth(self) -> Work:
        return replace(self, datasets=self.datasets // 10)

    def methods(self) -> list[str]:
        """For rounded prices HC3 takes a tenth of a second a data set of 500 rows; it is left out there."""
        noise = self.chosen.noise
        names = ["iid", "information", "HC0", "HC1", "HC2", "HC3"]
        if self.chosen.total or self.noise not in FULL:
            names = ["iid", "information", "HC0", "HC3"]
        left_out = [] if noise.location_scale else ["iid"]
        if noise.counts and not noise.orthogonal and self.n > 50:
            left_out.append("HC3")
        return [name for name in names if name not in left_out]

    def lines(self) -> list[str]:
        """Of the table; data sets without a fit, or without an interval, count as misses."""
        lines = []
        for method, inside in measure(self).items():
            share, none = np.nan_to_num(inside).mean(axis=0), np.isnan(inside).any(axis=1).mean()
            marks = ["low" if share.min() < 0.93 else "high" if share.max() > 0.975 else ""]
            marks += [f"{100 * none:.1f} % none"] if none else []
            numbers = [f"{100 * value:.1f}" for value in share] + [""] * (3 - len(share))
            name = f"{method} (auto)" if method == automatic(self.chosen.noise) else method
            found = [self.noise, self.case, str(self.n), str(self.datasets), name, *numbers]
            lines.append("| " + " | ".join([*found, ", ".join(mark for mark in marks if mark)]) + " |")
        return lines


def key_of_cells(cells: list[str]) -> tuple[object, ...]:
    """Of the work that a line of the table comes from; in the order of the table."""
    noise, case, n, _, method = cells[:5]
    return (*place(noise, case), int(n), "bootstrap" if method == "bootstrap" else "formulas")


def plan() -> list[Work]:
    works = []
    for noise, cases in CASES.items():
        for case, chosen in cases.items():
            sizes = {20: 10_000} if chosen.total else FEW if noise not in (*FULL, "lognormal") else MANY
            works += [Work(noise, case, n, "formulas", datasets) for n, datasets in sizes.items()]
            works += [Work(noise, case, 200, "bootstrap", 1000)] if case in BOOTSTRAPPED.get(noise, ()) else []
    return works


def measure(work: Work) -> dict[str, Array]:
    """Method -> for each data set and coefficient whether its interval holds the truth (data sets, P): 1, 0, or nan
    where there is none."""
    D, hits = work.chosen.design(work.n), {}
    for low in range(0, work.datasets, BLOCK):
        y = draw(work.noise, work.case, D, min(BLOCK, work.datasets - low), seed=1000 + low)
        for method, inside in (by_formulas if work.kind == "formulas" else by_bootstrap)(work, D, y, low).items():
            hits.setdefault(method, []).append(inside)
    return {method: np.concatenate(inside) for method, inside in hits.items()}


def by_formulas(work: Work, D: Array, y: Array, _: int) -> dict[str, Array]:
    noise, truth = work.chosen.noise, work.chosen.coefficients(work.n)
    problems = LinearProblems.of(noise, torch.from_numpy(D), torch.from_numpy(y), None, None)
    answers = fits(problems)
    reach = stats.t.ppf(0.975, work.n - len(truth)) if noise.location_scale else stats.norm.ppf(0.975)
    off, found = np.abs(answers.theta - truth), {}
    for method in work.methods():
        errors = standard_errors(problems, answers, method)
        found[method] = np.where(np.isfinite(errors), off <= reach * errors, np.nan)
    return found


def standard_errors(problems: LinearProblems, answers: Solutions, method: str) -> Array:
    """(K, P), nan where there is no answer."""
    errors = np.full_like(answers.theta, np.nan)
    for some in blocks(problems.noise, np.flatnonzero(np.isfinite(answers.theta[:, 0])), problems.y.shape[1]):
        errors[some] = batched_standard_errors(problems.take(some), answers.take(some), method)
    return errors


def blocks(noise: Noise, members: Array, n: int) -> Iterator[Array]:
    """Of members with n rows each; all, or for rounded prices so many that their sums are in memory."""
    sums = noise.counts and not noise.orthogonal
    yield from np.array_split(members, max(1, -(-len(members) * n // LATTICE))) if sums else [members]


def by_bootstrap(work: Work, D: Array, y: Array, low: int) -> dict[str, Array]:
    """Percentile intervals of rows drawn again."""
    rng, inside, R = np.random.default_rng(7_000_000 + low), [], work.replicates
    truth = work.chosen.coefficients(work.n)
    for own in np.array_split(y, -(-len(y) // REPLICATED)):
        counts = rng.multinomial(work.n, np.full(work.n, 1 / work.n), size=len(own) * R).astype(float)
        theta = fitted(work.chosen.noise, D, np.repeat(own, R, axis=0), counts).reshape(len(own), R, -1)
        ends = np.nanquantile(theta, [0.025, 0.975], axis=1)
        inside.append((ends[0] <= truth) & (ends[1] >= truth))
    return {"bootstrap": np.concatenate(inside).astype(float)}


def fitted(noise: Noise, D: Array, y: Array, weights: Array) -> Array:
    """theta (K, P). Medians by the interior point method alone, to a gap of 1e-9: their ends need no more digits, and
    the way from there to the vertex is four fifths of the time."""
    if noise.quantile_level is None:
        return solve_batch(noise, torch.from_numpy(D), torch.from_numpy(y), None, torch.from_numpy(weights)).theta
    near = np.linalg.lstsq(D, y.T)[0].T
    return near + frisch_newton(StackedDesign.of(D, len(y)), y - near @ D.T, weights, noise.quantile_level).b
