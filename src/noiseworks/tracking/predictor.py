"""Where models that MLflow has stored since 0.1.0 look for their loader; it is in `noiseworks.runs.predictor`."""

from noiseworks.runs.predictor import _load_pyfunc as _load_pyfunc
