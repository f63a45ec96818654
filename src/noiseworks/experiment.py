"""The file of an experiment: experiments/<exercise>_*.py belongs to conf/experiment/<exercise>_*.yaml."""

from __future__ import annotations

import hashlib
import importlib.util
import sys
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml

from noiseworks.cli import conf_folder
from noiseworks.errors import UserError
from noiseworks.measuring import measuring


def experiments_folder() -> Path:
    """experiments/ of the installed package, or that at the top of a checkout."""
    return conf_folder().parent / "experiments"


def exercise_files() -> list[Path]:
    """One for each exercise, in the order of the chapter: the exercises, then the text."""
    return sorted(experiments_folder().glob("[a-z]*_*.py"), key=lambda path: (path.name[0], _number(path)))


def _number(path: Path) -> int:
    return int("".join(filter(str.isdigit, path.stem.partition("_")[0])) or 0)


def load(path: Path) -> ModuleType:
    """As a module of the package noiseworks_experiments, whose parts/ it may import."""
    name = f"noiseworks_experiments.{path.stem}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        sys.modules[name] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


def file_of(experiment: str) -> Path:
    """ex4_gram belongs to the exercise whose file begins with ex4_."""
    prefix = experiment.partition("_")[0]
    for folder in (Path.cwd() / "experiments", experiments_folder()):
        if found := sorted(folder.glob(f"{prefix}_*.py")):
            return found[0]
    raise UserError(
        f"task=measure: there is no file experiments/{prefix}_*.py, which would define measure(cfg) for "
        f"experiment={experiment}."
    )


def arguments(experiment: str) -> list[str]:
    """What has to be typed beside its name: ARGUMENTS of the exercise's file, such as the sweeper of a search."""
    try:
        module = load(file_of(experiment))
    except UserError:  # it belongs to no exercise
        return []
    return list(getattr(module, "ARGUMENTS", {}).get(experiment, []))


def configuration(experiment: str) -> dict[str, Any] | None:
    """As conf/experiment/ has it, not composed; None for an experiment that is not there."""
    path = conf_folder() / "experiment" / f"{experiment}.yaml"
    return (yaml.safe_load(path.read_text()) or {}) if path.exists() else None


@lru_cache
def digest(experiment: str) -> str | None:
    """Of what its runs depend on: the configuration, without comments, what has to be typed beside the name, and where
    the task is to measure the sources of measure(cfg). None for an experiment that is not in conf/."""
    content = configuration(experiment)
    if content is None:
        return None
    parts = [repr(content)]
    if _of_an_exercise(experiment):
        parts += arguments(experiment)
    if content.get("task") == "measure":
        parts += measuring(load(file_of(experiment)))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _of_an_exercise(experiment: str) -> bool:
    return experiment.partition("_")[0] in {path.stem.partition("_")[0] for path in exercise_files()}
