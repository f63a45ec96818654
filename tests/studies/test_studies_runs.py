"""Runs read back: made by the real command, kept in SQLite; and what is said when they are not as they should be."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from mlflow import MlflowClient

from command_here import Command
from command_line import client
from noiseworks.config.experiment import digest, load, measuring
from noiseworks.errors import UserError
from noiseworks.exercises import main
from noiseworks.studies import Runs

NAME = "ex1_median"
SMALL = ["replicates=3", "trainer.progress_bar=false"]
TYPED = " ".join(SMALL)
Stale = Callable[[str, str, str, str], bool]


@pytest.fixture(scope="module")
def folder(command: Command, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two sweeps with the same overrides, then one with another seed."""
    path = tmp_path_factory.mktemp("runs")
    for more in ([], [], ["seed=7"]):
        command(path, "-m", f"experiment={NAME}", *SMALL, *more).succeeded()
    return path


@pytest.fixture
def store(folder: Path) -> MlflowClient:
    return client(folder)


def read(folder: Path, *overrides: str, name: str = NAME) -> Runs:
    return Runs({name: list(overrides)}, f"sqlite:///{folder / 'mlflow.db'}")


def sweeps(store: MlflowClient, *more: str) -> list[str]:
    """The parents' ids of those with the overrides SMALL and more, the newest first."""
    experiment = store.get_experiment_by_name(NAME)
    found = store.search_runs([experiment.experiment_id], "tags.sweep_id != ''", order_by=["start_time desc"])
    return [run.info.run_id for run in found if run.data.tags["overrides"] == " ".join([*SMALL, *more])]


def test_the_newest_sweep_with_the_same_overrides_is_taken(folder: Path, store: MlflowClient) -> None:
    second, first = sweeps(store)
    (seven,) = sweeps(store, "seed=7")
    sweep = read(folder, *SMALL)[NAME]
    assert sweep.parent.info.run_id == second
    assert read(folder, *SMALL, "seed=7")[NAME].parent.info.run_id == seven
    assert len({first, second, seven}) == 3
    assert [run.found.data.tags["job"] for run in sweep] == ["0", "1", "2", "3"]
    assert {run.found.data.tags["mlflow.parentRunId"] for run in sweep} == {second}


@pytest.mark.parametrize("typed", [[], SMALL[:1], [*SMALL, "seed=8"]], ids=["none", "fewer", "another seed"])
def test_other_overrides_are_not_taken(folder: Path, typed: list[str]) -> None:
    command = " ".join(["noiseworks", "-m", f"experiment={NAME}", *typed])
    with pytest.raises(UserError, match=f"no runs of experiment={NAME} in .*mlflow.db; run `{command}` first"):
        read(folder, *typed)[NAME]


def test_runs_are_found_by_their_settings(folder: Path) -> None:
    sweep = read(folder, *SMALL)[NAME]
    assert len(sweep.where(noise="laplace")) == 2
    run = sweep.one({"data.num_examples": 21}, noise="laplace")
    assert run.params["data.num_examples"] == "21"
    assert run["exact/unique"] == 1.0
    assert math.isnan(run["no/such/metric"])
    assert run.copies["coefficient/intercept"].shape == (3,)
    with pytest.raises(UserError, match=f"experiment={NAME} has 2 runs with noise=laplace; there must be one"):
        sweep.one(noise="laplace")
    with pytest.raises(UserError, match="has 0 runs with noise=poisson"):
        sweep.one(noise="poisson")


def test_least_squares_and_least_absolute_values_saw_the_same_numbers(folder: Path) -> None:
    """By the data set's digest: paired."""
    sweep = read(folder, *SMALL)[NAME]
    laplace, gaussian = (sweep.one({"data.num_examples": 21}, noise=noise) for noise in ("laplace", "gaussian"))
    assert laplace.copies["train/mae"].max() > 0
    assert np.all(laplace.copies["train/mae"] <= gaussian.copies["train/mae"])
    assert np.all(laplace.copies["train/rmse"] >= gaussian.copies["train/rmse"])


def test_no_runs_at_all(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"There are no runs of experiment=ex1_descent in .*; run `noiseworks -m exp"):
        Runs(uri=f"sqlite:///{tmp_path / 'mlflow.db'}")["ex1_descent"]


@pytest.fixture
def changed(store: MlflowClient) -> Iterator[str]:
    """The newest sweep, marked as made with another configuration."""
    (newest,) = sweeps(store, "seed=7")
    digest = store.get_run(newest).data.tags["experiment.digest"]
    store.set_tag(newest, "experiment.digest", "0123456789abcdef")
    yield newest
    store.set_tag(newest, "experiment.digest", digest)


def test_runs_of_another_configuration_are_stale(folder: Path, changed: str) -> None:
    said = (
        f"are older than conf/experiment/{NAME}.yaml, or than its .*; run `noiseworks -m experiment={NAME} {TYPED} seed"
    )
    with pytest.raises(UserError, match=said):
        read(folder, *SMALL, "seed=7")[NAME]
    assert len(read(folder, *SMALL)[NAME]) == 4  # the others are as they were


@pytest.fixture
def edited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stale]:
    """Whether the runs of an experiment are stale after `old` has become `new` in the file of a module."""

    def stale(experiment: str, name: str, old: str, new: str) -> bool:
        module, before = import_module(name), digest(experiment)
        text = Path(str(module.__file__)).read_text()
        assert text.count(old) == 1
        (tmp_path / "edited.py").write_text(text.replace(old, new))
        monkeypatch.setattr(module, "__file__", str(tmp_path / "edited.py"))
        digest.cache_clear()
        return digest(experiment) != before

    yield stale
    digest.cache_clear()


@pytest.mark.parametrize(
    ("experiment", "module", "old", "new"),
    [
        ("ex1_estimators", "noiseworks_experiments.parts.ex1_measure", "rng.standard_t(5,", "rng.standard_t(4,"),
        ("t6_new", "noiseworks_experiments.t6_prediction", "SIZES = [4,", "SIZES = [5,"),
        ("ex8_coverage", "noiseworks_experiments.parts.ex8_measure", '"coverage": coverage,', '"coverage": draws,'),
        ("ex8_coverage", "noiseworks_experiments.parts.ex8_logarithm", "y.any(axis=1)", "y.all(axis=1)"),
        ("ex8_coverage", "noiseworks_experiments.parts.ex8_logarithm", "A, B = 0.5, 0.8", "A, B = 0.5, 0.9"),
        ("ex8_coverage", "noiseworks_experiments.parts.counts", "rng.gamma(rates /", "rng.gamma(2 * rates /"),
        ("ex8_apples", "noiseworks_experiments.parts.heaps", "FOLDS = 10", "FOLDS = 5"),
        ("ex5_estimators", "noiseworks_experiments.parts.absolute", "below[..., -1:] / 2", "below[..., -1:] / 3"),
        ("t5_measures", "noiseworks_experiments.parts.t5_measure", "abs(1 - np.multiply", "abs(2 - np.multiply"),
    ],
)
def test_another_measure_makes_runs_stale(edited: Stale, experiment: str, module: str, old: str, new: str) -> None:
    """Functions, constants and methods: of the exercise, of its parts, and of what only exercises use."""
    assert edited(experiment, module, old, new)


@pytest.mark.parametrize(
    ("experiment", "module", "old", "new"),
    [
        ("ex1_estimators", "noiseworks_experiments.ex1_location", "replicates=20000", "replicates=10000"),
        ("ex1_estimators", "noiseworks_experiments.ex1_location", "def claims(runs: Runs)", "def claims(runs)"),
        ("ex8_coverage", "noiseworks_experiments.ex8_counts", "def claims(runs: Runs)", "def claims(runs)"),
        ("ex8_coverage", "noiseworks_experiments.parts.ex8_figures", "def figures(runs: Runs)", "def figures(runs)"),
        ("ex7_measures", "noiseworks_experiments.parts.ex7_theory", "SPREAD = 0.2", "SPREAD = 0.3"),
        ("ex8_descent", "noiseworks_experiments.parts.ex8_measure", "RATES = [0.5,", "RATES = [0.6,"),  # a fit
    ],
)
def test_other_conclusions_do_not(edited: Stale, experiment: str, module: str, old: str, new: str) -> None:
    assert not edited(experiment, module, old, new)


OWN = """
import noiseworks_experiments.parts.heaps
from noiseworks.studies import Runs, claim
from noiseworks_experiments.parts import counts

def measure(cfg):
    return {"z": counts.Z}
"""


def test_modules_are_found_however_they_are_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "mine_import.py").write_text(OWN)
    text = "\n".join(measuring(load(tmp_path / "mine_import.py")))
    monkeypatch.delitem(sys.modules, "noiseworks_experiments.mine_import")
    assert all(part in text for part in ("def measure(cfg)", "def wald_coverage(", "def rounded("))
    assert "class Claim" not in text


def test_what_is_typed_beside_the_name_belongs_to_the_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    before = digest("t5_search"), digest("t5_ridge")
    with monkeypatch.context() as patch:
        tuning = import_module("noiseworks_experiments.t5_tuning")
        patch.setitem(tuning.ARGUMENTS, "t5_search", ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=60"])
        digest.cache_clear()
        after = digest("t5_search"), digest("t5_ridge")
    digest.cache_clear()
    assert after[0] != before[0]
    assert after[1] == before[1]


def test_a_sweep_with_a_failed_job_is_refused_with_its_reason(folder: Path, command: Command) -> None:
    typed = [*SMALL, "data.val_fraction=0.9999", "optimizer=minibatch_sgd", "schedule=constant"]
    assert command(folder, "-m", f"experiment={NAME}", *typed).status == 1
    with pytest.raises(
        UserError, match=r"newest sweep of .* is FAILED, with 4 of 4 jobs not finished: .*val_fraction.*\d\. Run `"
    ):
        read(folder, *typed)[NAME]


def test_a_sweep_with_a_killed_job_is_refused(folder: Path, store: MlflowClient) -> None:
    child = read(folder, *SMALL, "seed=7")[NAME][2].id
    store.update_run(child, status="KILLED")
    try:
        with pytest.raises(UserError, match=r"with 1 of 4 jobs not finished: it was stopped\. Run `"):
            read(folder, *SMALL, "seed=7")[NAME]
    finally:
        store.update_run(child, status="FINISHED")


def _exercises(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Exit status of `python -m noiseworks.exercises`."""
    monkeypatch.setattr(sys, "argv", ["exercises", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_make_report_says_which_runs_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command behind `make report`, where nothing was run: one sentence, status 2, no traceback."""
    monkeypatch.chdir(tmp_path)
    assert _exercises(monkeypatch, "--from-runs", "--only", "1") == 2
    assert capsys.readouterr().err.startswith("noiseworks: There are no runs of experiment=ex1_descent in sqlite:///")
    assert not (tmp_path / "report" / "index.html").exists()


def test_an_exercise_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert _exercises(monkeypatch, "--only", "99") == 2
    assert capsys.readouterr().err.startswith("noiseworks: EX=99 is no exercise; there are 1, 2")
