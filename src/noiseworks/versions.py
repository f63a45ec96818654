"""What a run is made with."""

from __future__ import annotations

import platform
from functools import cache
from importlib.metadata import version

import noiseworks

PACKAGES = ("torch", "pytorch-lightning", "mlflow", "hydra-core")


@cache
def versions() -> dict[str, str]:
    return {"noiseworks": noiseworks.__version__, "python": platform.python_version()} | {
        name: version(name) for name in PACKAGES
    }
