"""Other ways to run and to record a sweep leave the same: folders a job, joblib, two at once, a server."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from mlflow import MlflowClient
from sweep_runs import (
    BASIC,
    DOUBLE,
    JOBLIB,
    PARENT,
    SMALL,
    Left,
    assert_same_runs,
    differences,
    read_any,
    sweep,
)

from mlflow_server import serving


def folder_of(left: Left, job: int) -> dict[str, Path]:
    """The files in the job's own folder."""
    root = left.path / str(job)
    return {str(path.relative_to(root)): path for path in root.rglob("*") if path.is_file()}


@pytest.mark.soak
def test_job_folders(command, tmp_path):
    few = [*SMALL, DOUBLE, "seed=0,1", "optimizer.lr=0.1,1e200", "schedule=constant"]
    folders = sweep(command, tmp_path, *few, "hydra.launcher.job_folders=true", name="together")
    basic = sweep(command, tmp_path, *few, BASIC, name="alone")
    assert folders.result.status == basic.result.status == 1
    for job in range(4):
        ours, theirs = folder_of(folders, job), folder_of(basic, job)
        theirs.pop("noiseworks.log", None)
        assert ours.keys() == theirs.keys()
        assert {".hydra/config.yaml", ".hydra/hydra.yaml", ".hydra/overrides.yaml", "metrics.json"} <= ours.keys()
        assert ("coefficients.json" in ours) == (job in (0, 2))
        for name in ours.keys() - {".hydra/hydra.yaml"}:
            assert not list(differences(read_any(ours[name]), read_any(theirs[name]), 1e-9, name))
        hydra = yaml.safe_load(ours[".hydra/hydra.yaml"].read_text())["hydra"]
        assert hydra["job"]["num"] == job
        assert hydra["runtime"]["output_dir"] == str(folders.path / str(job))


@pytest.mark.soak
def test_two_sweeps_at_once_in_a_fresh_folder(command, tmp_path):
    few = [*SMALL, "seed=range(0,5)", "optimizer.lr=0.1,0.2"]
    results = command.together(tmp_path, [["-m", f"hydra.sweep.dir={name}", *few] for name in ("one", "two")])
    one, two = (Left(tmp_path, name, result.succeeded()) for name, result in zip(("one", "two"), results))
    assert one.parent.info.run_id != two.parent.info.run_id
    assert one.parent.info.experiment_id == two.parent.info.experiment_id
    assert len(one.children) == len(two.children) == 10
    assert_same_runs(one, two, 1e-9)


@pytest.mark.soak
def test_joblib(command, tmp_path):
    few = [*SMALL, DOUBLE, "seed=0,1", "optimizer.lr=0.1,0.2"]
    together = sweep(command, tmp_path, *few, name="together")
    joblib = sweep(command, tmp_path, *few, JOBLIB, "hydra.launcher.n_jobs=2", name="processes")
    assert joblib.result.status == 0, joblib.result.err
    assert len(joblib.children) == 4
    assert_same_runs(together, joblib, 1e-9)


@pytest.fixture
def server(tmp_path):
    with serving(tmp_path / "far.db", tmp_path / "files") as address:
        yield address


@pytest.mark.soak
def test_a_server(command, tmp_path, server):
    left = sweep(command, tmp_path, *SMALL, "seed=0,1", "optimizer.lr=0.1,0.2", MLFLOW_TRACKING_URI=server)
    left.result.succeeded()
    assert not (tmp_path / "mlflow.db").exists()
    far = MlflowClient(server)
    runs = far.search_runs([far.get_experiment_by_name("default").experiment_id])
    (parent,) = (run for run in runs if PARENT not in run.data.tags)
    children = {run.info.run_id: run for run in runs if PARENT in run.data.tags}
    assert children.keys() == {row["run"] for row in left.table}
    assert {run.data.tags[PARENT] for run in children.values()} == {parent.info.run_id}
    for row in left.table:
        run = children[row["run"]]
        assert run.data.metrics["val/nll"] == row["val/nll"]
        assert {"coefficients.json", "metrics.json", "config.yaml"} <= {f.path for f in far.list_artifacts(row["run"])}
    assert parent.data.tags["best"] == min(left.table, key=lambda row: row["val/nll"])["run"]
    assert "sweep.parquet" in {file.path for file in far.list_artifacts(parent.info.run_id)}
