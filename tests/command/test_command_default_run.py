"""What `noiseworks`, typed without anything more, prints and leaves."""

from __future__ import annotations

import json
import math
import re
import subprocess
from pathlib import Path

import matplotlib.image
import pytest
from mlflow.artifacts import download_artifacts
from omegaconf import OmegaConf

from command_line import Result, client, noiseworks, output_folder, read, runs

FILES = {"coefficients.json", "metrics.json", "config.yaml"}
FIGURES = {"figures/loss.png", "figures/fit.png", "figures/residuals.png"}
STEPS = 50 * math.ceil(2344 / 32)


@pytest.fixture(scope="module")
def default(tmp_path_factory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("default")
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run([*git, "init", "-q"], cwd=folder, check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", "first"], cwd=folder, check=True)
    return folder, noiseworks(folder)


@pytest.fixture(scope="module")
def folder(default) -> Path:
    return default[0]


@pytest.fixture(scope="module")
def run(folder):
    (found,) = runs(folder)
    return found


def test_it_prints_a_table_of_coefficients_and_metrics(default, folder):
    result = default[1].succeeded()
    assert re.search(
        r"price ~ area \+ age, gaussian noise, minibatch_sgd, 50 epochs; fitted on 2344 of 2930 rows", result.out
    )
    assert re.search(r"coefficient +trained +exact", result.out)
    assert re.search(r"metric +train +val\n", result.out)
    trained = read(folder, "coefficients.json")["coefficients"]
    for term, value in trained.items():
        assert re.search(rf"^ +{term} +{re.escape(format(value, '.6g'))} +-?[\d.]+$", result.out, re.M)
    metrics = read(folder, "metrics.json")
    for name, label in {
        "nll": "nll per example",
        "mae": "mean absolute error",
        "rmse": "root mean square error",
    }.items():
        cells = (format(metrics[f"{part}/{name}"], ".6g") for part in ("train", "val"))
        assert re.search(rf"{label} +{' +'.join(map(re.escape, cells))}\n", result.out)


def test_stderr_has_the_progress_bar_and_nothing_else(default):
    lines = [line for line in re.split(r"[\r\n]+", default[1].err) if line.strip()]
    assert lines
    assert all(re.match(r"training: +\d+%\|.*/50 \[.*epoch", line) for line in lines)
    assert "50/50" in lines[-1]


def test_the_run_is_finished_in_the_default_experiment(default, folder, run):
    assert run.info.status == "FINISHED"
    assert client(folder).get_experiment(run.info.experiment_id).name == "default"
    assert run.info.run_id in default[1].out
    assert str(output_folder(folder)) in default[1].out


def test_params_are_the_whole_configuration(run):
    expected = {
        "seed": "0", "replicates": "1", "task": "fit", "noise": "noiseworks.noise.Gaussian", "noise.scale": "None",
        "data.path": "shipped:houses.csv", "data.seed": "0", "data.batch_size": "32",
        "data.features": "['area', 'age']",
        "optimizer": "noiseworks.train.optimizers.MinibatchSGD", "optimizer.lr": "0.03", "schedule.averaging": "False",
        "trainer.max_epochs": "50", "trainer.accelerator": "cpu", "model.intercept": "True",
    }  # fmt: skip
    assert expected.items() <= run.data.params.items()


def test_tags(folder, run):
    tags = run.data.tags
    facts = {"noise": "gaussian", "optimizer": "minibatch_sgd", "data": "houses", "model": "linear", "seed": "0"}
    assert facts.items() <= tags.items()
    assert tags["device"].startswith("cpu")
    for name in ("noiseworks", "python", "torch", "pytorch-lightning", "mlflow", "hydra-core"):
        assert re.match(r"\d+\.\d+", tags[f"version.{name}"])
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True)
    assert tags["mlflow.source.git.commit"] == head.stdout.strip()
    assert not {"sweep", "failure", "mlflow.parentRunId"} & tags.keys()


def test_the_data_set_is_an_input_with_its_digest(run):
    (given,) = run.inputs.dataset_inputs
    assert (given.dataset.name, given.dataset.source) == ("houses", "shipped:houses.csv")
    assert re.fullmatch(r"[0-9a-f]{16}", given.dataset.digest)
    assert json.loads(given.dataset.profile)["num_rows"] == 2930


def test_metrics(folder, run):
    metrics = run.data.metrics
    names = {"train/nll", "train/mae", "train/rmse", "val/nll", "val/mae", "val/rmse", "param/error"}
    assert names <= metrics.keys()
    assert metrics["trainer/world_size"] == 1
    assert (metrics["trainer/epochs"], metrics["trainer/steps"]) == (50, STEPS)
    assert metrics == pytest.approx(read(folder, "metrics.json"))
    assert not any(name.startswith("test/") for name in metrics)


def test_curves_by_step_and_by_epoch(folder, run):
    history = {name: client(folder).get_metric_history(run.info.run_id, name) for name in ("train/loss", "val/nll")}
    steps = {name: sorted({point.step for point in points}) for name, points in history.items()}
    assert len(steps["train/loss"]) > 900  # about tracking.curve_points
    assert (steps["train/loss"][0], steps["train/loss"][-1]) == (0, STEPS - 1)
    assert steps["val/nll"] == [STEPS // 50 * epoch - 1 for epoch in range(1, 51)]
    first, last = history["val/nll"][0].value, history["val/nll"][-1].value
    assert last < first


def test_the_files_are_there_and_in_mlflow(folder, run):
    here = output_folder(folder)
    there = Path(download_artifacts(run_id=run.info.run_id, tracking_uri=f"sqlite:///{folder / 'mlflow.db'}"))
    names = {str(path.relative_to(there)) for path in there.rglob("*") if path.is_file()}
    assert names == FILES | FIGURES
    for name in names:
        assert (here / name).read_bytes() == (there / name).read_bytes()


def test_figures_show_something(folder):
    for name in FIGURES:
        image = matplotlib.image.imread(output_folder(folder) / name)
        assert min(image.shape[:2]) > 200
        assert image[..., :3].reshape(-1, 3).std(0).max() > 0.05  # a blank page has 0
        assert len({tuple(pixel) for pixel in image.reshape(-1, image.shape[2])}) > 20


def test_coefficients_json(folder):
    content = read(folder, "coefficients.json")
    assert list(content) == ["noise", "scale", "coefficients", "standard_errors", "intervals", "level"]
    assert content["noise"] == "gaussian"
    trained = {"standard_errors": None, "intervals": None, "level": None}
    assert {key: content[key] for key in trained} == trained
    assert list(content["coefficients"]) == ["intercept", "area", "age"]
    assert all(isinstance(value, float) for value in [content["scale"], *content["coefficients"].values()])
    # numpy.linalg.lstsq on all rows: 76513.9, 95.915, -1085.8, sigma 46636; four fifths of them and SGD stay near
    near = {"intercept": 76514, "area": 95.9, "age": -1086}
    assert content["coefficients"] == pytest.approx(near, rel=0.1)
    assert content["scale"] == pytest.approx(46636, rel=0.05)


def test_metrics_json_is_flat(folder):
    metrics = read(folder, "metrics.json")
    assert metrics
    assert all(isinstance(value, float) and math.isfinite(value) for value in metrics.values())


def test_config_yaml_is_the_composed_configuration_resolved(folder, command):
    text = (output_folder(folder) / "config.yaml").read_text()
    assert "${" not in text
    composed = OmegaConf.create(command(folder, "--cfg", "job", "--resolve").succeeded().out)
    assert OmegaConf.create(text) == composed
