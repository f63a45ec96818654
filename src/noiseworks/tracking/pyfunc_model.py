"""The model that MLflow logs: this file as code ("models from code"), predictor.json beside it as its numbers."""

from __future__ import annotations

import json
import warnings
from pathlib import Path

from mlflow.models import set_model
from mlflow.pyfunc.model import PythonModel

with warnings.catch_warnings():  # MLflow wants type hints to infer a signature from; this model is logged with its own
    warnings.simplefilter("ignore")

    class NoiseworksModel(PythonModel):
        def load_context(self, context):  # type: ignore[no-untyped-def]
            self.saved = json.loads(Path(context.artifacts["predictor"]).read_text())

        def predict(self, context, model_input, params=None):  # type: ignore[no-untyped-def]
            from noiseworks.tracking.predictor import predict

            return predict(self.saved, model_input)


set_model(NoiseworksModel())
