"""One run of `hydra/sweeper=optuna`: ask for trials, run them as jobs, tell how they ended."""

import logging
import random
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import optuna
from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from omegaconf import OmegaConf
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from hydra_members.composer import Composer
from hydra_members.protocol import offered, tell
from hydra_members.resume import launch_numbered, result_of
from hydra_members.search.confirmation import confirm
from hydra_members.search.lease import Lease
from hydra_members.search.plan import Plan
from hydra_members.search.sampler import process_seed
from hydra_members.search.study import open_study
from hydra_members.search.trial_result import TrialResult, best_trials, read_result, write_results
from hydra_members.search.trials import Trials
from hydra_members.storage import alone, open_storage

if TYPE_CHECKING:
    from hydra_members.study_sweeper import StudySweeper


log = logging.getLogger(__name__)

SAY_SECONDS = 1.0


def search(settings: "StudySweeper", arguments: Sequence[str]) -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)  # what it would say of a study is said here
    plan = Plan(settings, arguments)
    composer = Composer(settings.hydra_context.config_loader, settings.config)
    if getattr(settings.launcher, "dry_run", False):
        shown = plan.example(min(plan.width(), plan.n_trials))
        launch_numbered(settings.launcher, [plan.overrides(t.params) for t in shown], [t.number for t in shown])
        return
    example = plan.overrides(plan.example(1)[0].params)
    composer.check(example, 0)  # a key that there is not is found before a study is
    inputs, versions = (offered(settings.task_function, name) for name in ("inputs", "versions"))
    read = inputs(composer.job(example, 0).config) if inputs is not None else {}
    request = plan.request(read, versions() if versions is not None else {})
    storage, place = open_storage(settings.storage)
    study, about, folder = open_study(request, storage, place, settings.config)
    OmegaConf.save(settings.config, folder / "multirun.yaml")
    tell(settings.task_function, "study_opened", study)
    log.info(f"Study name: {study.study_name}")
    log.info(f"Storage: {place}")
    log.info(f"Sampler: {plan.sampler.name}")
    log.info(f"Directions: {plan.directions}")
    with Lease(study, settings.lease) as lease:
        trials = Trials(study, storage, place, plan.n_trials, lease)
        seed = about.seed if plan.sampler.by_slot else process_seed(about.seed, about.sessions)
        study.sampler = plan.sampler.make(seed, trials.slot_of)
        try:
            work = Search(plan, trials, settings, str(folder))
            work.run()
            confirm(work, composer, settings.confirm)
        finally:
            write_results(study, plan.space, folder)


class Search:
    def __init__(self, plan: Plan, trials: Trials, settings: "StudySweeper", folder: str) -> None:
        self.plan, self.trials, self.folder = plan, trials, folder
        self.launcher: Any = settings.launcher
        self.task: Any = settings.task_function
        self.late = None if settings.timeout is None else time.monotonic() + settings.timeout
        self.max_failure_rate, self.said = settings.max_failure_rate, 0.0

    def run(self) -> None:
        self._recover()
        with alone(self.trials.place, self.trials.study.study_name):
            for params in self.plan.enqueued:
                self.trials.study.enqueue_trial(params, skip_if_exists=True)
        try:
            while self.late is None or time.monotonic() < self.late:
                claimed = self.trials.claim(self.plan.width())
                if claimed and self._run(claimed):
                    break
                if not claimed and not self._recover():
                    break
        except BaseException:
            self.trials.running.clear()
            self._recover()
            raise
        ended = self.trials.ended()
        has_begun = bool(ended) or self.late is None  # else there was no time to
        if has_begun and not any(trial.state == TrialState.COMPLETE for trial in ended):
            raise HydraException(self._nothing())

    def _run(self, claimed: Sequence[Trial]) -> bool:
        """Whether the sampler has nothing more to propose."""
        for trial in claimed:
            self.plan.suggest(trial)
        reports = None if self.plan.pruner is None else Reports(self.trials, self.plan.pruner)
        lines = [self.plan.overrides(trial.params) for trial in claimed]
        returns = launch_numbered(self.launcher, lines, [trial.number for trial in claimed], reports)
        exhausted = False
        for trial, returned in zip(claimed, returns):
            with suppress(UpdateFinishedTrialError):  # somebody took this process for dead
                if reports is not None:
                    reports.store(trial.number)
                exhausted |= self._tell(trial, read_result(result_of(returned), len(self.plan.directions)))
        ended = self.trials.ended()
        self._say(ended)
        self._give_up(ended, returns)
        return exhausted

    def _tell(self, trial: Trial, outcome: TrialResult) -> bool:
        if outcome.failure is not None:
            trial.set_user_attr("failure", outcome.failure[:5000])
            log.warning(f"Trial {trial.number} failed: {outcome.failure}")
        if outcome.standard_error is not None:
            trial.set_user_attr("standard_error", outcome.standard_error)
        for key, value in outcome.constraints.items():
            trial.set_constraint(key, value)
        return self.trials.tell(trial, outcome.state, outcome.values)

    def _recover(self) -> bool:
        """Of trials that nobody runs any more, what has ended is told, and the others are queued again. Whether there
        were any."""
        stale = self.trials.stale()
        ended = self.ended([trial.number for trial in stale])
        for trial in stale:
            if trial.number in ended:
                outcome = read_result(ended[trial.number], len(self.plan.directions))
                with suppress(UpdateFinishedTrialError):  # somebody else was faster
                    self._tell(self.trials.open(trial), outcome)
        self.trials.queue_again([trial for trial in stale if trial.number not in ended])
        return bool(stale)

    def ended(self, numbers: Sequence[int]) -> dict[int, Any]:
        """Of jobs that nobody runs any more, what those have returned that have ended."""
        recover = offered(self.task, "recover")
        return {job.num: job.result for job in recover(self.folder, numbers)} if recover is not None else {}

    def _say(self, ended: Sequence[FrozenTrial]) -> None:
        if time.monotonic() - self.said < SAY_SECONDS and len(ended) < self.plan.n_trials:
            return
        self.said = time.monotonic()
        best = best_trials(self.trials.study)
        text = f"{len(ended)} of {self.plan.n_trials} trials have ended"
        if len(self.plan.directions) > 1:
            text += f", {len(best)} of them on the Pareto front"
        elif best:
            text += f", the best is trial {best[0].number} with {best[0].value:.6g}"
        log.info(text)

    def _give_up(self, ended: Sequence[FrozenTrial], returns: Sequence[JobReturn]) -> None:
        failed, rate = sum(trial.state == TrialState.FAIL for trial in ended), self.max_failure_rate
        if failed > rate * self.plan.n_trials:
            of = self.plan.n_trials
            log.error(f"{failed} of {of} trials failed, more than hydra.sweeper.max_failure_rate={rate} allows")
            for returned in returns:
                _ = returned.return_value  # raises what a job has raised
            raise HydraException(self._nothing())

    def _nothing(self) -> str:
        ended = self.trials.ended()
        complete = sum(trial.state == TrialState.COMPLETE for trial in ended)
        reasons = [trial.user_attrs["failure"] for trial in ended if "failure" in trial.user_attrs]
        why = f"; the first that failed: {reasons[0]}" if reasons else ""
        return f"{complete} of the {len(ended)} trials that have ended are complete{why}"


class Reports:
    """A pruner, asked after every epoch about all trials of a batch, which are trained side by side.

    Reporting to the study itself costs a write to disk each. The reports go to a copy of the study in memory, where the
    pruner looks; what it has to know later is stored when a trial ends.
    """

    def __init__(self, trials: Trials, pruner: optuna.pruners.BasePruner) -> None:
        self.trials = trials
        study, storage = trials.study, InMemoryStorage()
        sampler = optuna.samplers.RandomSampler(seed=0)  # never asked
        copy = optuna.create_study(
            storage=storage, sampler=sampler, pruner=pruner, directions=study.directions, study_name=study.study_name
        )
        study_id = storage.get_study_id_from_name(copy.study_name)
        self.copies: dict[int, Trial] = {}
        self._ids: dict[int, int] = {}  # trial's number -> what the copy's storage calls it
        for trial in trials.slots.trials:  # all of them: pruners tell trials apart by their numbers
            trial_id = storage.create_new_trial(study_id, trial)
            if trial.number in trials.running:
                self.copies[trial.number], self._ids[trial.number] = Trial(copy, trial_id), trial_id
        self.storage = storage

    def __call__(self, values: Mapping[int, float], step: int) -> set[int]:
        """The numbers of the trials to stop. All report before the first is judged; then they come in a random order,
        because a pruner made for trials that come one by one is kinder to the early ones."""
        for number, value in values.items():
            self.copies[number].report(value, step)
        order = sorted(values)
        random.Random(step).shuffle(order)
        return {number for number in order if self.copies[number].should_prune()}

    def store(self, number: int) -> None:
        """What was reported of a trial that is about to end, and what the pruner noted."""
        copy = self.storage.get_trial(self._ids[number])
        kept, storage = self.trials.id_of(self.trials.running[number]), self.trials.storage
        for step, value in copy.intermediate_values.items():
            storage.set_trial_intermediate_value(kept, step, value)
        known = storage.get_trial(kept).system_attrs
        for key, value in copy.system_attrs.items():
            if key not in known:
                storage.set_trial_system_attr(kept, key, value)
