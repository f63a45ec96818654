"""Logging a model that `mlflow.pyfunc.load_model` loads, with the columns of the data as its signature."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.models import ModelSignature
from mlflow.models.model import Model
from mlflow.types import ColSpec, Schema, TensorSpec
from mlflow.types.schema import AnyType

import noiseworks
from noiseworks.data.columns import is_number
from noiseworks.runs import predictor
from noiseworks.runs.artifacts import to_json

if TYPE_CHECKING:
    from noiseworks.tracking.live_run import MlflowRun


class Flavor:
    """A model flavor as MLflow's documentation lays it down: the numbers in predictor.json, noiseworks to read them.

    No pickle, and none of the second that `mlflow.pyfunc.save_model` takes to look through all installed packages.
    """

    @staticmethod
    def save_model(path: str, mlflow_model: Model, saved: dict[str, Any], signature: ModelSignature) -> None:
        folder = Path(path)
        folder.mkdir(parents=True)
        (folder / "predictor.json").write_bytes(to_json(saved))
        (folder / "requirements.txt").write_text(f"noiseworks=={noiseworks.__version__}\n")
        mlflow_model.signature = signature
        mlflow.pyfunc.add_to_model(mlflow_model, loader_module=predictor.__name__, data="predictor.json")
        mlflow_model.save(str(folder / "MLmodel"))


def log_model(run: MlflowRun, saved: dict[str, Any]) -> None:
    """`saved` is what `predictor.to_json` gives."""
    mlflow.set_tracking_uri(run.uri)
    mlflow.set_experiment(experiment_id=run.experiment)  # MLflow files the model under the current one
    Model.log(None, Flavor, name="model", run_id=run.id, saved=saved, signature=signature(saved))


def signature(saved: dict[str, Any]) -> ModelSignature:
    """Text is text; numbers may be of any type: where it says double, MLflow refuses the whole numbers of the very
    table that was fitted."""
    texts = {column["name"] for column in saved["columns"] if not all(map(is_number, column["levels"]))}
    names = [column["name"] for column in saved["columns"]]
    names += [] if saved["offset"] is None else [saved["offset"]]
    columns: list[ColSpec | TensorSpec] = [ColSpec("string" if name in texts else AnyType(), name) for name in names]
    return ModelSignature(Schema(columns), Schema([ColSpec("double")]))
