"""`import noiseworks` stays light, and the estimator does without Lightning, Hydra and MLflow until it needs them."""

from __future__ import annotations

import subprocess
import sys

import pytest

import noiseworks

CODE = "import sys, noiseworks; {}; print(*{{name.split('.')[0] for name in sys.modules}})"
FIT = "noiseworks.LinearRegressor('laplace').fit([[1], [2], [4]], [1, 2, 5]).summary()"


def imported(code: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", CODE.format(code)], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return set(done.stdout.split())


def test_the_package_is_light() -> None:
    assert not {"torch", "sklearn", "numpy", "scipy"} & imported("dir(noiseworks)")


def test_the_estimator_needs_no_lightning() -> None:
    names = imported(FIT)
    assert {"torch", "sklearn"} <= names
    assert not {"pytorch_lightning", "lightning_fabric", "mlflow", "hydra", "matplotlib"} & names


def test_only_what_there_is() -> None:
    assert {"LinearRegressor", "likelihood_ratio_test", "wald_test"} <= set(dir(noiseworks))
    with pytest.raises(AttributeError, match="module 'noiseworks' has no attribute 'LogisticRegressor'"):
        _ = noiseworks.LogisticRegressor
