"""What Hydra calls when a sweep begins. It imports nothing heavy: every command loads it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf


class SweepBegins(Callback):
    """Notes what was asked for in the sweep's folder, and which folder it is for `cli.main`, which sums the sweep up
    when it has ended, however it ends (Hydra calls nobody when it ends by an error)."""

    folder: ClassVar[Path | None] = None

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        folder = Path(str(config.hydra.sweep.dir)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        for left in ("jobs.jsonl", "parents.json", "best/job.json"):  # by an earlier sweep into the same folder
            (folder / left).unlink(missing_ok=True)
        asked = OmegaConf.to_container(config.hydra.overrides.task, resolve=False)
        (folder / "sweep.json").write_text(json.dumps({"overrides": asked}))
        SweepBegins.folder = folder
