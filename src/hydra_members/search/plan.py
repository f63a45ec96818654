"""What a study is to do: the configuration of the sweeper, read and checked."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import optuna
from hydra.errors import HydraException
from hydra.utils import get_method, instantiate
from omegaconf import DictConfig, OmegaConf
from optuna.trial import Trial

from hydra_members.protocol import offered
from hydra_members.search.sampler import SamplerChoice
from hydra_members.search.space import Space
from hydra_members.search.study import StudyRequest, digest

if TYPE_CHECKING:
    from hydra_members.study_sweeper import StudySweeper


log = logging.getLogger(__name__)

TOGETHER, TOGETHER_BY_SLOT = 16, 256  # trials asked for at once where they are trained side by side


class Plan:
    def __init__(self, settings: "StudySweeper", arguments: Sequence[str]) -> None:
        _check(settings)
        self.settings, self.config = settings, settings.config
        self.together = (
            hasattr(settings.launcher, "launch_numbered") and offered(settings.task_function, "run_batch") is not None
        )
        params = [f"{key}={'null' if value is None else value}" for key, value in (settings.params or {}).items()]
        conditional, old = _plain(settings.conditional), _plain(settings.search_space)
        loader = settings.hydra_context.config_loader
        self.space = Space.read([*params, *arguments], conditional, old, loader)
        custom = settings.custom_search_space
        self.extend: Callable[[DictConfig, Trial], None] | None = None
        if custom:
            check = offered(settings.task_function, "check_search_space")
            if check is not None:
                check(custom.lstrip("."))
            self.extend = get_method(custom.lstrip("."))
        if not self.space.names and not custom:
            log.warning("Nothing is searched, so all trials are the same; say key=interval(...) or key=choice(...)")
        self.sampler = SamplerChoice(settings.sampler, self.space, custom is not None)
        self.n_trials = min(settings.n_trials, self.sampler.most or settings.n_trials)
        self.directions: Any = _directions(settings.direction)
        self.pruner = self._pruner()
        self.enqueued = self._enqueued()

    def width(self) -> int:
        """Trials that are asked for at once. Those of a sampler that learns do not know of each other's results."""
        if self.settings.n_jobs is not None:
            return self.settings.n_jobs
        if self.together:
            return TOGETHER_BY_SLOT if self.sampler.by_slot else TOGETHER
        in_turn = any(kind.__name__ == "BasicLauncher" for kind in type(self.settings.launcher).__mro__)
        return 1 if in_turn else 2

    def overrides(self, params: Mapping[str, Any]) -> list[str]:
        return [*self.space.fixed, *self.space.overrides(params)]

    def suggest(self, trial: Trial) -> None:
        try:
            self.space.suggest(trial)
            if self.extend is not None:
                self.extend(self.config, trial)
        except ValueError as error:  # Optuna does not let the choices of a key change within a study
            raise HydraException(f"{error} Another hydra.sweeper.study_name begins afresh.") from error
        keys = {line.partition("=")[0] for line in self.space.fixed}
        if both := sorted(keys & trial.params.keys()):
            raise HydraException(
                f"{both[0]} is set to a fixed value, and hydra.sweeper.custom_search_space searches it; leave one."
            )

    def example(self, trials: int) -> list[Trial]:
        """Trials of a study that is not kept."""
        sampler = self.sampler.make(0, lambda trial: trial.number)
        study = optuna.create_study(sampler=sampler, directions=self.directions)
        asked = [study.ask() for _ in range(trials)]
        for trial in asked:
            self.suggest(trial)
        return asked

    def request(self, inputs: Mapping[str, str], versions: Mapping[str, str]) -> StudyRequest:
        """inputs, versions: see SweepTask."""
        settings = self.settings
        task = {key: value for key, value in _plain(self.config).items() if key != "hydra"}
        space, custom = self.space.digest_source(), settings.custom_search_space
        read = sorted(inputs.values())
        asked = digest(task, space, self.directions, self.sampler.settings, _plain(settings.pruner), custom, *read)
        facts = {"inputs": dict(inputs), "versions": dict(versions)}
        return StudyRequest(settings.study_name, self.directions, asked, self.sampler.seed, settings.resume, **facts)

    def _pruner(self) -> optuna.pruners.BasePruner | None:
        node = self.settings.pruner
        pruner = instantiate(node, _convert_="all") if isinstance(node, DictConfig) else node
        if pruner is None or isinstance(pruner, optuna.pruners.NopPruner):
            return None
        if len(self.directions) > 1:
            raise HydraException(
                "hydra/sweeper/pruner stops trials by one objective, and hydra.sweeper.direction names several;"
                " it must be none."
            )
        if not self.together:
            log.warning("hydra/sweeper/pruner works under hydra/launcher=vectorized only: no trial is stopped early")
        return pruner

    def _enqueued(self) -> list[dict[str, Any]]:
        enqueued: list[dict[str, Any]] = _plain(self.settings.enqueue) or []
        for params in enqueued:
            if unknown := sorted(params.keys() - set(self.space.names)) if self.extend is None else []:
                there = ", ".join(self.space.names)
                raise HydraException(f"hydra.sweeper.enqueue names {unknown[0]}, which is not searched; {there} are.")
        return enqueued


def _plain(node: Any) -> Any:
    return OmegaConf.to_container(node) if OmegaConf.is_config(node) else node


def _directions(direction: Any) -> list[str]:
    given = _plain(direction)
    names = [getattr(each, "name", str(each)) for each in (given if isinstance(given, list) else [given])]
    for name in names:
        if name not in ("minimize", "maximize"):
            raise HydraException(f"hydra.sweeper.direction={name} is unknown; it must be minimize or maximize.")
    return names


def _check(settings: "StudySweeper") -> None:
    for key, value in {"n_trials": settings.n_trials, "n_jobs": settings.n_jobs}.items():
        if value is not None and value < 1:
            raise HydraException(f"hydra.sweeper.{key}={value} is too few; it must be at least 1.")
    if not 0 <= settings.max_failure_rate <= 1:
        rate = settings.max_failure_rate
        raise HydraException(f"hydra.sweeper.max_failure_rate={rate} is no share; it must be from 0 to 1.")
