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
from typing import Any

SAMPLE = 10
STOCK = ("stock stack", "lean stock stack")  # as documented; without checkpoints, progress bar and summary
WORK = "{:,} jobs, 1,000 x 2, 10 epochs of 32, tracked"
SAME = ["data=synthetic", "data.val_fraction=0", "data.standardize=false", "schedule=constant", "trainer.max_epochs=10"]


def overrides(jobs: int, lr: str) -> list[str]:
    """Ten learning rates; as many seeds as it takes. Each seed has its own data."""
    rates = [f"{0.01 * k:.2f}" for k in range(1, 11)] if jobs >= SAMPLE else ["0.03"]
    return [f"seed=range(0,{jobs // len(rates)})", f"{lr}={','.join(rates)}"]


def command(who: str, jobs: int) -> None:
    if who in STOCK:
        own = [f"tracking_uri=sqlite:///{Path.cwd()}/stock.db", f"lean={who == 'lean stock stack'}"]
        sys.argv = ["stock_sweep.py", "-m", *overrides(jobs, "lr"), *own]
        runpy.run_path(str(Path(__file__).with_name("stock_sweep.py")), run_name="__main__")
    else:
        from noiseworks.cli import main

        sys.argv = ["noiseworks", "-m", *SAME, *overrides(jobs, "optimizer.lr"), "trainer.progress_bar=false"]
        main()


def errors(who: str) -> list[float]:
    """param/error of the runs of the latest sweep, as MLflow has it."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{Path.cwd()}/{'stock' if who in STOCK else 'mlflow'}.db")
    experiment = client.get_experiment_by_name("stock" if who in STOCK else "default")
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


def measure(who: str, jobs: int, folder: Path) -> dict[str, float]:
    folder.mkdir()
    arguments = [sys.executable, str(Path(__file__).absolute()), "--child", who, "--jobs", str(jobs)]
    environment = {key: value for key, value in os.environ.items() if not key.startswith("MLFLOW_")}
    done = subprocess.run(arguments, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def measure_all(sizes: list[int], repeats: int) -> dict[tuple[str, int], list[dict[str, float]]]:
    """Nothing is deleted before the end: ext4 is slow to make files for a while after many have been deleted."""
    found: dict[tuple[str, int], list[dict[str, float]]] = {}
    everything = [*((who, SAMPLE) for who in STOCK), *(("noiseworks", jobs) for jobs in sizes)]
    with tempfile.TemporaryDirectory() as folder:
        for i, (who, jobs) in enumerate(everything * repeats):
            found.setdefault((who, jobs), []).append(measure(who, jobs, Path(folder) / str(i)))
    return found


def row(jobs: int, who: str, measured: list[dict[str, float]], times: float) -> dict[str, Any]:
    median = {key: statistics.median(one[key] for one in measured) for key in ("seconds", "peak_mb", "error")}
    return {"work": WORK.format(jobs), "who": who} | median | {"seconds": median["seconds"] * times}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, nargs="+", default=[10, 100, 1000, 10_000])
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", metavar="PATH")
    parser.add_argument("--child", choices=[*STOCK, "noiseworks"], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child, args.jobs[0])
        return

    found = measure_all(args.jobs, args.repeats)
    threads = os.environ.get("OMP_NUM_THREADS", f"{os.cpu_count()} (all)")
    print(
        f"{WORK.format(0).split(', ', 1)[1]}; {threads} threads, median of {args.repeats} rounds; imports not counted"
    )
    print(f"the stock stack was measured on {SAMPLE} jobs and extrapolated to more")
    print(f"{'jobs':>8} {'who':<16} {'seconds':>9} {'jobs/s':>8} {'ms/job':>8} {'ratio':>6} {'peak MB':>8} param/error")
    rows = []
    for jobs in args.jobs:
        ours = row(jobs, "noiseworks", found["noiseworks", jobs], 1)
        for one in (*(row(jobs, who, found[who, SAMPLE], jobs / SAMPLE) for who in STOCK), ours):
            rows.append(one)
            seconds = one["seconds"]
            print(
                f"{jobs:>8,} {one['who']:<16} {seconds:9.2f} {jobs / seconds:8.1f} {1000 * seconds / jobs:8.2f} "
                f"{seconds / ours['seconds']:6.0f} {one['peak_mb']:8.0f} {one['error']:11.5f}"
            )
    if args.json:
        Path(args.json).write_text(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
