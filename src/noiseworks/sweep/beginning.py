"""The folder of a sweep when the sweep begins, and when it turns out to go on with an earlier one."""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from omegaconf import DictConfig

from noiseworks.versions import versions

LEFT = ("jobs.jsonl", "parents.json", "study.json", "best/job.json")


def begin_sweep(config: DictConfig, typed: Sequence[str]) -> Path:
    """The folder, in which sweep.json notes what was asked for."""
    folder, sweeper = sweep_folder(config), config.hydra.sweeper
    folder.mkdir(parents=True, exist_ok=True)
    if _goes_on(folder, sweeper):
        return folder
    for left in LEFT:  # by an earlier sweep into the same folder
        (folder / left).unlink(missing_ok=True)
    shutil.rmtree(folder / "held_out", ignore_errors=True)
    params = [f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()]
    asked = {"id": uuid.uuid4().hex, "overrides": [*params, *typed], "typed": list(typed), "versions": versions()}
    (folder / "sweep.json").write_text(json.dumps(asked))
    return folder


def sweep_folder(config: DictConfig) -> Path:
    return Path(str(config.hydra.sweep.dir)).absolute()


def leave(begun: Path) -> None:
    """The folder that Hydra had chosen goes, where a sweep turned out to go on in that of an earlier one."""
    if begun.is_dir():
        (begun / "sweep.json").unlink(missing_ok=True)
        with suppress(OSError):  # somebody's files are there
            begun.rmdir()


def _goes_on(folder: Path, sweeper: DictConfig) -> bool:
    """Jobs of a grid are told apart by their configurations. A study sees for itself whether the folder is its own; in
    memory it begins anew."""
    if "storage" in sweeper:
        return sweeper.storage is not None and (folder / "study.json").exists()
    return bool(sweeper.get("resume")) and (folder / "sweep.json").exists()
