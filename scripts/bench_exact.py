"""Exact fits: noiseworks against what a user would take instead, in one run, on the same data.

make bench-exact
python scripts/bench_exact.py --work gaussian poisson --rows 10000 1000000 --json exact.json --figure exact.png

lad: Laplace noise (least absolute deviations); gaussian: least squares; poisson: counts with a log link; n rows of a
constant and 19 normal columns. bootstrap: 1,000 replicates of a LAD fit of 2,930 x 5. Each fit runs in a process of its
own, imports not counted, after a small fit that warms it up; rounds alternate, medians are reported. Who is not
installed is left out: glum, and R (packages r-base-core, r-cran-quantreg), of which lm.fit and glm.fit are timed, not
the formulas. Those that would take minutes are not asked above --longest rows.
error: for lad the relative distance of the objective, sum |y - D theta|, to the lowest that any of them found; for
gaussian and poisson the largest relative distance of a coefficient to the answer in extended precision.
peak MB: the whole process, the data too, which are 168 bytes a row.
"""

from __future__ import annotations

import argparse
import importlib.util
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
from pathlib import Path
from typing import Any

import numpy as np
from exact_fits import COLUMNS, MODULE, PYTHON, R, data, errors

NAMES = {"lad": "LAD", "gaussian": "Gaussian", "poisson": "Poisson"}
BOOTSTRAP = "LAD, 1,000 bootstrap replicates of 2,930 x 5"
LONGEST = {("lad", "sklearn"): 10_000, ("lad", "statsmodels"): 1_000_000, ("lad", "R quantreg fnb"): 1_000_000}


def bootstrap(replicates: int) -> tuple[float, float]:
    """Seconds, and the largest relative distance of 20 replicates' objectives to those of the same fits alone."""
    from noiseworks.solvers.quantile.batched_quantile import batched_least_absolute

    rng = np.random.default_rng(0)
    n = 2930
    D = np.column_stack((np.ones(n), rng.lognormal(size=(n, 4)) * [1000.0, 30, 5, 1]))
    y = D.sum(axis=1) + 500 * rng.laplace(size=n)
    weights = rng.multinomial(n, np.full(n, 1 / n), size=replicates).astype(float)
    started = time.perf_counter()
    theta = batched_least_absolute(D, y, weights).theta
    seconds = time.perf_counter() - started
    rows = [np.repeat(np.arange(n), w.astype(int)) for w in weights[:20]]
    alone = np.array([np.abs(y[i] - D[i] @ PYTHON["lad"]["noiseworks"](D[i], y[i])).sum() for i in rows])
    mine = np.array([np.abs(y[i] - D[i] @ t).sum() for i, t in zip(rows, theta)])
    return seconds, float(np.abs(mine / alone - 1).max())


def child(work: str, who: str, n: int) -> dict[str, Any]:
    """In a process of its own."""
    warnings.filterwarnings("ignore")
    if work == "bootstrap":
        bootstrap(10)
        restart_peak()
        seconds, error = bootstrap(1000)
        return {"seconds": seconds, "peak_mb": peak_mb(), "error": error}
    D, y = data(work, n)
    fit = PYTHON[work][who]
    fit(D[:1000].copy(), y[:1000].copy())
    restart_peak()
    started = time.perf_counter()
    theta = fit(D, y)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "peak_mb": peak_mb(), "theta": np.asarray(theta).tolist()}


def restart_peak() -> None:
    """The high-water mark of memory starts again from here (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mb() -> float:
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return int(found[1]) / 1024 if found else float("nan")


def in_r(work: str, who: str, n: int, folder: Path) -> dict[str, Any]:
    """The same numbers, read by R as doubles; seconds and memory as R's process says."""
    path, answer = folder / f"{work}{n}.bin", folder / "theta.txt"
    if not path.exists():
        D, y = data(work, n)
        path.write_bytes(np.column_stack((D, y)).T.tobytes())  # R keeps columns together
    program = f"""
        A <- matrix(readBin("{path}", "double", {n * (COLUMNS + 1)}), {n})
        D0 <- A[, 1:{COLUMNS}]; y0 <- A[, {COLUMNS + 1}]; rm(A)
        D <- D0[1:1000, ]; y <- y0[1:1000]; fit <- {R[work][who]}
        D <- D0; y <- y0; rm(D0, y0)
        invisible(gc()); writeLines("5", "/proc/self/clear_refs")
        seconds <- system.time(fit <- {R[work][who]})[["elapsed"]]
        peak <- gsub("[^0-9]", "", grep("VmHWM", readLines("/proc/self/status"), value = TRUE))
        writeLines(c(sprintf("%.17g", seconds), peak, sprintf("%.17g", fit$coefficients)), "{answer}")
    """
    done = subprocess.run(["Rscript", "-e", program], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    seconds, peak, *theta = map(float, answer.read_text().split())
    return {"seconds": seconds, "peak_mb": peak / 1024, "theta": theta}


def measure(work: str, who: str, n: int, folder: Path) -> dict[str, Any]:
    if who in R.get(work, {}):
        return in_r(work, who, n, folder)
    arguments = [sys.executable, str(Path(__file__).absolute()), "--child", work, who, "--rows", str(n)]
    done = subprocess.run(arguments, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def contestants(work: str, n: int, longest: dict[tuple[str, str], int]) -> list[str]:
    python = [who for who in PYTHON[work] if importlib.util.find_spec(MODULE.get(who, "noiseworks"))]
    in_r = list(R[work]) if shutil.which("Rscript") else []
    if (
        work == "lad"
        and in_r
        and subprocess.run(["Rscript", "-e", "library(quantreg)"], capture_output=True).returncode
    ):
        in_r = []
    return [who for who in [*python, *in_r] if n <= longest.get((work, who), n)]


def compared(
    work: str, n: int, repeats: int, longest: dict[tuple[str, str], int], folder: Path
) -> list[dict[str, Any]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for _ in range(repeats):
        for who in contestants(work, n, longest):
            found.setdefault(who, []).append(measure(work, who, n, folder))
    wrong = errors(work, n, {who: np.array(measured[0]["theta"]) for who, measured in found.items()})
    name = f"{NAMES[work]}, {n:,} x {COLUMNS}"
    return [{"work": name, "who": who} | medians(measured) | {"error": wrong[who]} for who, measured in found.items()]


def medians(measured: list[dict[str, Any]]) -> dict[str, float]:
    return {key: statistics.median(one[key] for one in measured) for key in ("seconds", "peak_mb")}


def replicates(repeats: int, folder: Path) -> list[dict[str, Any]]:
    measured = [measure("bootstrap", "noiseworks", 0, folder) for _ in range(repeats)]
    error = max(one["error"] for one in measured)
    return [{"work": BOOTSTRAP, "who": "noiseworks"} | medians(measured) | {"error": error}]


def table(rows: list[dict[str, Any]], repeats: int) -> str:
    threads = os.environ.get("OMP_NUM_THREADS", f"{os.cpu_count()} (all)")
    lines = [
        f"{threads} threads (R's own BLAS: one), median of {repeats} rounds; imports not counted",
        f"{'work':<46} {'who':<16} {'seconds':>9} {'ratio':>7} {'peak MB':>8} {'error':>9}",
    ]
    for one in rows:
        own = next(row["seconds"] for row in rows if row["work"] == one["work"] and row["who"] == "noiseworks")
        numbers = f"{one['seconds']:9.3f} {one['seconds'] / own:7.1f} {one['peak_mb']:8.0f} {one['error']:9.1e}"
        lines.append(f"{one['work']:<46} {one['who']:<16} {numbers}")
    return "\n".join(lines)


def figure(rows: list[dict[str, Any]], path: str) -> None:
    """Seconds against rows, a panel for each work and a line for each library."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    works = [
        work for work in NAMES if any(one["work"].startswith(NAMES[work]) and COLUMNS_OF in one["work"] for one in rows)
    ]
    shown, panels = plt.subplots(1, len(works), figsize=(5 * len(works), 4), squeeze=False, layout="constrained")
    for work, panel in zip(works, panels[0]):
        own = [one for one in rows if one["work"].startswith(f"{NAMES[work]}, ") and COLUMNS_OF in one["work"]]
        for who in dict.fromkeys(one["who"] for one in own):
            line = [(int(one["work"].split()[1].replace(",", "")), one["seconds"]) for one in own if one["who"] == who]
            width = 2.5 if who == "noiseworks" else 1.2
            panel.loglog(*zip(*sorted(line)), marker="o", linewidth=width, markersize=4, label=who)
        panel.set(title=f"{NAMES[work]}, {COLUMNS} columns", xlabel="rows", ylabel="seconds")
        panel.grid(which="major", alpha=0.3)
        panel.legend(frameon=False)
    shown.savefig(path, dpi=150)


COLUMNS_OF = f" x {COLUMNS}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    works = [*NAMES, "bootstrap"]
    parser.add_argument("--work", nargs="+", choices=works, default=works)
    parser.add_argument("--rows", type=int, nargs="+", default=[1000, 10_000, 100_000, 1_000_000], help="also 10000000")
    parser.add_argument(
        "--longest", type=int, default=10_000, help="most rows for scikit-learn's LAD, a linear program"
    )
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", metavar="PATH")
    parser.add_argument("--figure", metavar="PATH")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        print(json.dumps(child(*args.child, args.rows[0])))
        return

    longest = LONGEST | {("lad", "sklearn"): args.longest}
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        for work in args.work:
            for n in args.rows if work in NAMES else []:
                rows += compared(work, n, args.repeats, longest, Path(folder))
                for old in Path(folder).glob("*.bin"):
                    old.unlink()
        if "bootstrap" in args.work:
            rows += replicates(args.repeats, Path(folder))
    print(table(rows, args.repeats))
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=2) + "\n")
    if args.figure:
        figure(rows, args.figure)


if __name__ == "__main__":
    main()
