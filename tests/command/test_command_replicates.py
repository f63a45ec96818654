"""`replicates=8`: one run, every copy's numbers in replicates.parquet; and the path of every step."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from mlflow.artifacts import download_artifacts

from command_line import QUIET, output_folder, read, runs

K, EPOCHS, STEPS = 8, 3, 3 * 5  # 160 training rows in minibatches of 32


@pytest.fixture(scope="module")
def folder(command, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("replicates")
    size = ["data=synthetic", "data.num_examples=200", f"replicates={K}", f"trainer.max_epochs={EPOCHS}"]
    quick = [QUIET, "tracking.trajectory=true", "tracking.model=false", "tracking.figures=false"]
    result = command(folder, *size, *quick).succeeded()
    assert f"{K} replicates" in result.out
    return folder


def test_one_run_with_both_tables(folder):
    (run,) = runs(folder)
    assert run.info.status == "FINISHED"
    there = Path(download_artifacts(run_id=run.info.run_id, tracking_uri=f"sqlite:///{folder / 'mlflow.db'}"))
    for name in ("replicates.parquet", "trajectory.parquet"):
        assert (there / name).read_bytes() == (output_folder(folder) / name).read_bytes()


def test_mean_variance_and_count_are_those_of_the_copies(folder):
    copies = pd.read_parquet(output_folder(folder) / "replicates.parquet")
    metrics = read(folder, "metrics.json")
    assert list(copies["replicate"]) == list(range(K))
    assert copies["failure"].isna().all()
    assert copies["val/nll"].nunique() == K
    for name in ("train/nll", "val/nll", "val/mae", "param/error", "trainer/steps"):
        assert metrics[name] == pytest.approx(copies[name].mean())
        assert metrics[f"{name}/variance"] == pytest.approx(copies[name].var(ddof=1))
        assert metrics[f"{name}/count"] == K
    assert runs(folder)[0].data.metrics == pytest.approx(metrics)


def test_coefficients_are_the_means_over_the_copies(folder):
    copies = pd.read_parquet(output_folder(folder) / "replicates.parquet")
    for term, value in read(folder, "coefficients.json")["coefficients"].items():
        assert value == pytest.approx(copies[f"coefficient/{term}"].mean())
        assert copies[f"coefficient/{term}"].nunique() == K


def test_the_trajectory_ends_at_the_coefficients(folder):
    path = pd.read_parquet(output_folder(folder) / "trajectory.parquet")
    copies = pd.read_parquet(output_folder(folder) / "replicates.parquet")
    assert len(path) == STEPS * K
    assert (path.groupby("replicate")["step"].apply(list).map(lambda s: s == list(range(STEPS)))).all()
    last = path[path["step"] == STEPS - 1].sort_values("replicate")
    for term in ("intercept", "x0", "x1"):
        assert last[term].to_numpy() == pytest.approx(copies[f"coefficient/{term}"].to_numpy(), rel=1e-6)
        assert np.abs(path[path["step"] == 0][term].to_numpy() - last[term].to_numpy()).max() > 0.01


def test_a_copy_that_diverges_leaves_the_others(command, tmp_path):
    """Copies of heavy-tailed data: with this step size some diverge, some do not (seed 0, found by trying)."""
    size = ["data=synthetic", "data.num_examples=50", "data.num_features=3", "noise=poisson", "data.signal=2.5"]
    result = command(
        tmp_path, *size, "replicates=16", "optimizer.lr=0.35", QUIET, "tracking=none", "data.val_fraction=0"
    )
    copies = pd.read_parquet(output_folder(tmp_path) / "replicates.parquet")
    failed = copies["failure"].notna()
    assert 0 < failed.sum() < 16
    assert result.status == 0
    assert "replicate " in result.out
    metrics = json.loads((output_folder(tmp_path) / "metrics.json").read_text())
    assert metrics["train/nll/count"] == 16 - failed.sum()
    assert metrics["train/nll"] == pytest.approx(copies["train/nll"][~failed].mean())
