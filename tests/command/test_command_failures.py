"""Fits that diverge, sweeps of which a part fails."""

from __future__ import annotations

import re

import pytest

from command_line import QUIET, runs

SHORT = [QUIET, "trainer.max_epochs=3", "tracking.figures=false", "tracking.model=false"]


def test_a_fit_that_diverges_is_a_failed_run(command, tmp_path):
    result = command(tmp_path, "optimizer.lr=500", *SHORT)
    assert (result.status, result.out) == (1, "")
    assert re.fullmatch(r"noiseworks: .*(train/loss|parameters) stopped being finite at step \d+.*\n", result.err)
    (run,) = runs(tmp_path)
    assert run.info.status == "FAILED"
    assert re.match(r"(train/loss|the parameters) stopped being finite at step \d+", run.data.tags["failure"])
    assert run.data.tags["failure"] in result.err
    assert run.info.run_id in result.err


@pytest.fixture(scope="module")
def sweep(command, tmp_path_factory):
    folder = tmp_path_factory.mktemp("sweep")
    table = ["data=table", "data.path=t.csv", "data.target=y", "hydra/launcher=basic", "hydra/sweeper=basic"]
    rows = "".join(f"{i % 7},{i % 5},{i % 3}\n" for i in range(100))
    (folder / "t.csv").write_text("y,a,b\n" + rows)
    return folder, command(
        folder, "-m", *table, "data.batch_size=16", "data.val_fraction=0.2,0.999", "optimizer.lr=0.01,500", *SHORT
    )


def test_the_sweep_goes_on_and_exits_1(sweep):
    _, result = sweep
    assert result.status == 1
    assert "Traceback" not in result.err
    assert "data.val_fraction=0.999" in result.err
    assert "stopped being finite" in result.err


def test_every_job_is_recorded(sweep):
    jobs = [run for run in runs(sweep[0]) if "mlflow.parentRunId" in run.data.tags]
    found = {(run.data.params["data.val_fraction"], run.data.params["optimizer.lr"]): run for run in jobs}
    statuses = {key: run.info.status for key, run in found.items()}
    assert statuses == {
        ("0.2", "0.01"): "FINISHED",
        ("0.2", "500"): "FAILED",
        ("0.999", "0.01"): "FAILED",
        ("0.999", "500"): "FAILED",
    }
    assert "No training rows are left of 100" in found["0.999", "0.01"].data.tags["failure"]
    assert len({run.data.tags["sweep"] for run in found.values()}) == 1
