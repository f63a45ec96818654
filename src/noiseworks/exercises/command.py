"""Experiments run by the real command, in processes that have imported it already."""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from noiseworks.experiment import arguments
from noiseworks.tracking.store import quieten

PRELOADED = [
    "hydra._internal.hydra",
    "hydra_plugins.noiseworks.grid_sweeper",
    "hydra_plugins.noiseworks.vectorized_launcher",
    "matplotlib.backends.backend_agg",
    "mlflow.store.tracking.sqlalchemy_store",
    "noiseworks.run",
    "noiseworks.study",
    "noiseworks.sweep.batch",
    "noiseworks.sweep.end",
    "noiseworks.sweep.parent",
]


@dataclass(frozen=True)
class Experiment:
    name: str
    overrides: Sequence[str]
    alone: bool = False  # it measures time: nothing else runs beside it

    @property
    def arguments(self) -> list[str]:
        return ["-m", f"experiment={self.name}", *arguments(self.name), *self.overrides]


@dataclass(frozen=True)
class Done:
    experiment: Experiment
    seconds: float
    status: int
    log: Path


def run_all(experiments: Sequence[Experiment], logs: Path, workers: int) -> Iterator[Done]:
    """In their order, `workers` at a time with a thread each; then those that want to be alone."""
    logs.mkdir(parents=True, exist_ok=True)
    quieten()  # before MLflow is imported
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    yield from _run([e for e in experiments if not e.alone], logs, workers, context, threads=1)
    yield from _run([e for e in experiments if e.alone], logs, 1, context, threads=0)


def _run(experiments: list[Experiment], logs: Path, workers: int, context: Any, threads: int) -> Iterator[Done]:
    waiting = list(experiments)
    running: dict[Any, tuple[Any, Experiment, float, Path]] = {}
    try:
        while waiting or running:
            while waiting and len(running) < workers:
                experiment = waiting.pop(0)
                log = logs / f"{experiment.name}.log"
                process = context.Process(target=_command, args=(experiment.arguments, str(log), threads))
                process.start()
                running[process.sentinel] = process, experiment, time.monotonic(), log
            for sentinel in wait(list(running)):
                process, experiment, started, log = running.pop(sentinel)
                process.join()
                yield Done(experiment, time.monotonic() - started, int(process.exitcode or 0), log)
    finally:
        for process, *_ in running.values():
            process.terminate()


def _command(arguments: list[str], log: str, threads: int) -> None:
    with Path(log).open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    if threads:
        import torch

        torch.set_num_threads(threads)
    from noiseworks.cli import main

    sys.argv = ["noiseworks", *arguments]
    main()
