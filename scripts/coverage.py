"""How often the 95 % intervals of exact answers hold the truth: docs/coverage.md.

    python scripts/coverage.py [--quick] [--only formulas|bootstrap] [--workers 2] [--out docs/coverage.md]

Many data sets of a case are fitted side by side, about 15 minutes in all on two free cores. The table is written
after each line of work, and a run that was stopped goes on. --quick: a tenth of the data sets.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from noiseworks.inference.uncertainty import automatic, batched_standard_errors
from noiseworks.noise import Gaussian, Laplace, NegativeBinomial, Noise, Poisson
from noiseworks.solvers.batched import solve_batch, solved_batch
from noiseworks.solvers.linear_problem import LinearProblems
from noiseworks.solvers.quantile.interior_point import StackedDesign, frisch_newton

Array = NDArray[np.float64]
TRUE = np.array([1.0, 0.5, -0.5])
NOISE = {"gaussian": Gaussian(), "laplace": Laplace(), "poisson": Poisson()}
CASES = {
    "gaussian": ["right", "t3 errors", "heteroscedastic"],
    "laplace": ["right", "gaussian errors", "heteroscedastic", "monotone"],
    "poisson": ["right", "overdispersed"],
}
FORMULAS = ["iid", "information", "HC0", "HC1", "HC2", "HC3"]
BLOCK = 250  # data sets at a time
BEGIN, END = "<!-- table -->\n", "<!-- end of table -->\n"
HEADER = [
    "| noise model | data | n | data sets | method | intercept | x1 | x2 | |",
    "|---|---|---|---|---|---|---|---|---|",
]
REPLICATED = 2  # data sets whose bootstrap replicates are fitted at a time


@dataclass(frozen=True)
class Work:
    """One line of work: all methods of one kind, for one noise model, one truth and one n."""

    noise: str
    case: str
    n: int
    kind: str  # formulas, bootstrap
    datasets: int
    replicates: int = 200


def design(n: int) -> Array:
    """A constant, a normal feature, and a skewed one with a few rows far out (log-normal); one for all data sets."""
    rng = np.random.default_rng(n)
    return np.column_stack((np.ones(n), rng.normal(size=n), (rng.lognormal(size=n) - np.exp(0.5)) / 2))


def draw(work: Work, D: Array, K: int, seed: int) -> Array:
    """y (K, n). The errors are of the law that is assumed; heteroscedastic: 0.2 + |x1| times as large, monotone:
    exp(x1 / 2) times."""
    generator, rng = torch.Generator().manual_seed(seed), np.random.default_rng(seed)
    eta = np.broadcast_to(D @ TRUE, (K, len(D)))
    if work.case == "overdispersed":
        return NegativeBinomial(dispersion=0.5).sample(torch.tensor(eta), generator).numpy()
    noise: Noise = NOISE[work.noise]
    if noise.counts:
        return noise.sample(torch.tensor(eta), generator).numpy()
    if work.case == "t3 errors":
        return eta + rng.standard_t(3, size=eta.shape)
    if work.case == "gaussian errors":
        return eta + rng.normal(size=eta.shape)
    errors = noise.with_scale(1.0).sample(torch.zeros(eta.shape, dtype=torch.float64), generator).numpy()
    sizes = {"heteroscedastic": 0.2 + np.abs(D[:, 1]), "monotone": np.exp(D[:, 1] / 2)}
    return eta + errors * sizes.get(work.case, 1.0)


def measure(work: Work) -> tuple[Work, dict[str, Array], float]:
    """Method -> the share of data sets whose interval holds the truth, for each coefficient (3,)."""
    started, D = time.perf_counter(), design(work.n)
    hits: dict[str, list[Array]] = {}
    for low in range(0, work.datasets, BLOCK):
        K = min(BLOCK, work.datasets - low)
        y = draw(work, D, K, seed=1000 + low)
        for method, inside in (by_formulas if work.kind == "formulas" else by_bootstrap)(work, D, y, low).items():
            hits.setdefault(method, []).append(inside)
    shares = {method: np.nanmean(np.concatenate(inside), axis=0) for method, inside in hits.items()}
    return work, shares, time.perf_counter() - started


def by_formulas(work: Work, D: Array, y: Array, _: int) -> dict[str, Array]:
    noise = NOISE[work.noise]
    problems = LinearProblems.of(noise, torch.from_numpy(D), torch.from_numpy(y), None, None)
    answers = solved_batch(problems)
    reach = stats.t.ppf(0.975, work.n - 3) if noise.location_scale else stats.norm.ppf(0.975)
    off, found = np.abs(answers.theta - TRUE), {}
    for method in FORMULAS:
        if method != "iid" or noise.location_scale:
            errors = batched_standard_errors(problems, answers, method)
            found[method] = np.where(np.isfinite(errors), off <= reach * errors, 0.0)  # no interval holds nothing
    return found


def by_bootstrap(work: Work, D: Array, y: Array, low: int) -> dict[str, Array]:
    """Percentile intervals of rows drawn again."""
    rng, inside, R = np.random.default_rng(7_000_000 + low), [], work.replicates
    for own in np.array_split(y, -(-len(y) // REPLICATED)):
        counts = rng.multinomial(work.n, np.full(work.n, 1 / work.n), size=len(own) * R).astype(float)
        theta = fitted(NOISE[work.noise], D, np.repeat(own, R, axis=0), counts).reshape(len(own), R, -1)
        ends = np.nanquantile(theta, [0.025, 0.975], axis=1)
        inside.append((ends[0] <= TRUE) & (ends[1] >= TRUE))
    return {"bootstrap": np.concatenate(inside).astype(float)}


def fitted(noise: Noise, D: Array, y: Array, weights: Array) -> Array:
    """theta (K, P). Medians by the interior point method alone, to a gap of 1e-9: their ends need no more digits, and
    the way from there to the vertex is four fifths of the time."""
    if noise.quantile_level is None:
        return solve_batch(noise, torch.from_numpy(D), torch.from_numpy(y), None, torch.from_numpy(weights)).theta
    near = np.linalg.lstsq(D, y.T)[0].T
    return near + frisch_newton(StackedDesign.of(D, len(y)), y - near @ D.T, weights, noise.quantile_level).b


def plan(tenth: bool, only: str | None) -> list[Work]:
    some = 10 if tenth else 1
    formulas = [
        Work(noise, case, n, "formulas", 10_000 // some)
        for n in (500, 50)
        for noise, cases in CASES.items()
        for case in cases
    ]
    boot = [Work(noise, case, 200, "bootstrap", 1000 // some) for noise, cases in CASES.items() for case in cases]
    return [work for work in formulas + boot if only in (None, work.kind)]


def rows(work: Work, shares: dict[str, Array]) -> list[str]:
    lines = []
    for method, share in shares.items():
        mark = "low" if share.min() < 0.93 else "high" if share.max() > 0.975 else ""
        cells = " | ".join(f"{100 * value:.1f}" for value in share)
        name = f"{method} (auto)" if method == automatic(NOISE[work.noise]) else method
        lines.append(f"| {work.noise} | {work.case} | {work.n} | {work.datasets} | {name} | {cells} | {mark} |")
    return lines


def key(line: str) -> tuple[str, int, int, str]:
    """Of the work that a line of the table comes from; in the order of the table."""
    noise, case, n, _, method = (cell.strip() for cell in line.split("|")[1:6])
    return noise, CASES[noise].index(case), int(n), "bootstrap" if method == "bootstrap" else "formulas"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the data sets")
    parser.add_argument("--only", choices=["formulas", "bootstrap"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument(
        "--out", type=Path, help="the table between the marks of this file; what it has is not run again"
    )
    args = parser.parse_args()
    torch.set_num_threads(1)
    started, lines = time.perf_counter(), [] if args.out is None else read(args.out)
    known = {key(line) for line in lines}
    todo = [w for w in plan(args.quick, args.only) if (w.noise, CASES[w.noise].index(w.case), w.n, w.kind) not in known]
    with ProcessPoolExecutor(args.workers) as pool:
        for work, shares, seconds in pool.map(measure, todo):
            lines = sorted([*lines, *rows(work, shares)], key=key)
            print(f"{seconds:6.1f} s  {work}", flush=True)
            if args.out:
                write(args.out, lines)
    print("\n".join(lines))
    print(f"{time.perf_counter() - started:.0f} s on {args.workers} processes")


def read(path: Path) -> list[str]:
    inside = path.read_text().partition(BEGIN)[2].partition(END)[0] if path.exists() else ""
    return inside.splitlines()[len(HEADER) :]


def write(path: Path, lines: list[str]) -> None:
    """Between the two marks, so that what people wrote around the table stays."""
    before, _, rest = (path.read_text() if path.exists() else BEGIN + END).partition(BEGIN)
    path.write_text(before + BEGIN + "\n".join([*HEADER, *lines]) + "\n" + END + rest.partition(END)[2])


if __name__ == "__main__":
    main()
