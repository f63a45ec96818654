"""What Hydra's run_job makes of a composed configuration before it calls the task."""

import copy
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from hydra.core.config_loader import ConfigLoader
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import env_override
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from hydra_members.protocol import BatchJob


@dataclass(frozen=True)
class JobConfig:
    whole: DictConfig  # with hydra.runtime.output_dir
    task: DictConfig  # a copy without the hydra node, which a task's interpolations cannot reach
    hydra: DictConfig  # what HydraConfig holds while the task runs
    output_dir: str


def compose_by(loader: ConfigLoader, master_config: DictConfig, overrides: Sequence[str], num: int) -> DictConfig:
    config = loader.load_sweep_config(master_config, list(overrides))
    with open_dict(config):
        config.hydra.job.id = num
        config.hydra.job.num = num
    return config


def copy_without_hydra(whole: DictConfig) -> DictConfig:
    task = copy.deepcopy(whole)
    with read_write(task), open_dict(task):
        del task["hydra"]
    return task


def job_config(whole: DictConfig, copy_task: Callable[[DictConfig], DictConfig] = copy_without_hydra) -> JobConfig:
    """`whole`, as load_sweep_config gives it, becomes part of the answer."""
    with hydra_config(None):
        HydraConfig.instance().set_config(whole)
        folder = str(OmegaConf.select(whole, "hydra.sweep.dir"))
        output_dir = os.path.abspath(os.path.join(folder, str(OmegaConf.select(whole, "hydra.sweep.subdir"))))
        with read_write(whole.hydra.runtime), open_dict(whole.hydra.runtime):
            whole.hydra.runtime.output_dir = output_dir
        HydraConfig.instance().set_config(whole)
        holder: Any = HydraConfig.instance().cfg
    return JobConfig(whole=whole, task=copy_task(whole), hydra=holder, output_dir=output_dir)


def job_of(composed: JobConfig, num: int) -> BatchJob:
    """The task's configuration is resolved as run_job lets the task see it."""
    with task_sees(composed.hydra, composed.whole.hydra.job.env_set):
        config: Any = OmegaConf.to_container(composed.task, resolve=True)
    node = composed.whole.hydra
    overrides: Any = OmegaConf.to_container(node.overrides.task)
    choices: Any = OmegaConf.to_container(node.runtime.choices)
    return BatchJob(num=num, overrides=overrides, config=config, choices=choices, output_dir=composed.output_dir)


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


@contextmanager
def task_sees(holder: Any, env_set: Any) -> Iterator[None]:
    """`${hydra:...}` and the environment variables of hydra.job.env_set."""
    with hydra_config(holder), env_override(env_set) if len(env_set) else nullcontext():
        yield
