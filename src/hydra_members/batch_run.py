"""One call of a task's run_batch, with all that Hydra's run_job does around the call of a task."""

import copy
import logging
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from hydra.types import RunMode, TaskFunction
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from hydra_members.composer import Composer
from hydra_members.job_config import JobConfig, hydra_config, task_sees
from hydra_members.protocol import Batch, BatchJob, offered


class BatchJobReturn(JobReturn):
    def __init__(self, composer: "Composer", job: "BatchJob", task_name: str, result: Any) -> None:
        self._composer = composer
        self._num = job.num
        self._configs: dict[str, Any] = {}
        super().__init__(overrides=job.overrides, working_dir=job.output_dir, task_name=task_name)
        self._configs.clear()  # of the None that the line above has set
        self._lines = list(job.overrides)
        self._result = result
        self.status = JobStatus.FAILED if isinstance(result, Exception) else JobStatus.COMPLETED
        self.return_value = result

    @property
    def cfg(self) -> Any:
        return self._config("cfg")

    @cfg.setter
    def cfg(self, value: Any) -> None:
        self._configs["cfg"] = value

    @property
    def hydra_cfg(self) -> Any:
        return self._config("hydra_cfg")

    @hydra_cfg.setter
    def hydra_cfg(self, value: Any) -> None:
        self._configs["hydra_cfg"] = value

    def _config(self, name: str) -> Any:
        if name not in self._configs:
            composed: JobConfig = self._composer.job_config(self._lines, self._num)
            self._configs = {"cfg": composed.task, "hydra_cfg": composed.hydra} | self._configs
        return self._configs[name]

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(overrides={self.overrides!r}, working_dir={self.working_dir!r},"
            f" status={self.status}, _return_value={self._result!r})"
        )


def run_together(batch: Batch, task: TaskFunction, composer: Composer, callbacks: Any) -> Sequence[JobReturn]:
    """`callbacks`: those of the HydraContext."""
    config, run_batch = composer.master_config, offered(task, "run_batch")
    assert run_batch is not None
    if not batch.dry_run:
        _begin(batch, task, composer, callbacks)
    with task_sees(_as_multirun(composer), config.hydra.job.env_set):
        results = run_batch(batch)
    if len(results) != len(batch.jobs):
        raise ValueError(f"run_batch returned {len(results)} results for {len(batch.jobs)} jobs.")
    name = config.hydra.job.name
    returns = [BatchJobReturn(composer, job, name, result) for job, result in zip(batch.jobs, results)]
    _flush_logs()
    if not batch.dry_run:
        _end(batch, returns, composer, callbacks)
    return returns


def _as_multirun(composer: Composer) -> Any:
    """What HydraConfig holds meanwhile; copies of a whole configuration take 10 ms, so it is made once."""
    if composer.multirun is None:
        config = copy.deepcopy(composer.master_config)
        with read_write(config.hydra), open_dict(config.hydra):
            config.hydra.mode = RunMode.MULTIRUN
        with hydra_config(None):
            HydraConfig.instance().set_config(config)
            composer.multirun = HydraConfig.instance().cfg
    return composer.multirun


def _begin(batch: Batch, task: TaskFunction, composer: Composer, callbacks: Any) -> None:
    listening = _is_listened_to(callbacks, "on_job_start")
    for job in batch.jobs if batch.job_folders or listening else ():
        composed = composer.job_config(job.overrides, job.num)
        if batch.job_folders:
            _make_folder(job, composed.whole, composed.task, composed.hydra)
        if listening:
            with task_sees(composed.hydra, composed.whole.hydra.job.env_set):
                callbacks.on_job_start(config=composed.whole, task_function=task)


def _make_folder(job: BatchJob, whole: Any, task: DictConfig, hydra: DictConfig) -> None:
    folder = Path(job.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    if whole.hydra.output_subdir is not None:
        inner = folder / whole.hydra.output_subdir
        inner.mkdir(parents=True, exist_ok=True)
        OmegaConf.save(task, inner / "config.yaml")
        OmegaConf.save(hydra, inner / "hydra.yaml")
        OmegaConf.save(whole.hydra.overrides.task, inner / "overrides.yaml")


def _end(batch: Batch, returns: Sequence[JobReturn], composer: Composer, callbacks: Any) -> None:
    for job, job_return in zip(batch.jobs, returns) if _is_listened_to(callbacks, "on_job_end") else ():
        composed = composer.job_config(job.overrides, job.num)
        with hydra_config(composed.hydra):
            callbacks.on_job_end(config=composed.whole, job_return=job_return)


def _is_listened_to(callbacks: Any, method: str) -> bool:
    """Whether a callback does something of its own: composing a configuration for each job is what it costs."""
    there = getattr(callbacks, "callbacks", None)
    return there is None or any(getattr(type(each), method, None) is not getattr(Callback, method) for each in there)


def _flush_logs() -> None:
    for logger in (logging.getLogger(), *logging.getLogger().manager.loggerDict.values()):
        for handler in getattr(logger, "handlers", ()):
            with suppress(Exception):
                handler.flush()
