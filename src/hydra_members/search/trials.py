"""The trials of a study, shared among processes of which any may be killed at any moment.

A study of n trials has n slots. A trial is an attempt at one: the first that are made take the slots 0, 1, 2, ... in
the order of their numbers. An attempt whose process died is lost: it is FAILED, and the slot is queued again with the
same parameters, as a trial of another number. So exactly n attempts end by themselves, each slot once.
"""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import optuna
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from hydra_members.search.lease import Lease
from hydra_members.storage import alone

MOST_DEATHS = 20  # after which a slot is not tried again: it is the trial that kills
LOST = "lost"  # user attribute of an attempt that did not end by itself, and why


class Slots:
    """Which trial is an attempt at which slot, and which slots are done. What has ended is looked at once."""

    def __init__(self) -> None:
        self.trials: Sequence[FrozenTrial] = ()
        self.of: list[int] = []  # trial's number -> slot
        self.attempts: dict[int, list[int]] = {}  # slot -> numbers of trials
        self.done: dict[int, int] = {}  # slot -> number of the trial that ended by itself
        self.open: set[int] = set()  # numbers of trials that have not ended
        self.fresh = 0  # slots that somebody has taken

    def update(self, trials: Sequence[FrozenTrial]) -> None:
        self.trials = trials
        for trial in trials[len(self.of) :]:
            slot = trial.user_attrs.get("slot")
            if slot is None:
                slot, self.fresh = self.fresh, self.fresh + 1
            self.of.append(slot)
            self.attempts.setdefault(slot, []).append(trial.number)
            self.open.add(trial.number)
        for number in [number for number in self.open if trials[number].state.is_finished()]:
            self.open.remove(number)
            if LOST not in trials[number].user_attrs:
                self.done.setdefault(self.of[number], number)

    def are(self, state: TrialState) -> list[FrozenTrial]:
        """The trials that have not ended and are in this state."""
        return [self.trials[number] for number in sorted(self.open) if self.trials[number].state == state]

    def is_lost(self, slot: int) -> bool:
        return not any(number in self.open for number in self.attempts[slot]) and slot not in self.done

    def has_other(self, trial: FrozenTrial) -> bool:
        """Whether the slot of a queued attempt is somebody else's already."""
        slot = self.of[trial.number]
        others = [self.trials[number] for number in self.attempts[slot] if number != trial.number]
        return slot in self.done or any(other.state == TrialState.RUNNING for other in others)


class Trials:
    """Those of one study, for one process."""

    def __init__(self, study: optuna.Study, storage: BaseStorage, place: str, n_trials: int, lease: Lease) -> None:
        self.study, self.storage, self.place, self.n_trials, self.lease = study, storage, place, n_trials, lease
        self.study_id = storage.get_study_id_from_name(study.study_name)
        self.running: dict[int, Trial] = {}  # mine
        self._ids: dict[int, int] = {}  # trial's number -> what the storage calls it
        self._slots = Slots()

    @property
    def slots(self) -> Slots:
        """As they are now."""
        self._slots.update(sorted(self.study.get_trials(deepcopy=False), key=lambda trial: trial.number))
        return self._slots

    def id_of(self, trial: Trial | FrozenTrial) -> int:
        """What the storage calls the trial: a number among those of all its studies."""
        known = self._ids.get(trial.number)
        if known is None:
            known = self.storage.get_trial_id_from_study_id_trial_number(self.study_id, trial.number)
            self._ids[trial.number] = known
        return known

    def open(self, trial: FrozenTrial) -> Trial:
        """The trial that has not ended, to be written to."""
        return Trial(self.study, self.id_of(trial))

    def slot_of(self, trial: FrozenTrial) -> int:
        """For samplers; the slot of a trial never changes."""
        known = self._slots.of
        return known[trial.number] if trial.number < len(known) else self.slots.of[trial.number]

    def ended(self) -> list[FrozenTrial]:
        """One for each slot that is done."""
        slots = self.slots
        return [slots.trials[number] for slot, number in slots.done.items() if slot < self.n_trials]

    def claim(self, most: int) -> list[Trial]:
        """Trials for this process to run: queued ones, then fresh ones; none if all are done or somebody runs them."""
        with alone(self.place, self.study.study_name):
            slots = self.slots
            waiting = [trial for trial in slots.are(TrialState.WAITING) if slots.of[trial.number] < self.n_trials]
            claimed: list[Trial] = []
            while waiting and len(claimed) < most:
                trial = waiting.pop(0)
                if self._pop(trial, slots):
                    claimed.append(self._begin(self.id_of(trial)))
            for _ in range(min(most - len(claimed), self.n_trials - slots.fresh)):
                claimed.append(self._begin(self._create()))
            return [trial for trial in claimed if not self._is_too_much(trial)]

    def _create(self) -> int:
        template = create_trial(state=TrialState.RUNNING, user_attrs={"worker": self.lease.worker})
        return self.storage.create_new_trial(self.study_id, template)

    def _pop(self, trial: FrozenTrial, slots: Slots) -> bool:
        with suppress(UpdateFinishedTrialError):
            trial_id = self.id_of(trial)
            self.storage.set_trial_user_attr(trial_id, "worker", self.lease.worker)  # before others see it run
            if self.storage.set_trial_state_values(trial_id, TrialState.RUNNING):
                self.storage.set_trial_user_attr(trial_id, "worker", self.lease.worker)  # who came second did so
                if not slots.has_other(trial):
                    return True
                self._lose(trial, "its slot was taken")
        return False

    def _begin(self, trial_id: int) -> Trial:
        trial = Trial(self.study, trial_id)
        self.running[trial.number], self._ids[trial.number] = trial, trial_id
        return trial

    def _is_too_much(self, trial: Trial) -> bool:
        """Processes on several machines may have created one too many at the same moment: the last ones go."""
        frozen = self.storage.get_trial(self.id_of(trial))
        if self.slot_of(frozen) < self.n_trials:
            return False
        self._lose(frozen, "the study was complete")
        del self.running[trial.number]
        return True

    def tell(self, trial: Trial | FrozenTrial, state: TrialState, values: Sequence[float] | None = None) -> bool:
        """Whether the sampler has nothing more to propose. Somebody may have told it already: who finds the same in the
        sweep's journal, or took this process for dead."""
        self.running.pop(trial.number, None)
        try:
            self.study.tell(trial.number, values, state, skip_if_finished=True)
        except RuntimeError as error:  # a sampler that is through calls study.stop(), which works only in optimize
            if "Study.stop" not in str(error):
                raise
            return True
        return False

    def stale(self) -> list[FrozenTrial]:
        """Trials said to be running that nobody runs."""
        signs = self.study.user_attrs
        return [trial for trial in self.slots.are(TrialState.RUNNING) if not self._is_run(trial, signs)]

    def _is_run(self, trial: FrozenTrial, signs: Mapping[str, Any]) -> bool:
        worker = trial.user_attrs.get("worker")
        if worker == self.lease.worker:
            return trial.number in self.running
        return worker is not None and self.lease.is_alive(worker, signs)

    def queue_again(self, stale: Collection[FrozenTrial]) -> None:
        """Fail them, and queue every slot all of whose attempts are lost."""
        with alone(self.place, self.study.study_name):
            for trial in stale:
                self.running.pop(trial.number, None)
                self._lose(trial, "its process ended before it")
            slots = self.slots
            for slot, attempts in slots.attempts.items():
                if slot < self.n_trials and slots.is_lost(slot) and len(attempts) <= MOST_DEATHS:
                    last = slots.trials[attempts[-1]]
                    asked = last.system_attrs.get("fixed_params", {}) | last.params
                    self.study.enqueue_trial(asked, user_attrs={"slot": slot})

    def _lose(self, trial: FrozenTrial, why: str) -> None:
        with suppress(UpdateFinishedTrialError):  # somebody else was faster
            self.storage.set_trial_user_attr(self.id_of(trial), LOST, why)
            self.storage.set_trial_state_values(self.id_of(trial), TrialState.FAIL)
