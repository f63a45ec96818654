"""The end of a study of real jobs: its folder, and its parent run, which may end several times."""

from __future__ import annotations

import math
import warnings

import mlflow
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from mlflow.pyfunc import load_model
from optuna.importance import get_param_importances
from optuna.samplers import RandomSampler
from optuna.study import Study, create_study
from search_study import CONFIRMS_FROM, End, Session, draw, own_metrics
from sweep_runs import artifacts, coefficients

from command_line import client

POOR = [*draw(10, -5, -4, seed=0), *draw(2, -5, -4, seed=1, **{"data.val_fraction": 0.999})]
GOOD = draw(6, -1.5, -0.5, seed=2, noise="gaussian")
PRUNED = (1, 4)


def create() -> Study:
    return create_study(sampler=RandomSampler(seed=0), study_name="a-study")


@pytest.fixture(scope="module")
def session(tmp_path_factory) -> Session:
    """12 trials: two pruned, two failed, the best confirmed."""
    session = Session(tmp_path_factory.mktemp("study"), create())
    session.run(POOR, PRUNED)
    session.confirm(best(session))
    (session.place / "optimization_results.yaml").write_text("name: optuna\n")
    return session


def best(session: Session) -> int:
    return min(session.complete, key=lambda number: session.results[number]["objective"])


@pytest.fixture(scope="module")
def end(session) -> End:
    return session.end()


@pytest.fixture(scope="module")
def left(session, end):
    return session.left


def test_what_is_printed(session, end, left):
    assert end.complaint is None
    assert end.blocks[0] == "study a-study, sampler random, to minimize val/nll\n8 complete, 2 pruned, 2 failed"
    number = best(session)
    first, *settings = end.blocks[1].splitlines()
    assert first == f"the best is trial {number}, val/nll {session.results[number]['objective']:.6g}"
    shown = dict(line.split() for line in settings)
    assert shown.keys() == session.study.trials[number].params.keys()
    assert float(shown["optimizer.lr"]) == pytest.approx(session.study.trials[number].params["optimizer.lr"], rel=1e-5)
    assert f"sweep: MLflow run {left.parent.info.run_id} in sqlite:///" in end.out
    reasons = [line for line in end.out.splitlines() if " failed: " in line]
    assert reasons == [f"trial {k} failed: {left.journal[k]['failure']}" for k in (10, 11)]


def test_the_best_five(session, end, left):
    header, *rows = end.table("the best 5:")
    assert header[0] == "trial"
    assert header[-3:] == ["val/nll", "MLflow", "run"]
    values = {number: session.results[number]["objective"] for number in session.complete}
    first = sorted(values, key=values.get)[:5]
    assert [(int(row[0]), row[-2], row[-1]) for row in rows] == [
        (k, f"{values[k]:.6g}", left.children[k].info.run_id) for k in first
    ]


def test_the_confirmation(session, end, left):
    (header, row) = end.table("trained again on fresh seeds:")
    run = left.children[CONFIRMS_FROM + best(session)]
    assert run.data.tags["confirm"] == str(best(session))
    assert "trial" not in run.data.tags
    fresh, error = run.data.metrics["val/nll"], math.sqrt(run.data.metrics["val/nll/variance"] / 4)
    searched = session.results[best(session)]["objective"]
    assert row == [str(best(session)), f"{searched:.6g}", f"{fresh:.6g}", "±", f"{error:.2g}", "4", run.info.run_id]
    assert header[0] == "trial"


def test_the_parent(session, end, left):
    parent, number = left.parent, best(session)
    child, trial = left.children[number], session.study.trials[number]
    assert parent.info.status == "FINISHED"
    assert parent.data.tags["best"] == child.info.run_id
    assert parent.data.tags["best_trial"] == str(number)
    settings = {key: value for key, value in parent.data.tags.items() if key.startswith("best.")}
    assert settings == {f"best.{key}": str(value) for key, value in trial.params.items()}
    assert own_metrics(parent, "best/") == {**child.data.metrics, "value": trial.value}
    assert own_metrics(parent, "sweep/") == {"jobs": 13, "finished": 9, "failed": 2, "killed": 2}
    facts = session.study.user_attrs["confirmed"][str(number)]
    assert own_metrics(parent, "confirmed/") == {
        "value": facts["objective"],
        "standard_error": facts["standard_error"],
    }
    assert parent.data.tags["mlflow.note.content"].startswith(f"```\n{end.blocks[0]}\n\n{end.blocks[1]}\n\n")
    assert "failure" not in parent.data.tags


def test_importances(session, end, left):
    """As Optuna computes them without being told that small is good, which is what it assumes here."""
    with warnings.catch_warnings(action="ignore"):  # that noise.df is in few trials
        shares = get_param_importances(session.study)
    assert own_metrics(left.parent, "importance/") == pytest.approx(shares, abs=1e-12)
    _, *rows = end.table("what decides whether a trial is among the best tenth, roughly (of 8 trials):")
    assert {row[0]: row[1] for row in rows} == {key: f"{share:.3f}" for key, share in shares.items()}
    assert [float(row[1]) for row in rows] == sorted((float(row[1]) for row in rows), reverse=True)


def test_the_files(session, left):
    files = artifacts(left.parent)
    figures = {"history", "importances", "slice", "contour", "intermediate"}
    assert {f"study/{name}.png" for name in figures} <= files.keys()
    assert {"optimization_results.yaml", "trials.csv", "sweep.parquet"} <= files.keys()
    assert "sweep.png" not in files
    for name in figures:
        assert files[f"study/{name}.png"].read_bytes() == (session.place / "study" / f"{name}.png").read_bytes()


def test_the_trials(session, left):
    table = pd.read_csv(artifacts(left.parent)["trials.csv"])
    assert list(table["number"]) == list(range(12))
    assert list(table["run"]) == [left.children[number].info.run_id for number in range(12)]
    assert list(table["state"]) == [trial.state.name for trial in session.study.trials]
    for number, trial in session.complete.items():
        assert table["value"][number] == trial.value
        assert table["params_optimizer.lr"][number] == trial.params["optimizer.lr"]
        assert table["params_noise"][number] == trial.params["noise"]
        assert np.isnan(table["params_noise.df"][number]) == ("noise.df" not in trial.params)


def test_the_jobs(session, left):
    table = pq.read_table(artifacts(left.parent)["sweep.parquet"]).to_pylist()
    assert [(row["trial"], row["confirm"]) for row in table] == [(k, None) for k in range(12)] + [(None, best(session))]
    assert [row["job"] for row in table] == [*range(12), CONFIRMS_FROM + best(session)]
    assert {row["job"] for row in table if row["status"] == "KILLED"} == set(PRUNED)


def test_who_carries_figures_and_a_model(session, left):
    wanted = {left.parent.info.run_id, left.children[best(session)].info.run_id}
    assert {run.info.run_id for run in left.runs if "figures/loss.png" in artifacts(run)} == wanted
    models = client(left.folder).search_logged_models([left.parent.info.experiment_id])
    assert sorted(model.source_run_id for model in models) == sorted(wanted)


class Going:
    """A study that somebody stops, and that goes on: what the parent and the models were after each end."""

    def __init__(self, folder) -> None:
        self.session = Session(folder, create())
        self.session.run(draw(4, -5, -4, seed=3, noise="student_t"))
        self.first = best(self.session)
        self.session.confirm(self.first)
        self.stopped = self._end(SystemExit(143))
        self.session.run(GOOD)
        self.second = best(self.session)
        self.done = self._end(None)
        self.again = self._end(None)

    def _end(self, error):
        self.session.end(error)
        left = self.session.left
        models = client(left.folder).search_logged_models([left.parent.info.experiment_id])
        return left.parent, sorted(model.source_run_id for model in models)

    def run(self, number: int):
        return self.session.left.children[number]


@pytest.fixture(scope="module")
def going(tmp_path_factory) -> Going:
    return Going(tmp_path_factory.mktemp("going"))


def test_a_study_that_was_stopped(going):
    parent, _ = going.stopped
    assert parent.info.status == "KILLED"
    assert parent.data.tags["failure"] == "stopped from outside"
    assert parent.data.tags["best_trial"] == str(going.first)
    assert "best.noise.df" in parent.data.tags
    assert own_metrics(parent, "confirmed/").keys() == {"value", "standard_error"}


def test_a_study_that_goes_on_takes_back_what_no_longer_holds(going):
    parent, _ = going.done
    assert going.second != going.first
    assert parent.info.run_id == going.stopped[0].info.run_id
    assert parent.info.status == "FINISHED"
    assert "failure" not in parent.data.tags
    assert parent.data.tags["best_trial"] == str(going.second)
    assert parent.data.tags["best"] == going.run(going.second).info.run_id
    settings = {key.removeprefix("best."): v for key, v in parent.data.tags.items() if key.startswith("best.")}
    assert settings == {key: str(v) for key, v in going.session.study.trials[going.second].params.items()}
    assert "noise.df" not in settings
    assert own_metrics(parent, "best/")["value"] == going.session.results[going.second]["objective"]
    assert own_metrics(parent, "best/")["val/mae"] == going.run(going.second).data.metrics["val/mae"]
    assert all(map(math.isnan, own_metrics(parent, "confirmed/").values()))
    assert own_metrics(parent, "sweep/")["jobs"] == 11


def test_ending_again_changes_nothing(going):
    (parent, models), (again, models_again) = going.done, going.again
    assert again.info.status == "FINISHED"
    of_note = "mlflow.note.content"
    assert {**again.data.tags, of_note: ""} == {**parent.data.tags, of_note: ""}
    assert again.data.metrics == pytest.approx(parent.data.metrics, nan_ok=True)
    assert models_again == models


def test_the_model_of_the_parent_is_that_of_the_best_now(going):
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{going.session.folder / 'mlflow.db'}")
    table = pd.DataFrame({"x0": [3.0, -1.0], "x1": [0.0, 2.0]})
    w = coefficients(going.run(going.second))["coefficients"]
    by_hand = w["intercept"] + w["x0"] * table["x0"] + w["x1"] * table["x1"]
    try:
        predicted = load_model(f"runs:/{going.done[0].info.run_id}/model").predict(table)
    finally:
        mlflow.set_tracking_uri(before)
    assert predicted == pytest.approx(by_hand.to_numpy())
