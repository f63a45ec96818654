"""Studies whose trials are real jobs, run and told as the Optuna sweeper does it, in this process."""

from __future__ import annotations

import io
import json
import random
from collections.abc import Collection, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from mlflow.entities import Run
from optuna.exceptions import TrialPruned
from optuna.study import Study
from optuna.trial import FrozenTrial, Trial, TrialState
from sweep_batches import SMALL
from sweep_runs import Left

from fast_configs import configuration
from hydra_members.protocol import Batch, BatchJob
from noiseworks.search.summary import report_search
from noiseworks.sweep.batch import run_batch
from noiseworks.sweep.report import report_jobs
from noiseworks.sweep.summary import end_sweep
from noiseworks.tracking.parents import StudyFacts

CONFIRMS_FROM = 1_000_000
FRESH = ["seed=1000", "replicates=4"]


def suggest(trial: Trial) -> None:
    trial.suggest_float("optimizer.lr", 1e-5, 1, log=True)
    trial.suggest_float("model.init_scale", 0, 0.1)
    trial.suggest_categorical("data.batch_size", [8, 16])
    trial.suggest_categorical("data.val_fraction", [0.2, 0.999])  # the second leaves no training rows
    if trial.suggest_categorical("noise", ["gaussian", "student_t"]) == "student_t":
        trial.suggest_float("noise.df", 2, 30)


def draw(count: int, low: float, high: float, seed: int, **fixed: Any) -> list[dict[str, Any]]:
    """Settings with learning rates of these magnitudes."""
    rng = random.Random(seed)
    settings = []
    for _ in range(count):
        given = {"optimizer.lr": 10 ** rng.uniform(low, high), "model.init_scale": rng.uniform(0, 0.1)}
        given |= {"data.batch_size": rng.choice([8, 16]), "noise": rng.choice(["gaussian", "student_t"])}
        given["data.val_fraction"] = 0.2
        settings.append({**given, "noise.df": rng.uniform(2, 30), **fixed})
    return settings


class Reports:
    def __init__(self, trials: Sequence[Trial], stop: Collection[int]) -> None:
        self.trials, self.stop = {trial.number: trial for trial in trials}, stop

    def __call__(self, values: Mapping[int, float], epoch: int) -> Collection[int]:
        for number, value in values.items():
            self.trials[number].report(value, epoch)
        return self.stop if epoch == 2 else ()


class Session:
    """What one call of `noiseworks -m hydra/sweeper=optuna` does, and what is left of it in folder/s."""

    def __init__(self, folder: Path, study: Study, *base: str) -> None:
        self.folder, self.study, self.base = folder, study, [*SMALL, *base]
        self.place = folder / "s"
        self.results: dict[int, Any] = {}
        self.place.mkdir()
        (self.place / "sweep.json").write_text(json.dumps({"id": "1", "overrides": ["optimizer.lr=interval(1e-5,1)"]}))
        directions = [direction.name.lower() for direction in study.directions]
        self.facts = StudyFacts(study.study_name, "1", directions, CONFIRMS_FROM)
        (self.place / "study.json").write_text(json.dumps(asdict(self.facts)))

    def run(self, settings: Sequence[Mapping[str, Any]], stop: Collection[int] | None = None) -> None:
        """`stop`: trials that are pruned after the second epoch; without it none is asked how it gets on."""
        trials = []
        for given in settings:
            self.study.enqueue_trial(dict(given))
            trials.append(self.study.ask())
            suggest(trials[-1])
        jobs = {trial.number: [f"{key}={value}" for key, value in trial.params.items()] for trial in trials}
        report = None if stop is None else Reports(trials, stop)
        for trial, result in zip(trials, self._run_jobs(jobs, report)):
            self.results[trial.number] = result
            if isinstance(result, Exception):
                pruned = isinstance(result, TrialPruned)
                self.study.tell(trial, state=TrialState.PRUNED if pruned else TrialState.FAIL)
                continue
            for name, value in result["constraints"].items():
                trial.set_constraint(name, value)
            if result["standard_error"] is not None:
                trial.set_user_attr("standard_error", result["standard_error"])
            self.study.tell(trial, result["objective"])

    def confirm(self, number: int) -> None:
        lines = [f"{key}={value}" for key, value in self.study.trials[number].params.items()]
        (result,) = self._run_jobs({CONFIRMS_FROM + number: [*lines, *FRESH]}, None)
        facts = {"objective": result["objective"], "standard_error": result["standard_error"], "seeds": 4}
        known = self.study.user_attrs.get("confirmed", {})
        self.study.set_user_attr("confirmed", known | {str(number): facts})

    def _run_jobs(self, jobs: Mapping[int, Sequence[str]], report: Any) -> list[Any]:
        store = f"tracking.uri=sqlite:///{self.folder / 'mlflow.db'}"
        given = []
        for num, overrides in jobs.items():
            config, choices = configuration([*self.base, store, *overrides])
            given.append(BatchJob(num, list(overrides), config, choices, str(self.place / str(num))))
        return list(run_batch(Batch(given, str(self.place), 4.0, False, False, report)))

    def end(self, error: BaseException | None = None) -> End:
        return End(self.place, self.study, error)

    @property
    def left(self) -> Left:
        """Read afresh."""
        return Left(self.folder, "s")

    @property
    def complete(self) -> dict[int, FrozenTrial]:
        return {trial.number: trial for trial in self.study.trials if trial.state == TrialState.COMPLETE}


class End:
    """What `end_sweep` says."""

    def __init__(self, folder: Path, study: Study | None, error: BaseException | None = None) -> None:
        with redirect_stdout(io.StringIO()) as out:
            make_report = report_jobs if study is None else partial(report_search, study, error)
            self.complaint = end_sweep(folder, make_report, error)
        self.out = out.getvalue()

    @cached_property
    def blocks(self) -> list[str]:
        return self.out.strip().split("\n\n")

    def table(self, title: str) -> list[list[str]]:
        """The rows under a title, header first."""
        lines = self.blocks[self.blocks.index(title) + 1].splitlines()
        return [line.split() for line in [lines[0], *lines[2:]]]


def own_metrics(run: Run, prefix: str) -> dict[str, float]:
    return {name.removeprefix(prefix): v for name, v in run.data.metrics.items() if name.startswith(prefix)}
