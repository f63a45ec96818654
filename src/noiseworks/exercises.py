"""`make exercises`: every experiment run, every claim judged, the report written, as files and as a run in MLflow.

python -m noiseworks.exercises [--only 5 T4] [--smoke] [--from-runs] [--seed 7] [--out report]"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import Metric

from noiseworks.config.experiment import arguments
from noiseworks.errors import UserError
from noiseworks.report import Study, read_page, write_site
from noiseworks.report.exercise_page import Tally
from noiseworks.studies.claims import Claim, complaint, save, verdict_table
from noiseworks.studies.exercise import Exercise, exercises
from noiseworks.studies.runs import Runs
from noiseworks.tracking.store import experiment_id, quieten

EXPERIMENT = "report"


def track(studies: Sequence[Study], files: Sequence[Path], uri: str, note: str = "") -> str:
    """The id of a new run, which has the files and how many claims and controls there are and came out as they should,
    in all and of each exercise."""
    client = MlflowClient(uri)
    tags = {"note": note} if note else {}
    run = client.create_run(experiment_id(uri, EXPERIMENT), run_name="report", tags=tags)
    everything = Tally([claim for study in studies for claim in study.claims])
    tallies = {"": everything} | {f"{study.number}/": study.tally for study in studies}
    metrics = {f"{prefix}{name}": value for prefix, tally in tallies.items() for name, value in _counts(tally).items()}
    at = run.info.start_time
    client.log_batch(run.info.run_id, [Metric(name, value, at, 0) for name, value in metrics.items()])
    for file in files:
        client.log_artifact(run.info.run_id, str(file))
    client.set_terminated(run.info.run_id, "FINISHED")
    return str(run.info.run_id)


def _counts(tally: Tally) -> dict[str, int]:
    return {
        "claims": tally.count("claim"),
        "claims_agree": tally.as_hoped("claim"),
        "controls": tally.count("control"),
        "controls_caught": tally.as_hoped("control"),
    }


PRELOADED = [  # nothing that takes a class from Hydra's plugins: Hydra executes their files anew when it looks for them
    "hydra._internal.hydra",
    "hydra_members.fast_composition",
    "hydra_members.grid",
    "hydra_members.launcher",
    "matplotlib.backends.backend_agg",
    "mlflow.store.tracking.sqlalchemy_store",
    "noiseworks.sweep.one_job",
    "noiseworks.studies",
    "noiseworks.sweep.batch",
    "noiseworks.sweep.summary",
    "noiseworks.sweep.parent_run",
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


def main() -> None:
    parser = argparse.ArgumentParser(description="Run the chapter's exercises, judge their claims, write the report.")
    parser.add_argument("--only", nargs="*", default=[], metavar="EX", help="numbers, such as 5 T4; all if left out")
    parser.add_argument("--smoke", action="store_true", help="small runs; inconclusive verdicts are let pass")
    parser.add_argument("--from-runs", action="store_true", help="run nothing: judge the runs that exist")
    parser.add_argument("--seed", type=int, help="another seed than the experiments' own")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path("report"))
    args = parser.parse_args()
    try:
        said = run(args)
    except UserError as error:
        print(f"noiseworks: {error}", file=sys.stderr)
        sys.exit(2)
    if said is not None:
        print(f"noiseworks: {said}", file=sys.stderr)
        sys.exit(1)


def run(args: argparse.Namespace) -> str | None:
    """A sentence if a verdict is wrong."""
    started, chosen = time.monotonic(), exercises(args.only)
    runs = Runs({k: v for exercise in chosen for k, v in exercise.overrides(args.smoke, args.seed).items()})
    for exercise in () if args.only else chosen:
        read_page(exercise.path.with_suffix(".md"))  # a mistake in a text is said before minutes of runs
    if not args.from_runs:
        run_experiments(chosen, args)
    judged: list[tuple[Exercise, list[Claim]]] = []
    for exercise in chosen:
        judged.append((exercise, exercise.claims(runs)))
        print(f"\n{exercise.name}\n\n{verdict_table(judged[-1][1])}", flush=True)
    claims = [claim for _, found in judged for claim in found]
    save(claims, args.out / "verdicts.json")
    decided = sum(claim.as_hoped for claim in claims)
    print(f"\n{decided} of {len(claims)} verdicts as they should be, in {time.monotonic() - started:.0f} s")
    write_report([study(exercise, found, runs) for exercise, found in judged], args, runs.uri)
    return complaint(claims, args.smoke)


def study(exercise: Exercise, claims: Sequence[Claim], runs: Runs) -> Study:
    page = read_page(exercise.path.with_suffix(".md"))
    return Study(exercise, page, claims, exercise.figures(runs), [runs[name] for name in exercise.experiments])


def write_report(studies: Sequence[Study], args: argparse.Namespace, uri: str) -> None:
    """In the folder, and in MLflow with verdicts.json."""
    small = "Made from small runs (SMOKE=1), whose intervals are wide." if args.smoke else ""
    fresh = "" if args.seed is None else f"Made with seed {args.seed} in place of the experiments’ own."
    note = f"{small} {fresh}".strip()
    files = write_site(studies, args.out, note, whole=not args.only)
    track(studies, [*files, args.out / "verdicts.json"], uri, note)
    print(f"The report: {(args.out / 'index.html').absolute()}")


def run_experiments(chosen: list[Exercise], args: argparse.Namespace) -> None:
    todo = [
        Experiment(name, overrides, exercise.alone)
        for exercise in chosen
        for name, overrides in exercise.overrides(args.smoke, args.seed).items()
    ]
    started = time.monotonic()
    for count, done in enumerate(run_all(todo, args.out / "logs", args.workers), start=1):
        elapsed = time.monotonic() - started
        left = elapsed / count * (len(todo) - count)
        print(
            f"[{count}/{len(todo)}] {done.experiment.name}: {done.seconds:.1f} s; {elapsed:.0f} s gone, "
            f"about {left:.0f} s left",
            flush=True,
        )
        if done.status:
            last = "\n".join(done.log.read_text().splitlines()[-5:])
            raise UserError(f"experiment={done.experiment.name} failed; the end of {done.log}:\n{last}")


if __name__ == "__main__":
    main()
