"""One epoch of minibatch SGD on squared loss: noiseworks against stock Lightning, in one run on the same data.

make bench-epoch
python scripts/bench_epoch.py --rows 1000000 --features 20 --batch-size 256 --repeats 3 --json epoch.json
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import re
import statistics
import time
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytorch_lightning as pl
import torch
from stock_sweep import LinearRegression, synthetic
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from noiseworks.fit import train
from noiseworks.model import Linear
from noiseworks.noise import Gaussian
from noiseworks.problem import make_problem
from noiseworks.train.ensemble import Member
from noiseworks.train.optimizers import MinibatchSGD
from noiseworks.train.schedules import ConstantRate
from noiseworks.train.settings import Settings

LR = 0.03


def stock_lightning(X: Tensor, y: Tensor, batch_size: int) -> Tensor:
    """One epoch; returns weights and intercept."""
    module = LinearRegression(X.shape[1], LR)
    loader = DataLoader(TensorDataset(X, y), batch_size=batch_size, shuffle=True)
    trainer = pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    trainer.fit(module, loader)
    return torch.cat([module.net.weight.detach().flatten(), module.net.bias.detach()]).double()


def noiseworks(member: Member, settings: Settings) -> Tensor:
    outcome = train([member], settings)
    return outcome.coefficients[0]


def measure(work: Callable[[], Tensor]) -> tuple[float, float, Tensor]:
    """Seconds, the highest memory in use meanwhile in MB (of the process, data included; Linux), and the answer."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again from here
    started = time.perf_counter()
    answer = work()
    taken = time.perf_counter() - started
    peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    return taken, int(peak[1]) / 1024 if peak else float("nan"), answer


def problem_of(rows: int, features: int, batch_size: int) -> tuple[Member, Tensor]:
    """Normal features, unit noise; the member to train, and the true weights and intercept."""
    data = synthetic(0, rows, features, batch_size)
    problem = make_problem(data, Gaussian(), Linear(intercept=True, init_scale=0.0), 0.0, 0)
    schedule = ConstantRate(averaging=False, averaging_start=0.5)
    member = Member(problem, Gaussian(), partial(MinibatchSGD, lr=LR), schedule, seed=0, replicate=0)
    return member, torch.cat([data.w_true, torch.tensor([data.true_intercept], dtype=torch.float64)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--features", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--json", metavar="PATH")
    args = parser.parse_args()
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore")

    member, truth = problem_of(args.rows, args.features, args.batch_size)
    settings = Settings(
        accelerator="cpu",
        devices=1,
        precision="32-true",
        max_epochs=1,
        patience=None,
        min_delta=0.0,
        progress_bar=False,
    )
    examples = member.problem.examples
    X, y = examples.X.float(), examples.y.float()
    contestants = {
        "stock lightning": lambda: stock_lightning(X, y, args.batch_size),
        "noiseworks": lambda: noiseworks(member, settings),
    }
    seconds: dict[str, list[float]] = {who: [] for who in contestants}
    errors: dict[str, float] = {}
    for work in contestants.values():  # warm up on the whole path
        work()
    peaks: dict[str, float] = {}
    for _ in range(args.repeats):
        for who, work in contestants.items():
            taken, peaks[who], answer = measure(work)
            seconds[who].append(taken)
            errors[who] = (answer - truth).norm().item()

    label = f"one epoch, {args.rows:,} x {args.features}, batches of {args.batch_size}"
    rows = [
        {"work": label, "who": who, "seconds": statistics.median(times), "peak_mb": peaks[who], "error": errors[who]}
        for who, times in seconds.items()
    ]
    print(f"{label}; {torch.get_num_threads()} threads, median of {args.repeats}; error: distance to the truth")
    for row in rows:
        print(f"  {row['who']:<16} {row['seconds']:8.3f} s   peak {row['peak_mb']:6.0f} MB   error {row['error']:.4f}")
    print(f"  ratio            {rows[0]['seconds'] / rows[1]['seconds']:8.1f}")
    if args.json:
        with open(args.json, "w") as file:
            json.dump(rows, file, indent=2)


if __name__ == "__main__":
    main()
