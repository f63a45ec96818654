"""One configuration, its pieces built."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from noiseworks.config_types import check_types
from noiseworks.data.base import Data
from noiseworks.errors import UserError
from noiseworks.model import Model
from noiseworks.noise import Noise
from noiseworks.optimizer import Exact, Schedule
from noiseworks.problem import Problem, make_problem
from noiseworks.trainer import Settings
from noiseworks.trainer.ensemble import Member

PIECES = ("data", "noise", "model", "optimizer", "schedule", "trainer", "tracking")


@dataclass(frozen=True)
class Job:
    """What one run is made of; `config` is resolved, `choices` names the option of each group."""

    config: dict[str, Any]
    choices: Mapping[str, str]
    data: Data
    noise: Noise
    model: Model
    optimizer: Any  # Exact, or a partial that takes the parameters
    schedule: Schedule
    trainer: Settings
    tracking: Any

    @property
    def exact(self) -> bool:
        return isinstance(self.optimizer, Exact)

    @property
    def replicates(self) -> int:
        return int(self.config["replicates"])

    def val_fraction(self) -> float:
        """Training keeps a fifth of the rows for validation unless told otherwise; the exact answer uses all."""
        if self.data.val_fraction is not None:
            return self.data.val_fraction
        return 0.0 if self.exact else 0.2

    def members(self) -> list[Member]:
        """One for each replicate. Replicates whose rows are the same share their problem."""
        splits = self.val_fraction() > 0 or self.data.test_fraction > 0
        problems: dict[int, Problem] = {}
        members = []
        for replicate in range(self.replicates):
            which = replicate if self.data.random or splits else 0
            if which not in problems:
                problems[which] = make_problem(self.data, self.noise, self.model, self.val_fraction(), which)
            seed = int(self.config["seed"])
            members.append(Member(problems[which], self.noise, self.optimizer, self.schedule, seed, replicate))
        return members


def make_job(cfg: DictConfig, choices: Mapping[str, str]) -> Job:
    """Instantiate every group; a mistake in one is a UserError that names its key."""
    if OmegaConf.missing_keys(cfg):
        key = sorted(OmegaConf.missing_keys(cfg))[0]
        raise UserError(f"{key} is not set; it has no default. Say {key}=...")
    config: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    for key, least in {"seed": 0, "replicates": 1}.items():
        if not isinstance(config[key], int) or config[key] < least:
            raise UserError(f"{key}={config[key]} is not possible; it must be a whole number from {least}.")
    if config["task"] != "fit":
        raise UserError(f"task={config['task']} is unknown; it must be fit.")
    pieces = {name: _instantiate(config, name) for name in PIECES}
    job = Job(config=config, choices=choices, **pieces)
    if not job.exact:
        _check_optimizer(job)
    return job


def _instantiate(config: dict[str, Any], name: str) -> Any:
    check_types(config[name], name)
    try:
        return instantiate(config[name], _convert_="all")
    except InstantiationException as error:
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, UserError):
                raise cause from error
            cause = cause.__cause__
        raise UserError(f"{name}: {' '.join(str(error).splitlines()[:2])}.") from error


def _check_optimizer(job: Job) -> None:
    """torch's optimizers check their settings when they are made."""
    try:
        job.optimizer([torch.nn.Parameter(torch.zeros(1))])
    except (ValueError, TypeError) as error:
        raise UserError(f"optimizer={job.choices.get('optimizer')}: {error}.") from error
