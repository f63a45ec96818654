"""`task=measure`: a question that is no fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from noiseworks.config.experiment import file_of, load
from noiseworks.errors import UserError
from noiseworks.outcome import Outcome

if TYPE_CHECKING:
    from noiseworks.config.job import Job


def measured(job: Job) -> Outcome:
    """What the experiment's `measure(cfg)` gives: name -> a number, or an array of one for each of `replicates`."""
    path = file_of(job.experiment)
    measure = getattr(load(path), "measure", None)
    if measure is None:
        raise UserError(f"task=measure: {path.name} does not define measure(cfg).")
    config = OmegaConf.create(job.config)
    assert isinstance(config, DictConfig)
    metrics = {name: _tensor(name, value, job.replicates) for name, value in _checked(measure(config), path.name)}
    nothing = torch.zeros(job.replicates, 0, dtype=torch.float64)
    return Outcome(theta=nothing, coefficients=nothing, exact=None, scale=None, metrics=metrics, failures={})


def _checked(metrics: Any, source: str) -> Any:
    if not isinstance(metrics, Mapping) or not metrics:
        raise UserError(f"measure(cfg) of {source} returned {metrics!r}; it must return name -> value.")
    return metrics.items()


def _tensor(name: str, value: Any, replicates: int) -> Tensor:
    values = torch.as_tensor(np.asarray(value, dtype=np.float64))
    if values.ndim == 0:
        return values.reshape(1)
    if values.shape != (replicates,):
        raise UserError(
            f"measure(cfg) returned {name} of shape {tuple(values.shape)}; it must be a number, or one for each of "
            f"replicates={replicates}."
        )
    return values
