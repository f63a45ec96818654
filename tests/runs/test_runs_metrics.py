"""The one table of metrics: against NumPy and scikit-learn, and where each is known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, median_absolute_error, root_mean_squared_error

from command_here import Command
from command_line import MUTE, read
from noiseworks.chunked.last_pass import Fit
from noiseworks.metrics import EACH_EPOCH, KNOWN_EACH_EPOCH, METRICS, OF_ANSWERS, metrics_of

REFERENCES = {"mae": mean_absolute_error, "rmse": root_mean_squared_error, "median_ae": median_absolute_error}


@pytest.mark.parametrize("n", [1, 2, 7, 50])
def test_each_metric_is_that_of_scikit_learn(n: int) -> None:
    rng = np.random.default_rng(n)
    residual, nll = rng.normal(size=(3, n)), rng.normal(size=(3, n))
    found = metrics_of("val", torch.from_numpy(residual), torch.from_numpy(nll), None)
    assert found["val/nll"].numpy() == pytest.approx(nll.mean(1), rel=1e-13)
    for name, reference in REFERENCES.items():
        expected = [reference(row, np.zeros(n)) for row in residual]
        assert found[f"val/{name}"].numpy() == pytest.approx(expected, rel=1e-13)


def test_weights_are_repeated_rows() -> None:
    rng = np.random.default_rng(0)
    residual, counts = rng.normal(size=(4, 9)), rng.integers(0, 4, size=(4, 9)) + (np.arange(9) == 0)
    weighted = metrics_of("val", *map(torch.from_numpy, (residual, residual**2)), torch.from_numpy(1.0 * counts))
    for k in range(4):
        rows = torch.from_numpy(np.repeat(residual[k], counts[k]))
        for name, value in metrics_of("val", rows, rows**2, None).items():
            assert weighted[name][k].item() == pytest.approx(value.item(), rel=1e-12), name


def test_sums_over_chunks_are_enough_where_it_says_so() -> None:
    rng = np.random.default_rng(1)
    residual, nll, w = (torch.from_numpy(rng.uniform(0.5, 2, size=30)) for _ in range(3))
    whole, fit = metrics_of("train", residual, nll, w), Fit()
    fit.weight = float(w.sum())
    for metric in METRICS:
        if metric.from_sums:
            chunks = zip(residual.split(7), nll.split(7), w.split(7))
            fit.sums[metric] = sum(float(v @ metric.term(r, n)) for r, n, v in chunks)
    assert fit.metrics("train") == pytest.approx({k: whole[k].item() for k in fit.metrics("train")}, rel=1e-12)
    assert {metric.name for metric in METRICS if not metric.from_sums} == {"median_ae"}


def test_what_is_known_after_each_epoch() -> None:
    assert {metric.name for metric in EACH_EPOCH} | {metric.name for metric in OF_ANSWERS} == {m.name for m in METRICS}
    assert "val/rmse" in KNOWN_EACH_EPOCH
    assert "val/median_ae" not in KNOWN_EACH_EPOCH


def test_a_command_has_them_all(command: Command, tmp_path: Path) -> None:
    """Trained and exact, in metrics.json and in the printed table. Of rows that train those alone that are known after
    each epoch: a million of them take as long to sort as half an epoch."""
    for optimizer in (["trainer.max_epochs=2"], ["optimizer=exact", "data.val_fraction=0.2"]):
        folder = tmp_path / optimizer[0].replace("/", "-")
        folder.mkdir()
        done = command(folder, *optimizer, "data.test_fraction=0.1", *MUTE).succeeded()
        metrics = read(folder, "metrics.json")
        trained = "optimizer=exact" not in optimizer
        parts = ("val", "test") if trained else ("train", "val", "test")
        assert {f"{part}/{m.name}" for part in parts for m in METRICS} <= metrics.keys()
        assert ("train/median_ae" in metrics) != trained
        line = next(line for line in done.out.splitlines() if "median absolute error" in line)
        shown = [f"{metrics[f'{part}/median_ae']:.6g}" for part in parts]
        assert line.split()[3:] == shown


def test_seconds_are_those_of_the_whole_job(command: Command, stocked: Path) -> None:
    """An exact fit is part of its run: in the table, in run/seconds, and in MLflow. It takes a while: 400 resamples."""
    from command_line import runs

    arguments = ["optimizer=exact", "noise=student_t", "optimizer.standard_errors=bootstrap", "optimizer.bootstrap=30"]
    done = command(stocked, *arguments, "data=stocks", "trainer.progress_bar=false").succeeded()
    seconds = read(stocked, "metrics.json")["run/seconds"]
    said = float(done.out.split(" rows in ")[1].split(" s")[0])
    (run,) = runs(stocked)
    assert said == pytest.approx(seconds, abs=0.06)
    assert run.data.metrics["run/seconds"] == seconds
    assert (run.info.end_time - run.info.start_time) / 1000 == pytest.approx(seconds, abs=0.01)
    assert json.loads((next(stocked.glob("outputs/*/*/metrics.json"))).read_text())["run/seconds"] == seconds
