"""Logging a model that `mlflow.pyfunc.load_model` loads, with the columns of the data as its signature."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow
from mlflow.models import ModelSignature
from mlflow.models.model import Model
from mlflow.types import ColSpec, Schema, TensorSpec

import noiseworks
from noiseworks.data.examples import Examples
from noiseworks.tracking.artifacts import write_json

if TYPE_CHECKING:
    from noiseworks.tracking.run import MlflowRun


def log_model(run: MlflowRun, saved: dict[str, Any], examples: Examples, folder: Path) -> None:
    """MLflow's "models from code": pyfunc_model.py and predictor.json, no pickle."""
    predictor = write_json(folder / "predictor.json", saved)
    mlflow.set_tracking_uri(run.uri)
    with warnings.catch_warnings():
        # MLflow would like an input example; the signature is known, and an example would be run at every logging.
        warnings.filterwarnings("ignore", message=".*input example was not provided")
        Model.log(
            artifact_path=None,
            name="model",
            flavor=mlflow.pyfunc,
            run_id=run.id,
            python_model=str(Path(__file__).with_name("pyfunc_model.py")),
            artifacts={"predictor": str(predictor)},
            signature=signature(examples),
            pip_requirements=[f"noiseworks=={noiseworks.__version__}"],
        )


def signature(examples: Examples) -> ModelSignature:
    columns: list[ColSpec | TensorSpec] = [
        ColSpec("string" if column.levels else "double", column.name) for column in examples.columns
    ]
    if examples.offset_name is not None:
        columns.append(ColSpec("double", examples.offset_name))
    return ModelSignature(Schema(columns), Schema([ColSpec("double")]))
