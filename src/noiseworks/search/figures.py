"""The figures of a study, as PNG in its folder `study`. (Optuna's own, in `optuna.visualization.matplotlib`, cut long
keys, give each of 200 trials a line in the legend, and change matplotlib's settings for good.)"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from itertools import accumulate, combinations
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.trial import FrozenTrial, TrialState

from noiseworks.runs.figures import BLUE, GREY, ORANGE
from noiseworks.search.findings import Findings, StudyObjective, is_feasible
from noiseworks.search.space_figures import LIGHT, draw_contour, draw_slice, draw_trials, legend, shown
from noiseworks.sweep.figure import limits, short

MOST_LINES = 500  # in intermediate.png


def draw_study(folder: Path, found: Findings) -> list[Path]:
    """What there is something to draw for; of several objectives each has its own history, slice and contour."""
    if not found.complete:
        return []
    folder.mkdir(exist_ok=True)
    figures: dict[str, Callable[[Figure], None]] = {}
    for objective, shares in zip(found.objectives, found.importances):
        end = "" if found.single else f"_{objective.index + 1}"
        figures[f"history{end}"] = partial(_history, found=found, objective=objective)
        figures[f"slice{end}"] = partial(draw_slice, found=found, objective=objective, importances=shares)
        figures[f"contour{end}"] = partial(draw_contour, found=found, objective=objective, importances=shares)
    if any(found.importances):
        figures["importances"] = partial(_importances, found=found)
    if 2 <= len(found.objectives) <= 3:
        figures["pareto_front"] = partial(_pareto_front, found=found)
    if any(trial.intermediate_values for trial in found.trials):
        figures["intermediate"] = partial(_intermediate, found=found)
    return [path for name, draw in figures.items() if (path := _save(folder / f"{name}.png", draw))]


def _save(path: Path, draw: Callable[[Figure], None]) -> Path | None:
    """Nothing is written where nothing was drawn."""
    figure = Figure(figsize=(6.4, 4.2), dpi=110, layout="constrained")
    draw(figure)
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    if not figure.axes:
        return None
    figure.savefig(path)
    return path


def _history(figure: Figure, found: Findings, objective: StudyObjective) -> None:
    """Each trial, and the best so far."""
    axes = figure.subplots()
    draw_trials(axes, found, objective, {trial.number: float(trial.number) for trial in found.trials})
    if found.feasible:
        numbers = [trial.number for trial in found.feasible]
        values = list(accumulate(map(objective.value, found.feasible), max if objective.maximize else min))
        last = found.trials[-1].number
        axes.step(
            [*numbers, last], [*values, values[-1]], where="post", color=ORANGE, linewidth=1.5, label="best so far"
        )
    axes.set(xlabel="trial", ylabel=objective.name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    legend(figure)


def _importances(figure: Figure, found: Findings) -> None:
    """A panel an objective; the keys in the order of the first."""
    keys = list(dict.fromkeys(key for shares in found.importances for key in shares))
    most = max(share for shares in found.importances for share in shares.values())
    figure.set_size_inches(3.2 + 3.2 * len(found.objectives), 1.2 + 0.32 * len(keys))
    panels = figure.subplots(1, len(found.objectives), sharey=True, squeeze=False)[0]
    for axes, objective, shares in zip(panels, found.objectives, found.importances):
        bars = axes.barh([short(key) for key in keys], [shares.get(key, 0.0) for key in keys], color=BLUE)
        axes.bar_label(bars, [f"{shares.get(key, 0.0):.2f}" for key in keys], padding=3, fontsize="small")
        axes.set(xlabel=f"importance for {objective.name}", xlim=(0, 1.15 * most))
    panels[0].invert_yaxis()


def _pareto_front(figure: Figure, found: Findings) -> None:
    """Two objectives a panel."""
    pairs = list(combinations(found.objectives, 2))
    figure.set_size_inches(max(6.4, 4.2 * len(pairs)), 4.2)
    front = {trial.number for trial in found.front}
    for axes, (one, other) in zip(figure.subplots(1, len(pairs), squeeze=False)[0], pairs):
        for name, colour, of in (
            ("breaks a constraint", LIGHT, [t for t in found.complete if not is_feasible(t)]),
            ("complete", BLUE, [t for t in found.feasible if t.number not in front]),
            ("Pareto front", ORANGE, [t for t in found.feasible if t.number in front]),
        ):
            if of:
                values = [(one.value(t), other.value(t)) for t in of]
                axes.scatter(*zip(*values), s=16, linewidths=0, color=colour, label=name)
        axes.set(xlabel=f"{one.name}, {_better(one)}", ylabel=f"{other.name}, {_better(other)}")
        axes.set(xlim=_span(found, one), ylim=_span(found, other))
    legend(figure)


def _span(found: Findings, objective: StudyObjective) -> tuple[float, float]:
    """All of the front, and of the others what is not far off."""
    low, high, _ = shown(found, objective)
    values = [objective.value(trial) for trial in found.front] or [low, high]
    pad = 0.04 * (high - low)
    return min(low, min(values) - pad), max(high, max(values) + pad)


def _better(objective: StudyObjective) -> str:
    return "the larger the better" if objective.maximize else "the smaller the better"


def _intermediate(figure: Figure, found: Findings) -> None:
    """What the trials reported while they ran: complete ones, pruned ones up to where they were stopped, the best."""
    objective, best = found.objectives[0], found.ranked[0].number if found.ranked else None
    told = [trial for trial in found.trials if trial.intermediate_values]
    axes = figure.subplots()
    kinds: dict[str, tuple[list[FrozenTrial], dict[str, Any]]] = {
        "complete": (
            [t for t in told if t.state == TrialState.COMPLETE],
            {"color": BLUE, "linewidth": 0.7, "alpha": 0.4},
        ),
        "pruned": ([t for t in told if t.state == TrialState.PRUNED], {"color": GREY, "linewidth": 0.7, "alpha": 0.6}),
        "best": ([t for t in told if t.number == best], {"color": ORANGE, "linewidth": 2.0}),
    }
    values = [value for trial in told for value in trial.intermediate_values.values() if math.isfinite(value)]
    for name, (trials, style) in kinds.items():
        for trial in trials[:MOST_LINES]:
            steps, reports = zip(*sorted(trial.intermediate_values.items()))
            last = [len(steps) - 1] if name == "pruned" else []  # where it was stopped
            axes.plot(steps, reports, label=name, marker="|", markevery=last, **style)
    if values:
        axes.set_ylim(*limits(values, objective.maximize)[:2])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="epoch", ylabel=f"{objective.name} at the end of the epoch")
    legend(figure)
