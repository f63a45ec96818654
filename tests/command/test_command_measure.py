"""`task=measure` through the real command: somebody's own question, in a folder of their own."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from command_line import MUTE, client, output_folder, read, runs

MEASURE = """
import numpy as np

def measure(cfg):
    x = np.random.default_rng(cfg.seed).normal(size=(cfg.replicates, cfg.size))
    return {"sample/mean": x.mean(axis=1), "sample/size": cfg.size}
"""
EXPERIMENT = """# @package _global_
task: measure
size: 4
replicates: 50
"""


@pytest.fixture
def own(tmp_path):
    """Configuration and file of the experiment mine_means."""
    (tmp_path / "own" / "experiment").mkdir(parents=True)
    (tmp_path / "own" / "experiment" / "mine_means.yaml").write_text(EXPERIMENT)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "mine_things.py").write_text(MEASURE)
    return tmp_path


@pytest.fixture
def measured(command, own):
    """The command with that experiment; `-m` has to come before the overrides."""
    return lambda *arguments: command(
        own, "--config-dir", "own", *arguments[:1], "experiment=mine_means", *arguments[1:]
    )


def test_a_single_run(own, measured):
    done = measured().succeeded()
    (run,) = runs(own)
    x = np.random.default_rng(0).normal(size=(50, 4)).mean(axis=1)
    metrics = {k: v for k, v in read(own, "metrics.json").items() if not k.startswith("run/")}
    assert metrics == pytest.approx(
        {"sample/mean": x.mean(), "sample/mean/variance": x.var(ddof=1), "sample/mean/count": 50, "sample/size": 4}
    )
    assert run.info.status == "FINISHED"
    assert {k: v for k, v in run.data.metrics.items() if not k.startswith("run/")} == pytest.approx(metrics)
    assert (run.data.params["size"], run.data.tags["task"]) == ("4", "measure")
    copies = pq.read_table(output_folder(own) / "replicates.parquet")
    assert copies["sample/mean"].to_numpy() == pytest.approx(x)
    assert "sample/mean" in done.out


@pytest.mark.parametrize("launcher", ["vectorized", "basic"])
def test_a_sweep(own, measured, launcher):
    measured("-m", "size=3,7", f"hydra/launcher={launcher}").succeeded()
    children = [run for run in runs(own) if "mlflow.parentRunId" in run.data.tags]
    (parent,) = [run for run in runs(own) if "mlflow.parentRunId" not in run.data.tags]
    assert parent.info.status == "FINISHED"
    assert sorted(run.data.metrics["sample/size"] for run in children) == [3, 7]
    for run in children:
        names = {file.path for file in client(own).list_artifacts(run.info.run_id)}
        assert names == {"config.yaml", "metrics.json", "replicates.parquet"}


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("", "mine_things.py does not define measure(cfg)"),
        ("def measure(cfg):\n    return 3.0\n", "it must return name -> value"),
        (
            "def measure(cfg):\n    return {'a/b': [1.0, 2.0]}\n",
            "a/b of shape (2,); it must be a number, or one for each",
        ),
    ],
)
def test_what_is_wrong_with_measure_is_said(own, measured, code, complaint):
    (own / "experiments" / "mine_things.py").write_text(code)
    done = measured(*MUTE)
    assert done.status == 2
    assert complaint in done.err
    assert "Traceback" not in done.err


def test_a_missing_file_is_named(own, measured):
    (own / "experiments" / "mine_things.py").unlink()
    done = measured(*MUTE)
    assert done.status == 2
    assert "there is no file experiments/mine_*.py" in done.err


def test_an_unknown_task(command, tmp_path):
    done = command(tmp_path, "task=guess", *MUTE)
    assert done.status == 2
    assert "task=guess is unknown; it must be fit or measure" in done.err
