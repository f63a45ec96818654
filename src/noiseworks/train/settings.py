"""The trainer group of the configuration."""

from __future__ import annotations

import logging
import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import pytorch_lightning as pl
import torch
from lightning_fabric.utilities.exceptions import MisconfigurationException

from noiseworks.errors import UserError

DTYPES = {"32-true": torch.float32, "64-true": torch.float64}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is handed to Lightning's Trainer, and when a member stops early."""

    accelerator: str
    devices: int | str
    precision: str
    max_epochs: int
    patience: int | None
    min_delta: float
    progress_bar: bool

    def __post_init__(self) -> None:
        if self.precision not in DTYPES:
            raise UserError(f"trainer.precision={self.precision} is unknown; it must be one of {', '.join(DTYPES)}.")
        if self.max_epochs < 1:
            raise UserError(f"trainer.max_epochs={self.max_epochs} is too few; it must be at least 1.")
        if not 0 <= self.min_delta < math.inf:
            raise UserError(f"trainer.min_delta={self.min_delta} is not possible; it must be a number of at least 0.")
        if self.patience is not None and self.patience < 1:
            raise UserError(f"trainer.patience={self.patience} is too few epochs; it must be at least 1, or null.")

    @property
    def dtype(self) -> torch.dtype:
        return DTYPES[self.precision]

    def lightning(self, callbacks: Sequence[pl.Callback]) -> pl.Trainer:
        logging.getLogger("pytorch_lightning").setLevel(logging.WARNING)
        # Lightning 2.6 asks torch 2.13 in a way that the latter calls deprecated.
        warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\)")
        try:
            return pl.Trainer(
                accelerator=self.accelerator,
                devices=self.devices,
                precision=self.precision,  # type: ignore[arg-type]
                max_epochs=self.max_epochs,
                callbacks=list(callbacks),
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                num_sanity_val_steps=0,
            )
        except (MisconfigurationException, ModuleNotFoundError, TypeError, ValueError) as error:
            reason = str(error).strip().splitlines()[0]
            raise UserError(
                f"trainer.accelerator={self.accelerator} with trainer.devices={self.devices} is not to be had here "
                f"({reason}); trainer=cpu works everywhere, trainer=auto takes what there is."
            ) from error
