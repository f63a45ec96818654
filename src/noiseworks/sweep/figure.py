"""The objective against each key that was swept."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from noiseworks.runs.figures import BLUE, ORANGE
from noiseworks.runs.journal import Row
from noiseworks.sweep.ranking import varied
from noiseworks.sweep.table import name_of_objective

MOST_PANELS = 6
MOST_LETTERS, LONGEST_NAME = 30, 32  # that a panel has room for


def draw_sweep(path: Path, rows: Sequence[Row], maximize: bool = False) -> list[Path]:
    """One panel a key; jobs that failed stand as crosses on the worse edge. Nothing to draw: no file."""
    keys = varied(rows)[:MOST_PANELS]
    if not keys or not any(is_finite(row) for row in rows):
        return []
    figure = Figure(figsize=(max(5.0, 3.6 * len(keys)), 3.6), dpi=110, layout="constrained")
    panels = figure.subplots(1, len(keys), sharey=True, squeeze=False)[0]
    for axes, key in zip(panels, keys):
        _panel(axes, key, rows, maximize)
    panels[0].set_ylabel(name_of_objective(rows))
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside upper right", ncols=3, fontsize="small")
    figure.savefig(path)
    return [path]


def is_finite(row: Row) -> bool:
    return row.objective is not None and math.isfinite(row.objective)


def _positions(axes: Axes, key: str, values: Sequence[object]) -> list[float]:
    """Numbers where they are, on a logarithmic axis if they span a decade; names side by side."""
    if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in values):
        x = [float(value) for value in values]  # type: ignore[arg-type]
        if min(x) > 0 and max(x) / min(x) > 10 and key.split(".")[-1] != "seed":
            axes.set_xscale("log")
        return x
    levels = list(dict.fromkeys(map(str, values)))
    name_ticks(axes, levels)
    place = {level: float(i) for i, level in enumerate(levels)}
    return [place[str(value)] for value in values]


def name_ticks(axes: Axes, levels: Sequence[str]) -> None:
    """Names at 0, 1, ...; aslant if there is no room side by side."""
    long = sum(map(len, levels)) > MOST_LETTERS
    axes.set_xticks(
        range(len(levels)), map(short, levels), rotation=30 if long else 0, ha="right" if long else "center"
    )


def short(name: str) -> str:
    """The end of a long one says what it is."""
    return name if len(name) <= LONGEST_NAME else "..." + name[3 - LONGEST_NAME :]


def limits(values: Sequence[float], maximize: bool) -> tuple[float, float, float]:
    """Of an axis: its ends, the worse one wider for marks; and where these stand. The worst few values may be far from
    the rest, and are left out."""
    ordered = sorted(values, reverse=maximize)
    best, worst = ordered[0], ordered[math.ceil(0.97 * (len(ordered) - 1))]
    pad = 0.05 * (worst - best) or (0.05 * abs(worst) or 0.1) * (-1) ** maximize
    low, high = sorted((best - pad, worst + 2 * pad))
    return low, high, worst + 1.5 * pad


def _panel(axes: Axes, key: str, rows: Sequence[Row], maximize: bool) -> None:
    x = _positions(axes, key, [row.swept.get(key) for row in rows])
    at: dict[float, list[float]] = {}
    for a, row in zip(x, rows):
        if is_finite(row):
            at.setdefault(a, []).append(row.objective or 0.0)
    jobs = [(a, value) for a, values in at.items() for value in values]
    axes.plot(*zip(*jobs), ".", color=BLUE, alpha=0.4, markeredgewidth=0, label="job")
    if len(at) < len(jobs):
        medians = [statistics.median(values) for values in at.values()]
        axes.plot(list(at), medians, "_", color="black", markersize=14, markeredgewidth=1.5, label="median")
    low, high, edge = limits([value for _, value in jobs], maximize)
    axes.set_ylim(low, high)
    failed = [a for a, row in zip(x, rows) if not is_finite(row)]
    if failed:
        axes.scatter(failed, [edge] * len(failed), marker="x", color=ORANGE, label="failed")
    axes.set_xlabel(key)
    axes.spines[["top", "right"]].set_visible(False)
