"""Figures of the report: vector graphics that take the colours of the page, light or dark."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Drawing
from numpy.typing import ArrayLike

from noiseworks.study.intervals import Interval

# Okabe & Ito's, told apart by the colour-blind; those that are readable on white and on black.
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
MARKERS = ["o", "s", "^", "D", "v", "P"]
INK = "#010203"  # becomes the colour of the text around it
STYLE: Any = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.prop_cycle": cycler(color=COLORS),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 10,
    "font.size": 10,
    "legend.frameon": False,
    "legend.labelcolor": INK,
    "svg.fonttype": "none",
    "svg.hashsalt": "noiseworks",
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}


@dataclass(frozen=True)
class Figure:
    """exercise: the sub-question that it belongs to. alt: what it shows, for those who do not see it."""

    exercise: str
    alt: str
    caption: str
    drawing: Drawing

    def svg(self, name: str) -> str:
        """Without a header, to stand in a page; `name` keeps its ids apart from those of other figures."""
        buffer = io.StringIO()
        with mpl.rc_context(STYLE):
            self.drawing.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        text = buffer.getvalue()
        text = text[text.index("<svg") :].replace(INK, "currentColor")
        return re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{name}-", text)


def panels(columns: int = 1, rows: int = 1, width: float = 6.4, height: float = 3.4, **how: Any) -> Any:
    """(drawing, axes): axes alone for one panel, else an array (rows * columns,)."""
    with mpl.rc_context(STYLE):
        drawing = Drawing(figsize=(width, height), layout="constrained")
        axes = drawing.subplots(rows, columns, squeeze=False, **how).ravel()
    return drawing, axes[0] if rows * columns == 1 else axes


def theory(axes: Axes, x: ArrayLike, y: ArrayLike, label: str = "theory", color: str = INK) -> None:
    """The curve that the estimates should lie on."""
    with mpl.rc_context(STYLE):
        axes.plot(x, y, color=color, linewidth=1.2, linestyle="--", label=label, zorder=1)


def estimates(axes: Axes, x: Sequence[float], found: Sequence[Interval], label: str, number: int = 0) -> None:
    """Estimates with their 99 % intervals; `number` chooses colour and marker."""
    middle = np.array([interval.estimate for interval in found])
    ends = np.array([[i.estimate - i.lo, i.hi - i.estimate] for i in found]).T
    with mpl.rc_context(STYLE):
        axes.errorbar(
            x,
            middle,
            yerr=np.maximum(ends, 0),
            color=COLORS[number % len(COLORS)],
            marker=MARKERS[number % len(MARKERS)],
            markersize=4,
            linewidth=0,
            elinewidth=1.2,
            capsize=2,
            label=label,
            zorder=2 + number,
        )
