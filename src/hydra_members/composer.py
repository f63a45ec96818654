"""The configurations of a sweep's jobs: what Hydra would compose, as fast as the installed versions allow."""

import logging
from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

import hydra
import omegaconf
from hydra.core.config_loader import ConfigLoader
from hydra.core.config_search_path import ConfigSearchPath
from omegaconf import DictConfig

from hydra_members.job_config import JobConfig, compose_by, job_config, job_of
from hydra_members.protocol import BatchJob

if TYPE_CHECKING:
    from hydra_members.fast_composition import FastComposition

log = logging.getLogger(__name__)

# The versions whose private parts (hydra_internals.py) are known to give what Hydra itself composes.
TESTED = {"hydra-core": ("1.3.8",), "omegaconf": ("2.3.1",)}


def installed() -> dict[str, str]:
    return {"hydra-core": hydra.__version__, "omegaconf": omegaconf.__version__}


class Composer:
    """Files and environment variables that change between two jobs of a sweep are not seen, if it is fast."""

    def __init__(self, config_loader: ConfigLoader, master_config: DictConfig) -> None:
        self.config_loader = config_loader
        self.master_config = master_config
        self.multirun: Any = None  # see run_together
        self._fast = _fast_composition(config_loader, master_config)

    def __reduce__(self) -> Any:
        """What it has kept stays behind, and so does Hydra's loader: its search path makes another."""
        if self._fast is None:
            return Composer, (self.config_loader, self.master_config)
        return _composer, (type(self.config_loader), self.config_loader.get_search_path(), self.master_config)

    def compose(self, overrides: Sequence[str], num: int) -> DictConfig:
        """What load_sweep_config gives, with the job's number."""
        if self._fast is not None:
            return self._fast.compose(overrides, num)
        return compose_by(self.config_loader, self.master_config, overrides, num)

    def job_config(self, overrides: Sequence[str], num: int) -> JobConfig:
        """The job's configuration as run_job hands it to the task, to callbacks and to the folder .hydra."""
        if self._fast is not None:
            return self._fast.job_config(overrides, num)
        return job_config(self.compose(overrides, num))

    def check(self, overrides: Sequence[str], num: int) -> None:
        """Raises what composing the job would raise. Interpolations are left until a task reads them, as Hydra does."""
        if self._fast is not None:
            self._fast.check(overrides, num)
        else:
            self.compose(overrides, num)

    def job(self, overrides: Sequence[str], num: int) -> BatchJob:
        if self._fast is not None:
            return self._fast.job(overrides, num)
        return job_of(self.job_config(overrides, num), num)


def _composer(kind: type[Any], search_path: ConfigSearchPath, master_config: DictConfig) -> Composer:
    return Composer(kind(search_path), master_config)


def _fast_composition(config_loader: ConfigLoader, master_config: DictConfig) -> "FastComposition | None":
    """None where Hydra composes each job by its public call."""
    if any(version not in TESTED[name] for name, version in installed().items()):
        _say_that_it_is_slow()
        return None
    try:  # only here: another version may lack what it imports
        from hydra_members.fast_composition import FastComposition
    except ImportError:
        _say_that_it_is_slow()
        return None
    return FastComposition.of(config_loader, master_config)


@cache  # a sweep makes several composers
def _say_that_it_is_slow() -> None:
    here = " and ".join(f"{name} {version}" for name, version in installed().items())
    known = " and ".join(f"{name} {' or '.join(versions)}" for name, versions in TESTED.items())
    log.warning(f"Jobs are composed one by one, about 0.1 s each: this is {here}; the fast way is known for {known}")
