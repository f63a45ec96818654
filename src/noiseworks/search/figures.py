"""The figures of a study, as PNG in its folder `study`. (Optuna's own, in `optuna.visualization.matplotlib`, cut long
keys, give each of 200 trials a line in the legend, and change matplotlib's settings for good.)"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import accumulate, combinations
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import FrozenTrial, TrialState
from scipy.interpolate import griddata

from noiseworks.runs.figures import BLUE, GREY, ORANGE
from noiseworks.search.findings import Findings, StudyObjective, is_feasible, is_lost
from noiseworks.sweep.figure import limits, name_ticks, short

COLUMNS, MOST_PANELS = 3, 12
GRID = 80  # points along each side of the contour
LIGHT = "#999999"
FAR = 10.0  # what is worse than this many times the distance from the best to the median is not shown to scale


def draw_slice(figure: Figure, found: Findings, objective: StudyObjective, importances: Mapping[str, float]) -> None:
    """A panel a key, the most important first."""
    if not found.keys:
        return
    keys = sorted(found.keys, key=lambda key: -importances.get(key, 0.0))[:MOST_PANELS]
    columns = min(len(keys), COLUMNS)
    rows = math.ceil(len(keys) / columns)
    figure.set_size_inches(max(6.4, 3.6 * columns), 0.4 + 3.0 * rows)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    for axes in panels[len(keys) :]:
        axes.remove()
    for axes, key in zip(panels, keys):
        draw_trials(axes, found, objective, _positions(axes, found, key))
        axes.set_xlabel(short(key))
    for axes in figure.axes[::columns]:
        axes.set_ylabel(objective.name)
    legend(figure)


def legend(figure: Figure) -> None:
    """One for all panels, above them."""
    handles = {text: mark for axes in figure.axes for mark, text in zip(*axes.get_legend_handles_labels())}
    if handles:
        figure.legend(list(handles.values()), list(handles), loc="outside upper right", ncols=6, fontsize="small")


def draw_trials(axes: Axes, found: Findings, objective: StudyObjective, x: Mapping[int, float]) -> None:
    """The objective over x, known by trial. What has no value, or one far off, stands on the worse edge."""
    low, high, edge = shown(found, objective)
    axes.set_ylim(low, high)
    at: dict[str, list[tuple[float, float]]] = {}
    for trial in found.trials:
        if trial.number in x and (kind := _kind(trial)):
            y = objective.value(trial) if trial.state == TrialState.COMPLETE else edge
            kind, y = (kind, y) if low <= y <= high else ("far off", edge)
            at.setdefault(kind, []).append((x[trial.number], y))
    for kind, (marker, colour) in MARKS.items():
        if kind in at:
            style: dict[str, Any] = (
                {"s": 16, "linewidths": 0, "alpha": 0.5} if marker == "o" else {"s": 22, "linewidths": 1.0}
            )
            axes.scatter(*zip(*at[kind]), marker=marker, color=colour, label=kind, **style)


MARKS = {
    "complete": ("o", BLUE),
    "breaks a constraint": ("o", LIGHT),
    "far off": ("2", BLUE),
    "pruned": ("|", GREY),
    "failed": ("x", ORANGE),
}


def _kind(trial: FrozenTrial) -> str | None:
    if trial.state == TrialState.COMPLETE:
        return "complete" if is_feasible(trial) else "breaks a constraint"
    return None if is_lost(trial) else {TrialState.PRUNED: "pruned", TrialState.FAIL: "failed"}.get(trial.state)


def shown(found: Findings, objective: StudyObjective) -> tuple[float, float, float]:
    losses = [objective.loss(trial) for trial in found.complete]
    best, middle = min(losses), statistics.median(losses)
    near = [loss for loss in losses if loss <= best + FAR * (middle - best)] if middle > best else losses
    return limits([-loss if objective.maximize else loss for loss in near], objective.maximize)


def _positions(axes: Axes, found: Findings, key: str) -> dict[int, float]:
    """Numbers where they are, choices side by side, spread a little; trials without the key, whose condition did not
    hold, nowhere."""
    values = {trial.number: trial.params[key] for trial in found.trials if key in trial.params}
    spaces = [trial.distributions[key] for trial in found.trials if key in trial.params]
    if not any(isinstance(space, CategoricalDistribution) for space in spaces):
        axes.set_xscale("log" if _is_log(found, key) else "linear")
        return values
    levels = list(dict.fromkeys(str(c) for space in spaces for c in getattr(space, "choices", ())))
    levels = list(dict.fromkeys([*levels, *map(str, values.values())]))
    name_ticks(axes, levels)
    axes.set_xlim(-0.5, len(levels) - 0.5)
    return {number: levels.index(str(value)) + 0.3 * (0.618 * number % 1 - 0.5) for number, value in values.items()}


def _is_log(found: Findings, key: str) -> bool:
    return any(getattr(trial.distributions.get(key), "log", False) for trial in found.trials)


def draw_contour(figure: Figure, found: Findings, objective: StudyObjective, importances: Mapping[str, float]) -> None:
    """Over the two most important keys that are numbers: linear between the trials, blank beyond them. Nothing is drawn
    where there are no two such keys, or where the trials lie on a line."""
    keys = [key for key in importances if _is_number(found, key)][:2]
    trials = [trial for trial in found.complete if len(keys) == 2 and all(key in trial.params for key in keys)]
    logs = [_is_log(found, key) for key in keys]
    if len(trials) < 4:
        return
    values: dict[tuple[float, ...], list[float]] = {}
    for trial in trials:
        values.setdefault(tuple(float(trial.params[key]) for key in keys), []).append(objective.value(trial))
    points = np.array(list(values)).reshape(-1, 2)
    unit, ends = _to_unit(points, logs)
    if len(points) < 4 or np.linalg.matrix_rank(unit - unit[0], tol=1e-6) < 2:
        return
    low, high, _ = shown(found, objective)
    z = np.clip([statistics.fmean(each) for each in values.values()], low, high)
    side = np.linspace(0, 1, GRID)
    surface = griddata(unit, z, tuple(np.meshgrid(side, side)), method="linear")
    sides = [np.exp(a + (b - a) * side) if log else a + (b - a) * side for (a, b), log in zip(ends, logs)]
    axes = figure.subplots()
    colours = axes.contourf(*sides, surface, levels=12, cmap="Blues" if objective.maximize else "Blues_r")
    figure.colorbar(colours, label=objective.name)
    axes.plot(*points.T, ".", color="black", markersize=3, label="trial")
    if good := [trial for trial in trials if is_feasible(trial)]:
        best = min(good, key=objective.loss)
        axes.plot(*([best.params[key]] for key in keys), "*", color=ORANGE, markersize=13, label="best")
    axes.set(xlabel=short(keys[0]), ylabel=short(keys[1]))
    axes.use_sticky_edges = False  # else the outermost trials lie on the frame
    axes.margins(0.04)
    for scale, log in zip((axes.set_xscale, axes.set_yscale), logs):
        scale("log" if log else "linear")
    legend(figure)


def _to_unit(points: np.ndarray, logs: Sequence[bool]) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """(n, 2) in the unit square, in logarithms where the space is; and what its sides stand for."""
    scaled = np.column_stack([np.log(points[:, i]) if log else points[:, i] for i, log in enumerate(logs)])
    low, high = scaled.min(0), scaled.max(0)
    unit = (scaled - low) / np.where(high > low, high - low, 1)
    return unit, list(zip(low.tolist(), high.tolist()))


def _is_number(found: Findings, key: str) -> bool:
    spaces = (trial.distributions[key] for trial in found.trials if key in trial.distributions)
    return all(isinstance(space, (FloatDistribution, IntDistribution)) for space in spaces)


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
