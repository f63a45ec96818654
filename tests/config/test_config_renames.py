"""Configurations and predictor.json of 0.1.0, as that version wrote them, are read today."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import pandas as pd
import pytest
import yaml

from noiseworks.config.job import make_job
from noiseworks.config.renames import MOVED, current
from noiseworks.data.table import Table
from noiseworks.runs.predictor import Predictor
from noiseworks.train.optimizers import MinibatchSGD
from noiseworks.train.schedules import Cosine

STORED = Path(__file__).with_name("stored_by_0_1_0")
CHOICES = {"data": "houses", "noise": "gaussian", "model": "linear", "optimizer": "minibatch_sgd", "schedule": "cosine"}


def test_every_class_that_moved_is_where_the_table_says() -> None:
    for path in MOVED.values():
        module, _, name = path.rpartition(".")
        assert isinstance(getattr(import_module(module), name), type)
    assert current("noiseworks.noise.Laplace") == "noiseworks.noise.Laplace"
    assert not MOVED.keys() & set(MOVED.values())


def test_a_stored_configuration_is_a_job() -> None:
    config = yaml.safe_load((STORED / "config.yaml").read_text())
    job = make_job(config, CHOICES | {"trainer": "cpu", "tracking": "mlflow"})
    assert isinstance(job.data, Table)
    assert isinstance(job.schedule, Cosine)
    assert job.optimizer.func is MinibatchSGD
    assert job.trainer.max_epochs == 3
    assert job.config["optimizer"]["_target_"] == "noiseworks.train.optimizers.MinibatchSGD"


def test_a_stored_model_predicts_what_it_predicted() -> None:
    """MLflow asks the loader by its old name, too."""
    assert import_module("noiseworks.tracking.predictor")._load_pyfunc(str(STORED / "predictor.json"))
    saved = json.loads((STORED / "predictor.json").read_text())
    table = pd.DataFrame({"area": [1000.0, 2000.0], "age": [10.0, 50.0]})
    assert Predictor(saved).predict(table).tolist() == pytest.approx(
        [162857.62069848823, 212664.90603817278], rel=1e-12
    )
