"""What Hydra's run_job makes of a composed configuration before it calls the task."""

import copy
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf, open_dict, read_write


@dataclass(frozen=True)
class Settled:
    whole: DictConfig  # with hydra.runtime.output_dir
    task: DictConfig  # a copy without the hydra node, which a task's interpolations cannot reach
    hydra: DictConfig  # what HydraConfig holds while the task runs
    output_dir: str


def settle(whole: DictConfig) -> Settled:
    """`whole`, as load_sweep_config gives it, becomes part of the answer."""
    with hydra_config(None):
        HydraConfig.instance().set_config(whole)
        folder = str(OmegaConf.select(whole, "hydra.sweep.dir"))
        output_dir = os.path.abspath(os.path.join(folder, str(OmegaConf.select(whole, "hydra.sweep.subdir"))))
        with read_write(whole.hydra.runtime), open_dict(whole.hydra.runtime):
            whole.hydra.runtime.output_dir = output_dir
        HydraConfig.instance().set_config(whole)
        holder: Any = HydraConfig.instance().cfg
    return Settled(whole=whole, task=_without_hydra(whole), hydra=holder, output_dir=output_dir)


@contextmanager
def hydra_config(holder: Any) -> Iterator[None]:
    """`${hydra:...}` means `holder`; set_config would copy it."""
    instance = HydraConfig.instance()
    before = instance.cfg
    instance.cfg = holder
    try:
        yield
    finally:
        instance.cfg = before


def _without_hydra(whole: DictConfig) -> DictConfig:
    content = whole.__dict__["_content"]
    whole.__dict__["_content"] = {key: node for key, node in content.items() if key != "hydra"}
    try:
        return copy.deepcopy(whole)  # the hydra node is three quarters of a small configuration
    finally:
        whole.__dict__["_content"] = content
