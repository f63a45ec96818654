"""What a run is made with."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version

import noiseworks

PACKAGES = ("torch", "pytorch-lightning", "mlflow", "hydra-core")


def versions() -> dict[str, str]:
    return {"noiseworks": noiseworks.__version__, "python": platform.python_version()} | {
        name: version(name) for name in PACKAGES
    }


def other_versions(before: Mapping[str, str]) -> list[str]:
    """Those that differ from what they were, in words."""
    now = versions()
    return [f"{name} {old} ({now[name]} here)" for name, old in before.items() if now.get(name, old) != old]
