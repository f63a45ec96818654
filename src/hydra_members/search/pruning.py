"""Optuna's pruners, asked after every epoch about all trials that are trained side by side.

Reporting to the study itself costs a write to disk each. The reports go to a copy of the study in memory, where the
pruner looks; what it has to know later is stored when a trial ends.
"""

import random
from collections.abc import Mapping

import optuna
from optuna.storages import InMemoryStorage
from optuna.trial import Trial

from hydra_members.search.trials import Trials


class Reports:
    """Those of one batch."""

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
