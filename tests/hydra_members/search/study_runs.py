"""Searches of a quadratic, and what they leave, read back by Optuna's and MLflow's own readers."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import yaml
from mlflow import MlflowClient
from mlflow.entities import Run
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy.pool import NullPool

from command_here import Command
from command_line import QUIET, Result, Started, client

SWEEP = ["-m", "hydra/sweeper=optuna", QUIET, "tracking.figures=false", "tracking.model=false"]
UNTRACKED = "tracking=none"
ONE_STEP = [
    "data=synthetic", "data.num_examples=100", "data.num_features=1", "data.batch_size=80", "trainer.max_epochs=1",
    "schedule=constant", "optimizer=sgd", "objective=train/rmse",
]  # fmt: skip
LOST = ("its process ended before it", "stopped from outside")  # why a run is KILLED whose trial was queued again
STATES = {"COMPLETE": "FINISHED", "FAIL": "FAILED", "PRUNED": "KILLED"}  # Optuna's, and MLflow's of the run


def quadratic(n: int, *more: str, sampler: str = "random", n_jobs: int = 8) -> list[str]:
    """A search whose optimum is lr = 1.

    Of 100 rows 80 train, in one batch and one epoch: one step of gradient descent, from zero. Features and target are
    standardized over these rows, so that x and y have mean 0 and x has mean square 1. The gradient of mean (y - wx)²/2
    at w = 0 is then -mean(xy) = -w*, with w* the least-squares slope, and the step ends at w = lr w*. There
    mean (y - wx)² = mean (y - w*x)² + (1 - lr)² w*²: train/rmse², in units of the target, is a + c (lr - 1)².
    """
    space = "optimizer.lr=range(0.01,2.01,0.01)" if sampler == "grid" else "optimizer.lr=interval(0,2)"
    search = [f"hydra/sweeper/sampler={sampler}", "hydra.sweeper.sampler.seed=7", f"hydra.sweeper.n_jobs={n_jobs}"]
    return [*SWEEP, *ONE_STEP, space, *search, f"hydra.sweeper.n_trials={n}", *more]


@dataclass(frozen=True)
class Kept:
    """What studies left in `folder`, where the command was typed. Nothing is remembered: it may go on."""

    folder: Path
    storage: str = "optuna.log"  # or an URL

    @property
    def study(self) -> optuna.Study:
        """The only one."""
        (name,) = self.names
        return self.study_of(name)

    @property
    def names(self) -> list[str]:
        return sorted(study.study_name for study in self._opened().get_all_studies())

    def study_of(self, name: str) -> optuna.Study:
        return optuna.load_study(study_name=name, storage=self._opened())

    def _opened(self) -> BaseStorage:
        if "://" in self.storage:
            return RDBStorage(self.storage, engine_kwargs={"poolclass": NullPool})  # no connection is left open
        return JournalStorage(JournalFileBackend(str(self.folder / self.storage)))

    @property
    def trials(self) -> list[FrozenTrial]:
        return self.study.trials

    @property
    def ended(self) -> dict[int, FrozenTrial]:
        """Slot -> the trial that ended by itself; no slot twice."""
        trials = self.trials
        fresh = [trial.number for trial in trials if "slot" not in trial.user_attrs]
        slot = {number: rank for rank, number in enumerate(fresh)}
        by_themselves = [trial for trial in trials if trial.state.is_finished() and "lost" not in trial.user_attrs]
        ended = {slot.get(trial.number, trial.user_attrs.get("slot")): trial for trial in by_themselves}
        assert len(ended) == len(by_themselves), "a slot has ended twice"
        return ended

    def settings(self) -> list[dict[str, Any]]:
        """Of the trials that have ended, by slot."""
        return [trial.params for _, trial in sorted(self.ended.items())]

    @property
    def places(self) -> list[Path]:
        """The folders of sweeps."""
        return sorted(mark.parent for mark in self.folder.rglob("multirun.yaml"))

    @property
    def place(self) -> Path:
        (place,) = self.places
        return place

    @property
    def rows(self) -> dict[int, dict[str, Any]]:
        """Job -> its line in the journal; no job twice."""
        rows = [row for place in self.places for row in journal(place)]
        assert len({row["job"] for row in rows}) == len(rows), "a job has two lines"
        return {row["job"]: row for row in rows}

    @property
    def runs(self) -> list[Run]:
        return all_runs(self.folder)

    @property
    def parent(self) -> Run:
        (parent,) = (run for run in self.runs if "mlflow.parentRunId" not in run.data.tags)
        return parent

    @property
    def client(self) -> MlflowClient:
        return client(self.folder)

    def children(self, tag: str = "trial") -> dict[int, list[Run]]:
        """Number -> its runs."""
        found: dict[int, list[Run]] = {}
        for run in self.runs:
            if tag in run.data.tags:
                found.setdefault(int(run.data.tags[tag]), []).append(run)
        return found


def journal(place: Path) -> list[dict[str, Any]]:
    """The lines that are whole."""
    path = place / "jobs.jsonl"
    lines = path.read_text().split("\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def all_runs(folder: Path) -> list[Run]:
    found = client(folder)
    runs: list[Run] = []
    token = None
    while token != "":
        everywhere = [experiment.experiment_id for experiment in found.search_experiments()]
        page = found.search_runs(everywhere, max_results=1000, page_token=token)
        runs, token = [*runs, *page], page.token or ""
    return runs


def artifacts_of(run: Run, name: str) -> Any:
    return yaml.safe_load((Path(run.info.artifact_uri.removeprefix("file://")) / name).read_text())


def check_whole(kept: Kept, n: int) -> None:
    """Of a study of n trials that is through: each slot has ended once, by itself, and MLflow says the same."""
    trials, ended, rows, runs = kept.trials, kept.ended, kept.rows, kept.runs
    assert sorted(ended) == list(range(n))
    died = [trial for trial in trials if "lost" in trial.user_attrs]
    assert {trial.state for trial in died} <= {TrialState.FAIL}
    assert len(ended) + len(died) == len(trials), "some are running or waiting"

    by_number = {trial.number: trial for trial in ended.values()}
    assert {job for job in rows if job < 1_000_000} == by_number.keys()
    for number, trial in by_number.items():
        assert rows[number]["status"] == STATES[trial.state.name]
        if trial.state == TrialState.COMPLETE:
            assert list(rows[number]["objectives"].values()) == trial.values
            assert rows[number]["swept"]["optimizer.lr"] == trial.params["optimizer.lr"]

    assert {run.info.status for run in runs} <= {"FINISHED", "KILLED", "FAILED"}
    assert kept.parent.info.status == "FINISHED"
    children = kept.children()
    for number, its_runs in children.items():
        lost = [run for run in its_runs if run.data.tags.get("failure") in LOST]
        assert len(its_runs) - len(lost) == (number in by_number), f"trial {number} has {its_runs}"
        for run in its_runs:
            if run in lost:
                assert run.info.status == "KILLED"
                assert "pruned" not in run.data.tags
            else:
                check_run(run, by_number[number], kept.parent, rows[number])
    assert by_number.keys() <= children.keys()
    check_confirmed(kept)


def check_run(run: Run, trial: FrozenTrial, parent: Run, row: dict[str, Any]) -> None:
    assert run.info.run_id == row["run"]
    assert run.info.status == STATES[trial.state.name]
    assert ("pruned" in run.data.tags) == (trial.state == TrialState.PRUNED)
    assert run.data.tags["mlflow.parentRunId"] == parent.info.run_id
    assert float(run.data.params["optimizer.lr"]) == trial.params["optimizer.lr"]
    if trial.state == TrialState.COMPLETE:
        assert run.data.metrics["train/rmse"] == trial.value


def check_confirmed(kept: Kept) -> None:
    """What the study says it has confirmed, it has, once."""
    runs = kept.children("confirm")
    true = {number: [run for run in of if run.info.status == "FINISHED"] for number, of in runs.items()}
    confirmed = kept.study.user_attrs.get("confirmed", {})
    assert {int(number) for number in confirmed} == true.keys()
    assert {len(of) for of in true.values()} <= {1}
    for number, facts in confirmed.items():
        assert true[int(number)][0].data.metrics["train/rmse"] == facts["objective"]


def is_running(started: Started) -> bool:
    """Some of them. (Who has ended is a zombie until all have.)"""
    return any(map(state_of, started.pids))


def state_of(pid: int) -> str:
    """R, S, T ...; empty for a process that has ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""
    return "" if state in "ZX" else state


def until(condition: Callable[[], Any], started: Started, pause: float = 0.005) -> None:
    while not condition():
        assert is_running(started), (started.wait(), "ended before it")
        time.sleep(pause)


def lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def ended_jobs(folder: Path) -> int:
    return sum(lines(path) for path in [*folder.glob("multirun/*/*/jobs.jsonl"), folder / "s" / "jobs.jsonl"])


def kill_at(command: Command, folder: Path, arguments: Sequence[str], moment: tuple[str, int, float]) -> Result:
    """Killed so many seconds after so many jobs have ended in all, or lines have been added to the study's file."""
    what, count, later = moment
    before = lines(folder / "optuna.log")
    started = command.start(folder, [arguments])
    if what == "jobs":
        until(lambda: ended_jobs(folder) >= count, started)
    else:
        until(lambda: lines(folder / "optuna.log") >= before + count, started)
    time.sleep(later)
    started.kill()
    return started.wait()[0]


def moments(seed: int, kills: int, jobs: int) -> list[tuple[str, int, float]]:
    """In turn while a batch runs, and while trials are taken, suggested and told. The last comes well before so many
    jobs have ended."""
    rng = random.Random(seed)
    counts = sorted(rng.sample(range(jobs), kills))
    return [
        ("jobs", count, rng.uniform(0, 0.12)) if k % 2 == 0 else ("lines", rng.randrange(1, 30), rng.uniform(0, 0.01))
        for k, count in enumerate(counts)
    ]


def copy(folder: Path, to: Path) -> Kept:
    """What was left, at another place. (Absolute paths in it still lead to the old one.)"""
    shutil.copytree(folder, to)
    return Kept(to)


def states(trials: Sequence[FrozenTrial]) -> Counter[str]:
    return Counter("LOST" if "lost" in trial.user_attrs else trial.state.name for trial in trials)
