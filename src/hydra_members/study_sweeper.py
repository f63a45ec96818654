"""`hydra/sweeper=optuna`: a study whose trials are the jobs of a sweep.

The configuration is that of hydra-optuna-sweeper, and what it lacks. What the sweeper does is in search/, which imports
Optuna: every command of every Hydra application imports this file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import MISSING, DictConfig

from hydra_members.protocol import tell

TPE: dict[str, Any] = {
    "_target_": "optuna.samplers.TPESampler",
    "consider_prior": None,  # this and the next three are of Optuna before 5
    "prior_weight": None,
    "consider_magic_clip": None,
    "consider_endpoints": None,
    "n_startup_trials": 10,
    "multivariate": None,
    "group": None,  # null: true if there are conditional keys
    "constant_liar": True,
    "constraints_func": None,
    "warn_independent_sampling": None,
}
GENETIC: dict[str, Any] = {
    "population_size": 50,
    "mutation": None,
    "mutation_prob": None,
    "crossover": None,
    "crossover_prob": 0.9,
    "swapping_prob": 0.5,
    "constraints_func": None,
}
SAMPLERS: dict[str, dict[str, Any]] = {
    "tpe": {**TPE, "n_ei_candidates": 24},
    "motpe": {**TPE, "n_ehvi_candidates": 24},  # what TPE for several objectives was called
    "random": {"_target_": "optuna.samplers.RandomSampler"},
    "grid": {"_target_": "optuna.samplers.GridSampler", "_partial_": True},
    "bruteforce": {"_target_": "optuna.samplers.BruteForceSampler", "avoid_premature_stop": False},
    "qmc": {
        "_target_": "optuna.samplers.QMCSampler",
        "qmc_type": "sobol",
        "scramble": False,
        "independent_sampler": None,
        "warn_asynchronous_seeding": False,
        "warn_independent_sampling": True,
    },
    "cmaes": {
        "_target_": "optuna.samplers.CmaEsSampler",
        "x0": None,
        "sigma0": None,
        "n_startup_trials": 1,
        "independent_sampler": None,
        "warn_independent_sampling": True,
        "consider_pruned_trials": False,
        "restart_strategy": None,
        "popsize": None,
        "inc_popsize": -1,
        "use_separable_cma": False,
        "with_margin": False,
        "lr_adapt": False,
        "source_trials": None,
    },
    "gp": {
        "_target_": "optuna.samplers.GPSampler",
        "independent_sampler": None,
        "n_startup_trials": 10,
        "deterministic_objective": False,
        "constraints_func": None,
        "warn_independent_sampling": True,
    },
    "nsgaii": {"_target_": "optuna.samplers.NSGAIISampler", **GENETIC},
    "nsgaiii": {
        "_target_": "optuna.samplers.NSGAIIISampler",
        **GENETIC,
        "reference_points": None,
        "dividing_parameter": 3,
    },
}

PRUNERS: dict[str, dict[str, Any]] = {
    "none": {"_target_": "optuna.pruners.NopPruner"},
    "median": {
        "_target_": "optuna.pruners.MedianPruner",
        "n_startup_trials": 5,
        "n_warmup_steps": 0,
        "interval_steps": 1,
        "n_min_trials": 1,
    },
    "percentile": {
        "_target_": "optuna.pruners.PercentilePruner",
        "percentile": 25.0,
        "n_startup_trials": 5,
        "n_warmup_steps": 0,
        "interval_steps": 1,
        "n_min_trials": 1,
    },
    "successive_halving": {
        "_target_": "optuna.pruners.SuccessiveHalvingPruner",
        "min_resource": 1,  # of Optuna's own, auto, nothing is pruned before a trial has completed
        "reduction_factor": 4,
        "min_early_stopping_rate": 0,
        "bootstrap_count": 0,
    },
    "hyperband": {
        "_target_": "optuna.pruners.HyperbandPruner",
        "min_resource": 1,
        "max_resource": "auto",
        "reduction_factor": 3,
        "bootstrap_count": 0,
    },
    "threshold": {
        "_target_": "optuna.pruners.ThresholdPruner",
        "lower": None,
        "upper": None,
        "n_warmup_steps": 0,
        "interval_steps": 1,
    },
    "patient": {
        "_target_": "optuna.pruners.PatientPruner",
        "wrapped_pruner": None,
        "patience": MISSING,
        "min_delta": 0.0,
    },
}


@dataclass
class StudySweeperConf:
    _target_: str = "hydra_plugins.noiseworks.optuna_sweeper.OptunaSweeper"
    _recursive_: bool = False
    defaults: list[Any] = field(default_factory=lambda: [{"sampler": "tpe"}, {"pruner": "none"}])
    sampler: Any = MISSING
    pruner: Any = MISSING
    direction: Any = "minimize"  # or maximize; a list for several objectives
    storage: Any = "optuna.log"  # a journal file; an URL, as sqlite:///study.db; null: in memory
    study_name: str | None = None  # null: made of a hash of what is asked for
    n_trials: int = 20
    n_jobs: int | None = None  # trials that are asked for together; null: what suits the launcher and the sampler
    timeout: float | None = None  # seconds after which no further trials start
    max_failure_rate: float = 1.0  # of n_trials; when more than that have failed, the sweep ends
    resume: bool = True  # go on with the study that has this name; false: begin another one
    lease: float = 60.0  # seconds after which a process on another machine that gives no sign is taken for dead
    confirm: int | None = None  # seeds on which the best is trained again; null: as the task says; 0: not at all
    params: Any = None  # key: choice(...) | range(...) | interval(...) | tag(log, interval(...)) | a,b,c
    conditional: list[Any] = field(default_factory=list)  # [{when: {key: value}, params: {...}}]
    enqueue: list[Any] = field(default_factory=list)  # [{key: value}]: tried first
    custom_search_space: str | None = None  # a function of (config, trial)
    search_space: Any = None  # how Hydra 1.1 said params


def register(provider: str) -> None:
    store = ConfigStore.instance().store
    store(group="hydra/sweeper", name="optuna", node=StudySweeperConf, provider=provider)
    for name, node in SAMPLERS.items():
        store(group="hydra/sweeper/sampler", name=name, node={"seed": None, **node}, provider=provider)
    for name, node in PRUNERS.items():
        store(group="hydra/sweeper/pruner", name=name, node=node, provider=provider)


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
        tell(self.task_function, "sweep_begins", self.config)
        from hydra_members.search.search import search  # only now: it imports Optuna

        search(self, arguments)
