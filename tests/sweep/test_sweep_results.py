"""What a sweep leaves of all its jobs: the table, the parent's run, the best job's figures and model, the print."""

from __future__ import annotations

import json
import math
import statistics

import mlflow
import pandas as pd
import pyarrow.parquet as pq
import pytest
from mlflow.pyfunc import load_model
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


def best_job(left: Left) -> int:
    finished = [row for row in left.table if row["status"] == "FINISHED"]
    return min(finished, key=lambda row: row["val/nll"])["job"]


def test_the_best_by_its_metrics(swept):
    best = swept.children[best_job(swept)]
    assert swept.parent.data.tags["best"] == best.info.run_id
    own = {name: value for name, value in swept.parent.data.metrics.items() if name.startswith("best/")}
    assert own == pytest.approx({f"best/{name}": value for name, value in best.data.metrics.items()})
    assert json.loads((swept.path / "best" / "job.json").read_text())["job"] == best_job(swept)


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


def test_the_printed_best(swept):
    header, *rows = block(swept.result.out, "the best:")
    assert header[:5] == ["job", "noise", "optimizer.lr", "seed", "val/nll"]
    finished = [row for row in swept.table if row["status"] == "FINISHED"]
    first = sorted(finished, key=lambda row: row["val/nll"])[:5]
    assert [[row[0], row[4], row[6]] for row in rows] == [
        [str(r["job"]), f"{r['val/nll']:.6g}", r["run"]] for r in first
    ]
    assert [row[5] for row in rows] == [f"{r['param/error']:.3g}" for r in first]


def test_the_printed_settings(swept):
    """Mean and standard error, by hand, over the three seeds."""
    _, *rows = block(swept.result.out, "over the seeds:")
    expected = {}
    for noise in ("gaussian", "laplace"):
        for lr in (0.02, 0.3, 1e200)[: 2 + (noise == "laplace")]:
            values = [r["val/nll"] for r in swept.table if (r["noise"], r["optimizer.lr"]) == (noise, lr)]
            mean = sum(values) / 3
            error = math.sqrt(sum((v - mean) ** 2 for v in values) / 2 / 3)
            assert error == pytest.approx(statistics.stdev(values) / math.sqrt(3))
            expected[noise, f"{lr:g}"] = [f"{mean:.6g}", f"{error:.2g}", "3", "0"]
    assert {(row[0], row[1]): row[2:] for row in rows[:5]} == expected
    means = [float(row[2]) for row in rows[:5]]
    assert means == sorted(means)
    assert rows[5:] == [["gaussian", "1e+200", "0", "3"]]


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
