"""What `hydra/sweeper=optuna` costs, and what it finds.

make bench-search
python scripts/bench_search.py --seeds 10 --json search.json

Three questions, each asked in a process of its own after a small search that warms it up:
cost      seconds outside the launcher, 1,000 trials of three keys, journal file; Optuna asked and told by hand beside
search    the best validation likelihood of house prices: TPE with 128 trials, 16 at a time, against 256 random ones
halving   512 members trained to the end, and with successive halving
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import statistics
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

Row = dict[str, Any]
QUIET = ["trainer.progress_bar=false", "tracking=none", "hydra.sweeper.confirm=0"]
HOUSES = ["experiment=houses_search", "hydra.sweeper.storage=null", *QUIET]
HALVED = ["data=houses", "trainer.max_epochs=32", "hydra.sweeper.storage=null"]
HALVED += ["optimizer.lr=tag(log,interval(1e-4,1))", "hydra/sweeper/sampler=random", "hydra.sweeper.sampler.seed=1"]
SPACE = [f"{key}=tag(log,interval(1e-4,1))" for key in ("optimizer.lr", "optimizer.momentum", "model.init_scale")]
MEMBERS = 512


@contextmanager
def timed(module: Any, name: str) -> Iterator[list[float]]:
    """Seconds that each call of a function takes, as this module calls it."""
    seconds: list[float] = []
    function = getattr(module, name)

    def watched(*args: Any, **kwargs: Any) -> Any:
        started = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            seconds.append(time.perf_counter() - started)

    setattr(module, name, watched)
    try:
        yield seconds
    finally:
        setattr(module, name, function)


def sweep(*arguments: str) -> dict[str, float]:
    """One study: seconds in all, in the launcher and in training, and the best value."""
    import noiseworks.runs.execution as training
    from hydra_members.search import search as _search
    from noiseworks.cli import Command

    sys.argv = ["noiseworks", "-m", "hydra/sweeper=optuna", *arguments]
    with timed(_search, "launch_numbered") as launcher, timed(training, "train") as trained:
        started, command = time.perf_counter(), Command()
        command.start()
        command.end_sweep(None)
        whole = time.perf_counter() - started
    return {"whole": whole, "jobs": sum(launcher), "training": sum(trained), "best": command.study.best_value}


def cost(sampler: str, trials: int) -> Iterator[Row]:
    """The jobs are small exact fits; what they take is not counted."""
    jobs = ["optimizer=sgd", "data=synthetic", "data.num_examples=64", "trainer.max_epochs=1", *SPACE, *QUIET]
    settings = [f"hydra/sweeper/sampler={sampler}", "hydra.sweeper.sampler.seed=1", "hydra.sweeper.n_jobs=16"]
    sweep(*jobs, *settings, "hydra.sweeper.n_trials=2", "hydra.sweeper.study_name=warm")
    took = sweep(*jobs, *settings, f"hydra.sweeper.n_trials={trials}")
    yield {"who": f"noiseworks {sampler}", "seconds": took["whole"] - took["jobs"], "error": took["best"]}


def by_hand(sampler: str, trials: int) -> Iterator[Row]:
    import optuna
    from optuna.storages.journal import JournalFileBackend

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    samplers: dict[str, Callable[..., Any]] = {
        "random": optuna.samplers.RandomSampler,
        "tpe": optuna.samplers.TPESampler,
    }
    storage = optuna.storages.JournalStorage(JournalFileBackend("by_hand.log"))
    started = time.perf_counter()
    study = optuna.create_study(storage=storage, sampler=samplers[sampler](seed=1))
    for _ in range(trials // 16):
        for trial in [study.ask() for _ in range(16)]:
            value = sum(trial.suggest_float(key, 1e-4, 1, log=True) for key in "abc")
            study.tell(trial, value)
    yield {"who": f"optuna {sampler}", "seconds": time.perf_counter() - started, "error": study.best_value}


def search(sampler: str, trials: int, jobs: int, seeds: int) -> Iterator[Row]:
    for seed in range(seeds):
        settings = [f"hydra/sweeper/sampler={sampler}", f"hydra.sweeper.sampler.seed={seed}"]
        counts = [f"hydra.sweeper.n_trials={trials}", f"hydra.sweeper.n_jobs={jobs}"]
        took = sweep(*HOUSES, *settings, *counts)
        yield {"who": f"noiseworks {sampler} {trials}", "seconds": took["whole"], "error": took["best"]}


def halving(pruner: str) -> Iterator[Row]:
    settings = [f"hydra/sweeper/pruner={pruner}", *QUIET]
    sweep(*HALVED, *settings, "hydra.sweeper.n_trials=8")
    took = sweep(*HALVED, *settings, f"hydra.sweeper.n_trials={MEMBERS}", f"hydra.sweeper.n_jobs={MEMBERS}")
    yield {"who": f"noiseworks {pruner}, training", "seconds": took["training"], "error": took["best"]}
    yield {"who": f"noiseworks {pruner}, whole jobs", "seconds": took["jobs"], "error": took["best"]}


def questions(seeds: int) -> dict[str, dict[str, Callable[[], Iterator[Row]]]]:
    return {
        "cost, 1,000 trials": {
            "optuna random": lambda: by_hand("random", 1000),
            "noiseworks random": lambda: cost("random", 1000),
            "optuna tpe": lambda: by_hand("tpe", 1000),
            "noiseworks tpe": lambda: cost("tpe", 1000),
        },
        "search, house prices": {
            "tpe": lambda: search("tpe", 128, 16, seeds),
            "random": lambda: search("random", 256, 256, seeds),
        },
        f"halving, {MEMBERS} members of 32 epochs": {
            "none": lambda: halving("none"),
            "successive_halving": lambda: halving("successive_halving"),
        },
    }


def child(question: str, who: str, seeds: int) -> None:
    """The last line on stdout is the measurement."""
    logging.disable(logging.WARNING)
    warnings.filterwarnings("ignore")
    print(json.dumps(list(questions(seeds)[question][who]())))


def measure(question: str, who: str, seeds: int) -> list[Row]:
    arguments = [sys.executable, os.path.abspath(__file__), "--child", question, who, "--seeds", str(seeds)]
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return [{"work": question, "peak_mb": None, **row} for row in json.loads(done.stdout.splitlines()[-1])]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--json", metavar="PATH")
    parser.add_argument("--only", help="a question, or the beginning of one", default="")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(*args.child, args.seeds)
        return
    rows: list[Row] = []
    print(f"{'work':<36} {'who':<42} {'seconds':>8} {'best, median':>14}")
    for question, all_who in questions(args.seeds).items():
        for who in all_who if question.startswith(args.only) else ():
            found = measure(question, who, args.seeds)
            rows += found
            for name in dict.fromkeys(row["who"] for row in found):
                same = [row for row in found if row["who"] == name]
                seconds, best = (statistics.median(row[key] for row in same) for key in ("seconds", "error"))
                print(f"{question:<36} {name:<42} {seconds:8.2f} {best:14.6f}", flush=True)
    if args.json:
        with open(args.json, "w") as file:
            file.write(json.dumps(rows, indent=2) + "\n")


if __name__ == "__main__":
    main()
