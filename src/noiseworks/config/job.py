"""One configuration, its pieces built."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from omegaconf import DictConfig, OmegaConf

from hydra_members.protocol import config_key
from noiseworks.chunked.fit import check_chunkable
from noiseworks.chunked.problem import chunked_problem
from noiseworks.config.experiment import digest
from noiseworks.config.instantiation import Pieces
from noiseworks.config.objective import Objective, make_objective
from noiseworks.data.base import Data
from noiseworks.data.table import Table
from noiseworks.errors import UserError
from noiseworks.exact import Exact
from noiseworks.inference.criteria import weighted_likelihood
from noiseworks.model import Model
from noiseworks.noise import Noise
from noiseworks.problem import Problem, make_problem
from noiseworks.train.ensemble import Member
from noiseworks.train.optimizers import learning_rate, takes_all_rows
from noiseworks.train.schedules import Schedule
from noiseworks.train.settings import Settings

CRITERIA = {"exact/log_likelihood", "exact/aic", "exact/bic"}
KEYS = ("task", "seed", "replicates", "objective", "constraints", "experiment", "hydra")
SIZES = {"lr", "weight_decay", "momentum"}
TASKS = ("fit", "measure")
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
    objective: Objective

    @property
    def exact(self) -> bool:
        return isinstance(self.optimizer, Exact)

    @property
    def measures(self) -> bool:
        """Whether it is no fit: see `noiseworks.runs.execution`."""
        return self.config["task"] == "measure"

    @property
    def replicates(self) -> int:
        return int(self.config["replicates"])

    @property
    def experiment(self) -> str:
        """The name of the MLflow experiment."""
        return self.choices.get("experiment") or "default"

    @property
    def experiment_digest(self) -> str | None:
        """Of what the experiment's runs depend on; None for one that is not in conf/experiment."""
        return digest(self.experiment)

    @property
    def criterion(self) -> str | None:
        """What the log-likelihood means, where rows have precisions and jobs are ranked by a criterion made of it."""
        by_criterion = not CRITERIA.isdisjoint(self.objective.names)
        weighted = isinstance(self.data, Table) and self.data.weights and self.data.weight_kind == "precision"
        return weighted_likelihood(self.noise) if by_criterion and weighted else None

    @property
    def key(self) -> str:
        """Equal for equal configurations."""
        return config_key(self.config)

    def val_fraction(self) -> float:
        """Training keeps a fifth of the rows for validation unless told otherwise; the exact answer uses all."""
        if self.data.val_fraction is not None:
            return self.data.val_fraction
        return 0.0 if self.exact else 0.2

    def members(self, problems: dict[str, Problem] | None = None) -> list[Member]:
        """One for each replicate. Members whose rows are the same share their problem; jobs do, too, if they are given
        the same `problems`."""
        problems = {} if problems is None else problems
        members = []
        for replicate in range(self.replicates):
            key = self.problem_key(replicate)
            if key not in problems:
                which = replicate if self.varies else 0
                noise = self.noise.with_scale(None)
                problems[key] = self._problem(noise, which)
            seed = int(self.config["seed"])
            members.append(Member(problems[key], self.noise, self.optimizer, self.schedule, seed, replicate))
        return members

    def _problem(self, noise: Noise, replicate: int) -> Problem:
        """One whose rows stay on disk, where they are more than may be held."""
        data = self.data
        if isinstance(data, Table) and data.in_chunks:
            if data.input_noise > 0:
                raise UserError(
                    f"data.input_noise={data.input_noise:g} is added to rows in memory, but {data.source} is read in "
                    "chunks; data.memory_mb=null reads all of it at once."
                )
            check_chunkable(noise, self.model, self.optimizer, self.replicates, data.source)
            quiet = not self.trainer.progress_bar
            return chunked_problem(data, noise, self.model, self.val_fraction(), replicate, quiet)
        return make_problem(data, noise, self.model, self.val_fraction(), replicate)

    @property
    def varies(self) -> bool:
        """Whether replicates have rows of their own."""
        noisy = self.data.input_noise > 0 and not self.data.fresh_noise
        return self.data.random or noisy or self.val_fraction() > 0 or self.data.test_fraction > 0

    def problem_key(self, replicate: int) -> str:
        """Equal for equal problems."""
        which = replicate if self.varies else 0
        return repr((self.data, self.noise.with_scale(None), self.model, self.val_fraction(), which))


def make_job(cfg: DictConfig | dict[str, Any], choices: Mapping[str, str], pieces: Pieces | None = None) -> Job:
    """Instantiate every group; a mistake in one is a UserError that names its key. Jobs of a sweep share `pieces`."""
    config: dict[str, Any]
    config = OmegaConf.to_container(cfg, resolve=True) if isinstance(cfg, DictConfig) else cfg  # type: ignore[assignment]
    if missing := sorted(_missing(config)):
        raise UserError(f"{missing[0]} is not set; it has no default. Say {missing[0]}=...")
    for key, least in {"seed": 0, "replicates": 1}.items():
        if type(config[key]) is not int or config[key] < least:
            raise UserError(f"{key}={config[key]} is not possible; it must be a whole number from {least}.")
    if config["task"] not in TASKS:
        raise UserError(f"task={config['task']} is unknown; it must be {' or '.join(TASKS)}.")
    pieces = pieces or Pieces()
    objective = make_objective(config["objective"], config["constraints"])
    made = {name: pieces.make(config, name) for name in PIECES}
    job = Job(config=config, choices=choices, objective=objective, **made)
    if not (job.exact or job.measures):
        _check_optimizer(job)
    if job.data.fresh_noise and not job.measures:
        _check_steps(job)
    return job


def check_added(overrides: Iterable[str], config: Mapping[str, Any]) -> None:
    """Refuse a key that `+` puts beside the groups of a fit, and no other override refers to: nothing would read it. A
    measurement may have its own."""
    overrides = list(overrides)
    for override in overrides:
        key, _, value = override.lstrip("+").partition("=")
        top = re.split(r"[./@]", key)[0]
        read = top in (*PIECES, *KEYS) or any(re.search(rf"\$\{{.*\b{re.escape(top)}\b", each) for each in overrides)
        if override.startswith("+") and config["task"] == "fit" and not read:
            known = ", ".join((*PIECES, *KEYS))
            raise UserError(f"+{key}={value} would do nothing; the keys of a fit are {known}.")


def _missing(node: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _missing(value, f"{prefix}{key}.")
        elif value == "???":
            yield f"{prefix}{key}"


def _check_steps(job: Job) -> None:
    """Noise that is fresh in every step needs steps, and an optimizer that does not compare two of them."""
    if job.exact:
        raise UserError(
            "data.input_noise_fresh=true adds noise in every step, and optimizer=exact takes none; what training tends "
            "to is a ridge (optimizer.ridge)."
        )
    if takes_all_rows(job.optimizer):
        raise UserError(
            f"data.input_noise_fresh=true changes the loss from step to step, and optimizer="
            f"{job.choices.get('optimizer')} needs the same in all; take another one."
        )


def _check_optimizer(job: Job) -> None:
    """torch's optimizers check their settings when they are made, but let nan pass."""
    for key in SIZES & job.config["optimizer"].keys():
        value = job.config["optimizer"][key]
        if isinstance(value, float | int) and not 0 <= value < math.inf:
            raise UserError(f"optimizer.{key}={value} is not possible; it must be a finite number of at least 0.")
    try:
        learning_rate(job.optimizer)
    except (ValueError, TypeError) as error:
        raise UserError(f"optimizer={job.choices.get('optimizer')}: {error}.") from error
