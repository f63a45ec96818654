"""What is printed when a study has ended, and stands in the description of its parent run."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from optuna.trial import FrozenTrial, TrialState

from noiseworks.search.findings import Confirmation, Findings, StudyObjective, is_lost, standard_error
from noiseworks.sweep.table import MOST_BEST, cell, failures
from noiseworks.text_table import layout

MOST_OF_FRONT = 20
FEW = 50  # complete trials: of fewer, not five are in the best tenth
STATES = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def describe(found: Findings) -> str:
    """How many trials ended how; the best, and what fresh seeds say of it; the next best, or the Pareto front; what the
    objective depends on; why jobs failed."""
    blocks = [_counts(found)]
    if not found.complete:
        blocks.append("No trial is complete: there is no best one.")
    elif not found.feasible:
        blocks.append("No trial keeps to the constraints: there is no best one.")
    elif found.best is None:
        blocks.append(_front(found))
    else:
        blocks.append(_best(found, found.best, found.objectives[0]))
    if found.confirmations:
        blocks.append(_confirmed(found))
    if found.best is not None:
        blocks.append(f"the best {min(len(found.ranked), MOST_BEST)}:\n\n" + _trials(found, found.ranked[:MOST_BEST]))
    if any(found.importances):
        blocks.append(_importances(found))
    if found.failures:
        blocks.append(failures(found.failures, "trials.csv"))
    return "\n\n".join(blocks)


def sampler_name(found: Findings) -> str:
    """As hydra/sweeper/sampler calls it: tpe for TPESampler, random for RandomBySlot."""
    return re.sub("(Sampler|BySlot)$", "", type(found.study.sampler).__name__).lower()


def _counts(found: Findings) -> str:
    died = sum(map(is_lost, found.trials))
    counts = Counter(STATES[trial.state] for trial in found.trials if not is_lost(trial))
    said = [f"{counts[name]:,} {name}" for name in STATES.values() if counts[name]]
    said += [f"{died:,} died and queued again"] if died else []
    aims = " and ".join(f"{'maximize' if o.maximize else 'minimize'} {o.name}" for o in found.objectives)
    text = f"study {found.study.study_name}, sampler {sampler_name(found)}, to {aims}\n{', '.join(said) or 'no trials'}"
    if found.constraints and found.complete:
        kept = f"{len(found.feasible):,} of {len(found.complete):,}"
        text += f"\n{kept} complete trials keep to the constraints ({', '.join(found.constraints)})"
    return text


def _best(found: Findings, best: FrozenTrial, objective: StudyObjective) -> str:
    value = with_error(objective.value(best), standard_error(best))
    width = max(map(len, best.params), default=0)
    lines = [f"  {key:{width}}  {cell(value)}" for key, value in best.params.items()]
    return "\n".join([f"the best is trial {best.number}, {objective.name} {value}", *lines])


def with_error(value: float, error: float | None) -> str:
    return f"{value:.6g}" if error is None else f"{value:.6g} ± {error:.2g}"


def _front(found: Findings) -> str:
    more = len(found.front) - MOST_OF_FRONT
    rest = f"\n  ... and {more} more; trials.csv has them all" if more > 0 else ""
    title = f"the Pareto front, {len(found.front)} of {len(found.complete)} complete trials:"
    return f"{title}\n\n{_trials(found, found.front[:MOST_OF_FRONT])}{rest}"


def _trials(found: Findings, trials: Sequence[FrozenTrial]) -> str:
    keys = [key for key in found.keys if any(key in trial.params for trial in trials)]
    errors = any(standard_error(trial) is not None for trial in trials)
    names = [objective.name for objective in found.objectives]
    table = [["trial", *keys, *names[:1], *(["std error"] if errors else []), *names[1:], "MLflow run"]]
    for trial in trials:
        values = [f"{objective.value(trial):.6g}" for objective in found.objectives]
        error = standard_error(trial)
        if errors:
            values.insert(1, "" if error is None else f"{error:.2g}")
        settings = [cell(trial.params.get(key)) for key in keys]
        table.append([str(trial.number), *settings, *values, found.run(trial)])
    return layout(table)


def _confirmed(found: Findings) -> str:
    """What the search saw and what fresh seeds say, side by side."""
    columns = [f"{o.name}, {seen}" for o in found.objectives for seen in ("searched", "fresh seeds")]
    table = [["trial", *columns, "seeds", "MLflow run"]]
    for each in found.confirmations:
        cells = []
        for o in found.objectives:
            errors = (standard_error(each.trial), each.standard_error) if o.index == 0 else (None, None)
            searched = with_error(o.value(each.trial), errors[0])
            cells += [searched, with_error(each.values[o.index], errors[1]) if each.values else "failed"]
        table.append([str(each.trial.number), *cells, str(each.seeds), each.run or ""])
    curses = [text for each in found.confirmations if (text := _winners_curse(each, found.single))]
    return "\n\n".join(["trained again on fresh seeds:", layout(table), *curses])


def _winners_curse(confirmed: Confirmation, objective: StudyObjective | None) -> str | None:
    """A sentence if the two values differ by more than two standard errors."""
    excess = None if objective is None else confirmed.excess(objective)
    if excess is None or abs(excess[0]) <= 2 * excess[1]:
        return None
    worse, error = excess
    by = f"by {abs(worse):.2g} (standard error {error:.2g})"
    if worse < 0:
        return f"Trial {confirmed.trial.number} is better on fresh seeds than the search saw, {by}."
    return (
        f"Trial {confirmed.trial.number} is worse on fresh seeds than the search saw, {by}: the winner of many trials "
        "owes some of its value to luck. Believe the fresh seeds."
    )


def _importances(found: Findings) -> str:
    """A column an objective; the keys in the order of the first that has any."""
    first = next(shares for shares in found.importances if shares)
    table = [["key", *(objective.name for objective in found.objectives)]]
    for key in first:
        table.append([key, *(f"{shares[key]:.3f}" if key in shares else "" for shares in found.importances)])
    rough = f", roughly (of {len(found.complete)} trials)" if len(found.complete) < FEW else ""
    return f"what decides whether a trial is among the best tenth{rough}:\n\n" + layout(table)
