"""Sweeps of small fits, every job an MLflow run: noiseworks against the stock stack (stock_sweep.py), in one run.

make bench-sweep
python scripts/bench_sweep.py --jobs 10 100 1000 10000 --json sweep.json

Each sweep runs in a process of its own, after a sweep of two jobs that warms it up (imports, a new store), and is timed
from the command line to the last written run: composing, training, recording, the figure and table at the end. The
stock stack takes jobs one by one at a constant cost: it is measured on ten, and extrapolated.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import runpy
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

SAMPLE = 10
WORK = "{:,} jobs, 1,000 x 2, 10 epochs of 32, tracked"
SAME = ["data=synthetic", "data.val_fraction=0", "data.standardize=false", "schedule=constant", "trainer.max_epochs=10"]


def overrides(jobs: int, lr: str) -> list[str]:
    """Ten learning rates; as many seeds as it takes. Each seed has its own data."""
    rates = [f"{0.01 * k:.2f}" for k in range(1, 11)] if jobs >= SAMPLE else ["0.03"]
    return [f"seed=range(0,{jobs // len(rates)})", f"{lr}={','.join(rates)}"]


def command(who: str, jobs: int) -> None:
    if who == "stock":
        sys.argv = ["stock_sweep.py", "-m", *overrides(jobs, "lr"), f"tracking_uri=sqlite:///{Path.cwd()}/stock.db"]
        runpy.run_path(str(Path(__file__).with_name("stock_sweep.py")), run_name="__main__")
    else:
        from noiseworks.cli import main

        sys.argv = ["noiseworks", "-m", *SAME, *overrides(jobs, "optimizer.lr"), "trainer.progress_bar=false"]
        main()


def errors(who: str) -> list[float]:
    """param/error of the runs of the latest sweep, as MLflow has it."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{Path.cwd()}/{'stock' if who == 'stock' else 'mlflow'}.db")
    experiment = client.get_experiment_by_name("stock" if who == "stock" else "default")
    runs, page = [], None
    while page != "":
        found = client.search_runs([experiment.experiment_id], max_results=50_000, page_token=page)
        runs += found
        page = found.token or ""
    return [run.data.metrics["param/error"] for run in runs if "param/error" in run.data.metrics]


def child(who: str, jobs: int) -> None:
    """In a process of its own; the last line on stdout is the measurement."""
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")
    command(who, 2)
    warm = len(errors(who))
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark of memory starts again from here (Linux)
    started = time.perf_counter()
    command(who, jobs)
    seconds = time.perf_counter() - started
    peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    found = errors(who)
    assert len(found) == warm + jobs, f"{len(found) - warm} of {jobs} jobs are in MLflow"
    result = {"seconds": seconds, "peak_mb": int(peak[1]) / 1024 if peak else None, "error": statistics.median(found)}
    print(json.dumps(result))


def measure(who: str, jobs: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        arguments = [sys.executable, str(Path(__file__).absolute()), "--child", who, "--jobs", str(jobs)]
        environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
        done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs="+", default=[10, 100, 1000, 10_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", metavar="PATH")
    parser.add_argument("--child", choices=["stock", "noiseworks"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child, args.jobs[0])
        return

    ours: dict[int, list[dict[str, float]]] = {jobs: [] for jobs in args.jobs}
    stock: list[dict[str, float]] = []
    for _ in range(args.repeats):
        stock.append(measure("stock", SAMPLE))
        for jobs in args.jobs:
            ours[jobs].append(measure("noiseworks", jobs))

    a_job = statistics.median(one["seconds"] for one in stock) / SAMPLE
    rows = []
    for jobs in args.jobs:
        seconds = statistics.median(one["seconds"] for one in ours[jobs])
        for who, taken, of in (("stock stack", a_job * jobs, stock), ("noiseworks", seconds, ours[jobs])):
            facts = {key: statistics.median(one[key] for one in of) for key in ("peak_mb", "error")}
            rows.append({"work": WORK.format(jobs), "who": who, "seconds": taken, **facts})
    threads = os.environ.get("OMP_NUM_THREADS", f"{os.cpu_count()} (all)")
    print(f"{WORK.format(args.jobs[0]).split(', ', 1)[1]}; {threads} threads, median of {args.repeats} rounds")
    print(f"stock stack: measured on {SAMPLE} jobs, {a_job:.3f} s each, and extrapolated; imports counted for neither")
    print(f"{'jobs':>8} {'who':<12} {'seconds':>9} {'jobs/s':>8} {'ms/job':>8} {'peak MB':>8} {'param/error':>12}")
    for jobs, row in zip((n for n in args.jobs for _ in range(2)), rows):
        per_second, ms = jobs / row["seconds"], 1000 * row["seconds"] / jobs
        print(
            f"{jobs:>8,} {row['who']:<12} {row['seconds']:9.2f} {per_second:8.1f} {ms:8.2f} {row['peak_mb']:8.0f} "
            f"{row['error']:12.5f}"
        )
        if row["who"] == "noiseworks":
            print(f"{'':>8} ratio {jobs * a_job / row['seconds']:.0f}")
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
