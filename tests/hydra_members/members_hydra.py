"""What Hydra itself makes of a job, and how to compare it with ours."""

import copy
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hydra._internal.hydra import Hydra
from hydra._internal.utils import create_config_search_path
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import env_override, setup_globals
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict, read_write

from hydra_members.composer import Composer

CONF = Path(__file__).parents[2] / "conf"


@dataclass
class Sweep:
    loader: ConfigLoader
    master: DictConfig


def start(folder: Path = CONF, overrides: tuple[str, ...] = (), name: str = "config") -> Sweep:
    GlobalHydra.instance().clear()
    setup_globals()
    hydra = Hydra.create_main_hydra2("app", create_config_search_path(str(folder)))
    master = hydra.compose_config(name, list(overrides), run_mode=RunMode.MULTIRUN)
    _ = master.hydra.sweep.dir  # as every launcher and sweeper does first: from here on the hour is fixed
    return Sweep(hydra.config_loader, master)


def hydras_config(sweep: Sweep, overrides: list[str], num: int) -> DictConfig:
    config = sweep.loader.load_sweep_config(sweep.master, list(overrides))
    with open_dict(config):
        config.hydra.job.id = num
        config.hydra.job.num = num
    return config


def hydras_job(config: DictConfig, num: int) -> dict[str, Any]:
    """As run_job does it, up to the call of the task."""
    before = HydraConfig.instance().cfg
    try:
        HydraConfig.instance().set_config(config)
        folders = (str(OmegaConf.select(config, f"hydra.sweep.{key}")) for key in ("dir", "subdir"))
        with read_write(config.hydra.runtime):
            config.hydra.runtime.output_dir = os.path.abspath(os.path.join(*folders))
        HydraConfig.instance().set_config(config)
        task = copy.deepcopy(config)
        with read_write(task), open_dict(task):
            del task["hydra"]
        with env_override(config.hydra.job.env_set):
            plain = OmegaConf.to_container(task, resolve=True)
    finally:
        HydraConfig.instance().cfg = before
    return {
        "num": num,
        "overrides": OmegaConf.to_container(config.hydra.overrides.task),
        "config": plain,
        "choices": OmegaConf.to_container(config.hydra.runtime.choices),
        "output_dir": config.hydra.runtime.output_dir,
    }


def outcome(make: Callable[[], Any]) -> Any:
    """What `make` gives, or the type and text of what it raises."""
    try:
        return make()
    except Exception as error:
        causes = []
        cause: BaseException | None = error
        while cause is not None:
            causes.append((type(cause).__name__, str(cause)))
            cause = cause.__cause__
        return causes


def anatomy(node: Any, path: str = "") -> dict[str, str]:
    """All that a configuration consists of: values, types, flags and the caches of resolvers, nothing resolved."""
    known = node._metadata
    types = (getattr(known, "key_type", None), getattr(known, "element_type", None), dict(known.resolver_cache))
    content = node.__dict__.get("_content")
    inner: list[tuple[Any, Any]] = []
    if isinstance(node, DictConfig) and isinstance(content, dict):
        inner = list(content.items())
    elif isinstance(node, ListConfig) and isinstance(content, list):
        inner = list(enumerate(content))
    value = [key for key, _ in inner] if inner else node._value()
    head = (type(node), known.ref_type, known.object_type, known.optional, known.key, known.flags, types, value)
    found = {path: repr(head)}  # text, since nan is not equal to itself and 1 is equal to True
    for key, child in inner:
        found |= anatomy(child, f"{path}.{key}")
    return found


def differences(found: Any, expected: Any) -> Any:
    if isinstance(found, dict) and isinstance(expected, dict):
        keys = {*found, *expected}
        return {key: f"{found.get(key)} != {expected.get(key)}" for key in keys if found.get(key) != expected.get(key)}
    return {} if found == expected else (found, expected)


def assert_same_jobs(sweep: Sweep, composer: Composer, jobs: Sequence[list[str]]) -> None:
    for num, overrides in enumerate(jobs):
        config = outcome(partial(hydras_config, sweep, overrides, num))
        expected = anatomy(config) if isinstance(config, DictConfig) else config
        first = outcome(lambda: anatomy(composer.compose(overrides, num)))  # noqa: B023
        assert differences(first, expected) == {}, overrides
        job = outcome(partial(hydras_job, config, num)) if isinstance(config, DictConfig) else config
        found = outcome(lambda: asdict(composer.job(overrides, num)))  # noqa: B023
        assert repr(found) == repr(job), overrides  # text, since nan is not equal to itself and 1 is equal to True
        again = outcome(lambda: anatomy(composer.compose(overrides, num)))  # noqa: B023
        assert differences(again, expected) == {}, overrides
