"""The best of a study, trained once more on fresh seeds: the best of many noisy values is too good to be true."""

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from optuna.trial import FrozenTrial, TrialState

from hydra_members.composer import Composer
from hydra_members.protocol import offered
from hydra_members.resume import launch_numbered, result_of
from hydra_members.search.study import CONFIRMS_FROM
from hydra_members.search.trial_result import TrialResult, best_trials, read_result
from hydra_members.storage import alone

if TYPE_CHECKING:
    from hydra_members.search.search import Search
    from hydra_members.search.trials import Trials


log = logging.getLogger(__name__)

MOST = 20  # of a Pareto front


def confirm(search: "Search", composer: Composer, seeds: int | None) -> None:
    """A task says how: SweepTask.confirming. What comes out is the study's attribute `confirmed`."""
    trials = search.trials
    again = offered(search.task, "confirming")
    if again is None or seeds == 0:
        return
    best, begun = _take(trials, best_trials(trials.study)[:MOST])
    if not best:
        return
    results = search.ended(begun) if begun else {}
    lines: dict[int, list[str]] = {}
    number_of_seeds = {}
    for trial in best:
        num, overrides = CONFIRMS_FROM + trial.number, search.plan.overrides(trial.params)
        fresh, number_of_seeds[num] = again(composer.job(overrides, trial.number).config, seeds)
        if num not in results:
            lines[num] = _replaced(overrides, fresh)
    if lines:
        names, count = ", ".join(str(num - CONFIRMS_FROM) for num in lines), max(number_of_seeds.values())
        log.info(f"Confirming trial {names} on {count} fresh seeds")
        returns = launch_numbered(search.launcher, list(lines.values()), list(lines))
        results |= {num: result_of(each) for num, each in zip(lines, returns)}
    outcomes = {num: read_result(results[num], len(trials.study.directions)) for num in number_of_seeds}
    with alone(trials.place, trials.study.study_name):
        kept = trials.study.user_attrs.get("confirmed", {})
        new = {str(num - CONFIRMS_FROM): _record(outcome, number_of_seeds[num]) for num, outcome in outcomes.items()}
        trials.study.set_user_attr("confirmed", kept | new)


def _take(trials: "Trials", best: Sequence[FrozenTrial]) -> tuple[list[FrozenTrial], list[int]]:
    """Those that nobody has confirmed or is confirming; and the jobs that a process has begun that died."""
    with alone(trials.place, trials.study.study_name):
        known = trials.study.user_attrs
        takers = known.get("confirming", {})
        taken = {number for number, worker in takers.items() if trials.lease.is_alive(worker, known)}
        mine = [trial for trial in best if str(trial.number) not in taken | known.get("confirmed", {}).keys()]
        if mine:
            trials.study.set_user_attr("confirming", takers | {str(t.number): trials.lease.worker for t in mine})
    return mine, [CONFIRMS_FROM + trial.number for trial in mine if str(trial.number) in takers]


def _replaced(overrides: Sequence[str], fresh: Sequence[str]) -> list[str]:
    """Hydra takes one value for a key."""
    keys = {line.partition("=")[0] for line in fresh}
    return [*(line for line in overrides if line.partition("=")[0].lstrip("+") not in keys), *fresh]


def _record(outcome: TrialResult, seeds: int) -> dict[str, Any]:
    if outcome.state != TrialState.COMPLETE or outcome.values is None:
        return {"objective": None, "standard_error": None, "seeds": seeds, "failure": outcome.failure}
    value: Any = outcome.values[0] if len(outcome.values) == 1 else outcome.values
    return {"objective": value, "standard_error": outcome.standard_error, "seeds": seeds}
