"""What Hydra calls when a sweep begins. It imports nothing heavy: every command loads it."""

from __future__ import annotations

import json
import shutil
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig

LEFT = ("jobs.jsonl", "parents.json", "study.json", "best/job.json")


class SweepBegins(Callback):
    """Notes what was asked for in the sweep's folder, and keeps the configuration for `cli.main`, which sums the sweep
    up when it has ended, however it ends (Hydra calls nobody when it ends by an error)."""

    config: ClassVar[DictConfig | None] = None
    begun: ClassVar[Path]

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        SweepBegins.config, SweepBegins.begun = config, _folder(config)
        folder, sweeper = SweepBegins.begun, config.hydra.sweeper
        folder.mkdir(parents=True, exist_ok=True)
        params = [f"{key}={value}" for key, value in (sweeper.get("params") or {}).items()]
        typed = list(config.hydra.overrides.task)
        if _goes_on(folder, sweeper):
            return
        for left in LEFT:  # by an earlier sweep into the same folder
            (folder / left).unlink(missing_ok=True)
        shutil.rmtree(folder / "held_out", ignore_errors=True)
        (folder / "sweep.json").write_text(
            json.dumps({"id": uuid.uuid4().hex, "overrides": params + typed, "typed": typed})
        )

    @classmethod
    def folder(cls) -> Path | None:
        """Where the sweep's files are; None if there is no sweep. A sweep that goes on with an earlier one works in its
        folder, and the new one that Hydra had chosen goes."""
        if cls.config is None:
            return None
        folder = _folder(cls.config)
        if folder != cls.begun and cls.begun.is_dir():
            (cls.begun / "sweep.json").unlink(missing_ok=True)
            with suppress(OSError):  # somebody's files are there
                cls.begun.rmdir()
        return folder


def _folder(config: DictConfig) -> Path:
    return Path(str(config.hydra.sweep.dir)).absolute()


def _goes_on(folder: Path, sweeper: DictConfig) -> bool:
    """Jobs of a grid are told apart by their configurations. A study sees for itself whether the folder is its own; in
    memory it begins anew."""
    if "storage" in sweeper:
        return sweeper.storage is not None and (folder / "study.json").exists()
    return bool(sweeper.get("resume")) and (folder / "sweep.json").exists()
