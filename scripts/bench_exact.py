"""Exact fits: noiseworks against what a user would take instead, in one run, on the same data.

make bench-exact
python scripts/bench_exact.py --work lad --rows 10000 1000000 --json exact.json

Laplace noise (least absolute deviations), n rows of a constant and 19 normal columns, Laplace errors; and bootstrap
replicates of 2,930 x 5. Each fit runs in a process of its own, imports not counted, after a small fit that warms it up;
rounds alternate, medians are reported. R (packages r-base-core, r-cran-quantreg) is left out where it is not installed.
scikit-learn's linear program takes minutes from 50,000 rows: above --longest rows it is not asked.
error: the relative distance of the objective, sum |y - D theta|, to the lowest that any of them found.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

COLUMNS = 20
BOOTSTRAP = "LAD, 1,000 bootstrap replicates of 2,930 x 5"
R_FITS = {"R quantreg pfn": "rq.fit.pfn", "R quantreg fnb": "rq.fit.fnb"}
LONGEST = {"sklearn": 10_000, "statsmodels": 1_000_000}
Fit = Callable[[np.ndarray, np.ndarray], np.ndarray]


def data(n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    D = np.column_stack((np.ones(n), rng.normal(size=(n, COLUMNS - 1))))
    return D, D.sum(axis=1) + rng.laplace(size=n)


def noiseworks(D: np.ndarray, y: np.ndarray) -> np.ndarray:
    import torch

    from noiseworks.exact import solve
    from noiseworks.noise import Laplace

    return solve(Laplace(), torch.from_numpy(D), torch.from_numpy(y)).theta.numpy()


def statsmodels(D: np.ndarray, y: np.ndarray) -> np.ndarray:
    from statsmodels.regression.quantile_regression import QuantReg

    return QuantReg(y, D).fit(q=0.5).params


def sklearn(D: np.ndarray, y: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import QuantileRegressor

    return QuantileRegressor(alpha=0, fit_intercept=False, solver="highs").fit(D, y).coef_


PYTHON: dict[str, Fit] = {"noiseworks": noiseworks, "statsmodels": statsmodels, "sklearn": sklearn}


def bootstrap(replicates: int) -> tuple[float, float]:
    """Seconds, and the largest relative distance of 20 replicates' objectives to those of the same fits alone."""
    from noiseworks.exact.quantile.least_absolute_many import least_absolute_many

    rng = np.random.default_rng(0)
    n = 2930
    D = np.column_stack((np.ones(n), rng.lognormal(size=(n, 4)) * [1000.0, 30, 5, 1]))
    y = D.sum(axis=1) + 500 * rng.laplace(size=n)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=replicates).astype(float)
    started = time.perf_counter()
    theta = least_absolute_many(D, y, weights).theta
    seconds = time.perf_counter() - started
    rows = [np.repeat(np.arange(n), w.astype(int)) for w in weights[:20]]
    alone = np.array([loss(D[i], y[i], noiseworks(D[i], y[i])) for i in rows])
    mine = np.array([loss(D[i], y[i], t) for i, t in zip(rows, theta)])
    return seconds, float(np.abs(mine / alone - 1).max())


def loss(D: np.ndarray, y: np.ndarray, theta: np.ndarray) -> float:
    return float(np.abs(y - D @ theta).sum())


def child(who: str, n: int) -> dict[str, float]:
    """In a process of its own."""
    warnings.filterwarnings("ignore")
    if who == "noiseworks bootstrap":
        bootstrap(10)
        restart_peak()
        seconds, error = bootstrap(1000)
        return {"seconds": seconds, "peak_mb": peak_mb(), "value": error}
    D, y = data(n)
    PYTHON[who](D[:1000].copy(), y[:1000].copy())
    restart_peak()
    started = time.perf_counter()
    theta = PYTHON[who](D, y)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "peak_mb": peak_mb(), "value": loss(D, y, theta)}


def restart_peak() -> None:
    """The high-water mark of memory starts again from here (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


def in_r(who: str, n: int, folder: Path) -> dict[str, float]:
    """The same numbers, read by R as doubles; seconds and memory as R's process says."""
    path, answer = folder / f"{n}.bin", folder / "theta.txt"
    if not path.exists():
        D, y = data(n)
        path.write_bytes(np.column_stack((D, y)).T.tobytes())  # R keeps columns together
    program = f"""
        suppressMessages(library(quantreg))
        A <- matrix(readBin("{path}", "double", {n * (COLUMNS + 1)}), {n})
        D <- A[, 1:{COLUMNS}]; y <- A[, {COLUMNS + 1}]; rm(A)
        fit <- {R_FITS[who]}(D[1:1000, ], y[1:1000], tau = 0.5)
        invisible(gc()); writeLines("5", "/proc/self/clear_refs")
        seconds <- system.time(fit <- {R_FITS[who]}(D, y, tau = 0.5))[["elapsed"]]
        peak <- gsub("[^0-9]", "", grep("VmHWM", readLines("/proc/self/status"), value = TRUE))
        writeLines(c(sprintf("%.17g", seconds), peak, sprintf("%.17g", fit$coefficients)), "{answer}")
    """
    done = subprocess.run(["Rscript", "-e", program], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    seconds, peak, *theta = map(float, answer.read_text().split())
    return {"seconds": seconds, "peak_mb": peak / 1024, "value": loss(*data(n), np.array(theta))}


def measure(who: str, n: int, folder: Path) -> dict[str, float]:
    if who in R_FITS:
        return in_r(who, n, folder)
    arguments = [sys.executable, str(Path(__file__).absolute()), "--child", who, "--rows", str(n)]
    done = subprocess.run(arguments, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def contestants(n: int, longest: dict[str, int]) -> list[str]:
    installed = shutil.which("Rscript") is not None
    return [who for who in [*PYTHON, *(R_FITS if installed else ())] if n <= longest.get(who, n)]


def lad(n: int, repeats: int, longest: dict[str, int], folder: Path) -> list[dict[str, Any]]:
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(repeats):
        for who in contestants(n, longest):
            found.setdefault(who, []).append(measure(who, n, folder))
    best = min(one["value"] for measured in found.values() for one in measured)
    rows = []
    for who, measured in found.items():
        median = {key: statistics.median(one[key] for one in measured) for key in ("seconds", "peak_mb", "value")}
        error = median.pop("value") / best - 1
        rows.append({"work": f"LAD, {n:,} x {COLUMNS}", "who": who} | median | {"error": error})
    return rows


def replicates(repeats: int, folder: Path) -> list[dict[str, Any]]:
    measured = [measure("noiseworks bootstrap", 0, folder) for _ in range(repeats)]
    median = {key: statistics.median(one[key] for one in measured) for key in ("seconds", "peak_mb", "value")}
    error = median.pop("value")
    return [{"work": BOOTSTRAP, "who": "noiseworks"} | median | {"error": error}]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", nargs="+", choices=["lad", "bootstrap"], default=["lad", "bootstrap"])
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 10_000, 50_000, 100_000, 1_000_000])
    parser.add_argument("--longest", type=int, default=LONGEST["sklearn"], help="most rows for scikit-learn")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", metavar="PATH")
    parser.add_argument("--child", choices=[*PYTHON, "noiseworks bootstrap"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(child(args.child, args.rows[0])))
        return

    longest = LONGEST | {"sklearn": args.longest}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for n in args.rows if "lad" in args.work else []:
            rows += lad(n, args.repeats, longest, Path(folder))
        if "bootstrap" in args.work:
            rows += replicates(args.repeats, Path(folder))
    threads = os.environ.get("OMP_NUM_THREADS", f"{os.cpu_count()} (all)")
    print(f"{threads} threads (R's own BLAS: one), median of {args.repeats} rounds; imports not counted")
    print(f"{'work':<46} {'who':<16} {'seconds':>9} {'ratio':>7} {'peak MB':>8} {'error':>9}")
    for one in rows:
        own = next(row["seconds"] for row in rows if row["work"] == one["work"] and row["who"] == "noiseworks")
        ratio = one["seconds"] / own
        print(f"{one['work']:<46} {one['who']:<16} {one['seconds']:9.3f} {ratio:7.1f} ", end="")
        print(f"{one['peak_mb']:8.0f} {one['error']:9.1e}")
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
