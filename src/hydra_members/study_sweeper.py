"""`hydra/sweeper=optuna`: a study whose trials are the jobs of a sweep.

The class takes what the configuration says; what it does is in _search.py, which imports Optuna.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig


class StudySweeper(Sweeper):
    def __init__(
        self,
        sampler: Any,
        pruner: Any = None,
        direction: Any = "minimize",
        storage: Any = None,
        study_name: str | None = None,
        n_trials: int = 20,
        n_jobs: int | None = None,
        timeout: float | None = None,
        max_failure_rate: float = 1.0,
        resume: bool = True,
        lease: float = 60.0,
        confirm: int | None = None,
        params: Mapping[str, Any] | None = None,
        conditional: Sequence[Any] = (),
        enqueue: Sequence[Any] = (),
        custom_search_space: str | None = None,
        search_space: Any = None,
    ) -> None:
        self.sampler, self.pruner, self.direction = sampler, pruner, direction
        self.storage, self.study_name, self.resume, self.lease = storage, study_name, resume, lease
        self.n_trials, self.n_jobs, self.timeout = n_trials, n_jobs, timeout
        self.max_failure_rate, self.confirm = max_failure_rate, confirm
        self.params, self.conditional, self.enqueue = params, conditional, enqueue
        self.custom_search_space, self.search_space = custom_search_space, search_space

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.task_function = task_function
        self.hydra_context: HydraContext = hydra_context
        self.config: DictConfig = config
        self.launcher: Launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> None:
        from hydra_members.search.search import search

        search(self, arguments)
