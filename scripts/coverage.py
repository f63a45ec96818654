"""How often the 95 % intervals of exact answers hold the truth: docs/coverage.md.

    python scripts/coverage.py [--quick] [--only formulas|bootstrap] [--workers 2] [--out docs/coverage.md]

Every data set of a case is fitted side by side. --quick: a tenth of the data sets.
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

from noiseworks.exact.many import Problems, solve_many, solved_many
from noiseworks.inference.many import standard_errors_many
from noiseworks.noise import Gaussian, Laplace, NegativeBinomial, Noise, Poisson

Array = NDArray[np.float64]
TRUE = np.array([1.0, 0.5, -0.5])
NOISE = {"gaussian": Gaussian(), "laplace": Laplace(), "poisson": Poisson()}
CASES = {
    "gaussian": ["right", "t3 errors", "heteroscedastic"],
    "laplace": ["right", "gaussian errors", "heteroscedastic"],
    "poisson": ["right", "overdispersed"],
}
FORMULAS = ["iid", "information", "HC0", "HC1", "HC2", "HC3"]
BLOCK = 250  # data sets at a time


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
    """y (K, n). Heteroscedastic: the errors are 0.2 + |x1| times as large, of the law that is assumed."""
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
    return eta + errors * (0.2 + np.abs(D[:, 1]) if work.case == "heteroscedastic" else 1.0)


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
    problems = Problems.of(noise, torch.from_numpy(D), torch.from_numpy(y), None, None)
    answers = solved_many(problems)
    reach = stats.t.ppf(0.975, work.n - 3) if noise.location_scale else stats.norm.ppf(0.975)
    off, found = np.abs(answers.theta - TRUE), {}
    for method in FORMULAS:
        if method != "iid" or noise.location_scale:
            errors = standard_errors_many(problems, answers, method)
            found[method] = np.where(np.isfinite(errors), off <= reach * errors, 0.0)  # no interval holds nothing
    return found


def by_bootstrap(work: Work, D: Array, y: Array, low: int) -> dict[str, Array]:
    """Percentile intervals of rows drawn again."""
    rng, inside = np.random.default_rng(7_000_000 + low), []
    for own in y:
        counts = rng.multinomial(work.n, np.full(work.n, 1 / work.n), size=work.replicates).astype(float)
        theta = solve_many(NOISE[work.noise], *map(torch.from_numpy, (D, own)), weights=torch.from_numpy(counts)).theta
        ends = np.nanquantile(theta, [0.025, 0.975], axis=0)
        inside.append((ends[0] <= TRUE) & (ends[1] >= TRUE))
    return {"bootstrap": np.array(inside, dtype=float)}


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


def table(results: list[tuple[Work, dict[str, Array], float]]) -> list[str]:
    lines = [
        "| noise model | data | n | data sets | method | intercept | x1 | x2 | |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for work, shares, _ in sorted(results, key=lambda r: (r[0].noise, CASES[r[0].noise].index(r[0].case), r[0].n)):
        for method, share in shares.items():
            mark = "low" if share.min() < 0.93 else "high" if share.max() > 0.97 else ""
            cells = " | ".join(f"{100 * value:.1f}" for value in share)
            lines.append(f"| {work.noise} | {work.case} | {work.n} | {work.datasets} | {method} | {cells} | {mark} |")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the data sets")
    parser.add_argument("--only", choices=["formulas", "bootstrap"])
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, help="the table in this file is replaced")
    args = parser.parse_args()
    torch.set_num_threads(1)
    started, results = time.perf_counter(), []
    with ProcessPoolExecutor(args.workers) as pool:
        for result in pool.map(measure, plan(args.quick, args.only)):
            results.append(result)
            print(f"{result[2]:6.1f} s  {result[0]}", flush=True)
            if args.out:
                write(args.out, results)
    print("\n".join(table(results)))
    print(f"{time.perf_counter() - started:.0f} s on {args.workers} processes")


def write(path: Path, results: list[tuple[Work, dict[str, Array], float]]) -> None:
    """Between the two marks, so that what people wrote around the table stays."""
    begin, end = "<!-- table -->\n", "<!-- end of table -->\n"
    before, _, rest = (path.read_text() if path.exists() else begin + end).partition(begin)
    path.write_text(before + begin + "\n".join(table(results)) + "\n" + end + rest.partition(end)[2])


if __name__ == "__main__":
    main()
