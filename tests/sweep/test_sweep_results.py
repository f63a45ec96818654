"""What a sweep leaves of all its jobs: the table, the parent's run, the best job's figures and model, the print."""

from __future__ import annotations

import json
from typing import Any

import mlflow
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from mlflow.pyfunc import load_model
from scipy import stats
from sweep_runs import (
    DOUBLE,
    SMALL,
    Left,
    artifacts,
    coefficients,
    differences,
    read_any,
    sweep,
    untimed,
)

from command_line import client
from noiseworks.runs.journal import Row
from noiseworks.sweep.figure import draw_sweep

NOISES, RATES = ("gaussian", "laplace"), (0.02, 0.3, 1e200)
SWEPT = ["noise=gaussian,laplace", "optimizer.lr=0.02,0.3,1e200", "seed=1,0,2", "schedule=constant"]


@pytest.fixture(scope="module")
def swept(command, tmp_path_factory) -> Left:
    """18 jobs in two groups. The three Gaussian ones with the largest rate diverge; Laplace's gradient is bounded."""
    return sweep(command, tmp_path_factory.mktemp("swept"), *SMALL, DOUBLE, *SWEPT)


def test_a_row_a_job(swept):
    rows = swept.table
    asked = [(n, lr, seed) for n in ("gaussian", "laplace") for lr in (0.02, 0.3, 1e200) for seed in (1, 0, 2)]
    assert [row["job"] for row in rows] == list(range(18))
    assert [(row["noise"], row["optimizer.lr"], row["seed"]) for row in rows] == asked
    assert {row["schedule"] for row in rows} == {"constant"}
    types = {field.name: str(field.type) for field in pq.read_schema(swept.path / "sweep.parquet")}
    assert types["optimizer.lr"] == "double"
    assert types["seed"] == "int64"
    assert types["noise"] == "string"
    assert types["trainer.progress_bar"] == "bool"
    assert {types[name] for name in ("val/nll", "scale", "coefficient/x0")} == {"double"}


def test_the_rows_are_those_of_the_runs(swept):
    assert len(swept.children) == 18
    for row in swept.table:
        run = swept.children[row["job"]]
        assert row["run"] == run.info.run_id
        assert row["status"] == run.info.status
        assert row["failure"] == run.data.tags.get("failure")
        assert run.data.params["optimizer.lr"] == str(row["optimizer.lr"])
        assert run.data.params["seed"] == str(row["seed"])
        assert run.data.tags["noise"] == row["noise"]
        metrics = {name: row[name] for name in row if "/" in name and not name.startswith("coefficient/")}
        told = {name: value for name, value in metrics.items() if value is not None}
        assert untimed(told) == pytest.approx(read_any(artifacts(run)["metrics.json"]), rel=1e-12)
        shown = {name: run.data.metrics[name] for name in told}  # with the curves of those that diverged
        assert told == pytest.approx(shown, rel=1e-12)
        terms = {name: row[f"coefficient/{name}"] for name in ("intercept", "x0", "x1")}
        if run.info.status == "FINISHED":
            assert shown == run.data.metrics
            said = coefficients(run)
            assert terms == said["coefficients"]
            assert row["scale"] == said["scale"]
        else:
            assert set(terms.values()) == {None}
            assert row["scale"] is None


def test_the_tags_to_filter_by(swept):
    facts = {"data": "synthetic", "model": "linear", "optimizer": "minibatch_sgd", "schedule": "constant"}
    for row in swept.table:
        tags = swept.children[row["job"]].data.tags
        wanted = facts | {"noise": row["noise"], "trainer": "cpu", "seed": str(row["seed"]), "sweep": "s"}
        assert wanted.items() <= tags.items()
        assert {"version.noiseworks", "version.torch", "device", "host", "mlflow.user"} <= tags.keys()


def test_the_parent(swept):
    parent = swept.parent
    assert parent.info.status == "FINISHED"
    assert parent.info.run_name == "sweep s"
    asked = dict(argument.split("=", 1) for argument in [*SMALL, DOUBLE, *SWEPT])
    assert parent.data.params == asked
    assert parent.data.metrics["sweep/jobs"] == 18
    assert parent.data.metrics["sweep/finished"] == 15
    assert parent.data.metrics["sweep/failed"] == 3
    assert read_any(artifacts(parent)["sweep.parquet"])["run"] == [row["run"] for row in swept.table]
    assert artifacts(parent)["sweep.png"].read_bytes() == (swept.path / "sweep.png").read_bytes()
    assert parent.data.tags["mlflow.note.content"].splitlines()[1] == "15 FINISHED, 3 FAILED"


def of_settings(left: Left) -> list[list[dict[str, Any]]]:
    """The rows of each noise model and step size, by seed, of the smallest mean first."""
    finished = [row for row in left.table if row["status"] == "FINISHED"]
    groups = [[r for r in finished if (r["noise"], r["optimizer.lr"]) == (n, lr)] for n in NOISES for lr in RATES]
    return sorted((group for group in groups if group), key=lambda group: np.mean([row["val/nll"] for row in group]))


def best_job(left: Left) -> int:
    """Of the best setting's first seed; the luckiest job is another."""
    return int(of_settings(left)[0][0]["job"])


def test_the_best_is_a_setting_by_its_mean_over_the_seeds(swept):
    best, rows = swept.children[best_job(swept)], of_settings(swept)[0]
    assert min(swept.table, key=lambda row: row["val/nll"] or np.inf)["job"] != best_job(swept)
    assert swept.parent.data.tags["best"] == best.info.run_id
    own = {name: value for name, value in swept.parent.data.metrics.items() if name.startswith("best/")}
    assert own == pytest.approx({f"best/{name}": np.mean([row[name] for row in rows]) for name in best.data.metrics})
    kept = json.loads((swept.path / "best" / "job.json").read_text())
    assert (kept["job"], kept["objective"]) == (best_job(swept), pytest.approx(np.mean([r["val/nll"] for r in rows])))


def test_only_the_best_and_the_parent_carry_figures_and_a_model(swept):
    wanted = {swept.parent.info.run_id, swept.children[best_job(swept)].info.run_id}
    with_figures = {run.info.run_id for run in swept.runs if any("figures/" in path for path in artifacts(run))}
    assert with_figures == wanted
    models = client(swept.folder).search_logged_models([swept.parent.info.experiment_id])
    assert {model.source_run_id for model in models} == wanted
    assert len(models) == 2
    figures = [path for path in artifacts(swept.parent) if path.startswith("figures/")]
    assert len(figures) >= 3


@pytest.fixture
def store(swept, monkeypatch):
    before = mlflow.get_tracking_uri()
    mlflow.set_tracking_uri(f"sqlite:///{swept.folder / 'mlflow.db'}")
    yield
    mlflow.set_tracking_uri(before)


@pytest.mark.parametrize("whose", ["best", "parent"])
def test_the_model_predicts(swept, store, whose):
    best = swept.children[best_job(swept)]
    run = best if whose == "best" else swept.parent
    w = coefficients(best)["coefficients"]
    table = pd.DataFrame({"x1": [0.0, 1.0, -2.0], "x0": [3.0, -1.0, 0.5]})
    by_hand = w["intercept"] + w["x0"] * table["x0"] + w["x1"] * table["x1"]
    assert load_model(f"runs:/{run.info.run_id}/model").predict(table) == pytest.approx(by_hand.to_numpy())


def block(out: str, title: str) -> list[list[str]]:
    """The rows of a printed table."""
    lines = out.split(f"{title}\n\n")[1].split("\n\n")[0].splitlines()
    return [line.split() for line in [lines[0], *lines[2:]]]


def test_the_print(swept):
    out = swept.result.out
    assert swept.result.status == 1
    assert "\n15 FINISHED, 3 FAILED\n" in out
    assert f"sweep: MLflow run {swept.parent.info.run_id} in sqlite:///" in out
    assert f"table in {swept.path}/sweep.parquet" in out
    reasons = [line for line in out.splitlines() if " failed: " in line]
    assert reasons == [f"job {k} failed: {swept.table[k]['failure']}" for k in (6, 7, 8)]


def test_the_printed_settings(swept):
    """Means over the three seeds, and differences to the best in pairs, by hand."""
    _, *rows = block(swept.result.out, "over the seeds:")
    assert "the best:" not in swept.result.out  # the luckiest of the data sets
    values = [np.array([row["val/nll"] for row in group]) for group in of_settings(swept)]
    close = []
    for at, (row, group, nll) in enumerate(zip(rows, of_settings(swept), values)):
        difference, error = nll - values[0], stats.sem(nll - values[0])
        expected = [f"{nll.mean():.6g}", f"{stats.sem(nll):.2g}"]
        expected += [f"{difference.mean():.2g}", f"{error:.2g}"] if at else []
        assert row == [group[0]["noise"], f"{group[0]['optimizer.lr']:g}", *expected, "3", "0"]
        if at and difference.mean() <= 2 * error:
            close.append(f"noise={row[0]} optimizer.lr={row[1]}")
    assert rows[5:] == [["gaussian", "1e+200", "0", "3"]]
    best = f"noise={rows[0][0]} optimizer.lr={rows[0][1]}"
    said = f"not distinguishable from {best}, within two standard errors: {'; '.join(close)}\n"
    if not close:
        said = f"{best} is better than the others by more than two standard errors\n"
    assert said in swept.result.out


@pytest.mark.soak
def test_the_bar_goes_to_stderr(command, tmp_path):
    loud = [*SMALL[1:], "tracking=none", "seed=0,1"]
    shown = sweep(command, tmp_path, *loud, name="loud").result.succeeded()
    assert "sweep: 100%" in shown.err
    assert "%|" not in shown.out
    assert sweep(command, tmp_path, *loud, SMALL[0], name="quiet").result.succeeded().err == ""


@pytest.mark.soak
def test_untracked(command, tmp_path, swept):
    """Files only, and the same numbers."""
    left = sweep(command, tmp_path, *SMALL, DOUBLE, *SWEPT, "tracking=none")
    assert left.result.status == 1
    assert list(tmp_path.glob("ml*")) == []
    assert "MLflow run " not in left.result.out.replace("MLflow run\n", "")
    ours, theirs = pq.read_table(left.path / "sweep.parquet"), pq.read_table(swept.path / "sweep.parquet")
    assert set(ours.column_names) - set(theirs.column_names) == {"tracking"}
    assert ours["run"].null_count == 18
    for row, other in zip(left.table, swept.table, strict=True):
        same = {name: value for name, value in other.items() if name not in ("run", "run/seconds")}
        assert not list(differences({name: row[name] for name in same}, same, 1e-9))


def test_without_job_folders_there_are_none(swept):
    assert [path for path in swept.path.iterdir() if path.name.isdigit()] == []


@pytest.mark.parametrize("values", [[1.0, 2.0], [1.0, 1.5, 2.0]])
def test_every_job_is_in_the_figure(tmp_path, monkeypatch, values):
    drawn = []
    monkeypatch.setattr("matplotlib.figure.Figure.savefig", lambda self, path: drawn.append(self))
    rows = [Row(k, {"seed": k}, "FINISHED", None, {"val/nll": value}, None, {}, None) for k, value in enumerate(values)]
    draw_sweep(tmp_path / "sweep.png", rows)
    low, high = drawn[0].axes[0].get_ylim()
    assert all(low <= value <= high for value in values)
