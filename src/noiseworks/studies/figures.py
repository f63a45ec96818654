"""Figures of the report: vector graphics that take the colours of the page, light or dark."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure as Drawing
from matplotlib.legend import Legend
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.text import Text
from matplotlib.transforms import Bbox
from numpy.typing import ArrayLike, NDArray

from noiseworks.studies.claims import Interval

# Okabe & Ito's, told apart by the colour-blind; those that are readable on white and on black.
COLORS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
MARKERS = ["o", "s", "^", "D", "v", "P"]
INK = "#010203"  # becomes the colour of the text around it
BLACK = (0, 0, 0, 1)
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
    """A drawing and its texts. exercise: its sub-question. alt: what it shows, for those who do not see it."""

    exercise: str
    alt: str
    caption: str
    drawing: Drawing

    def svg(self, name: str) -> str:
        """SVG without a header, to stand in a page; `name` keeps its ids apart from those of other figures."""
        buffer = io.StringIO()
        _page_ink(self.drawing)
        _thin_ticks(self.drawing)
        with mpl.rc_context(STYLE):
            self.drawing.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        text = buffer.getvalue()
        text = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", text[text.index("<svg") :], flags=re.DOTALL)
        text = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{name}-", _page_colors(text))
        head = re.compile(r'<svg ([^>]*?)width="[^"]*" ?|<svg ', re.DOTALL)
        names = f'role="img" aria-labelledby="{name}-title {name}-desc"'
        text = re.sub(r'(<svg [^>]*?)\bheight="[^"]*"', r"\1", text, count=1)
        text = head.sub(lambda m: f"<svg {names} {m[1] or ''}", text, count=1)
        title = f'<title id="{name}-title">Figure of {escape(self.exercise)}</title>'
        return text.replace(">", f'>{title}<desc id="{name}-desc">{escape(self.alt)}</desc>', 1)


def _page_ink(drawing: Drawing) -> None:
    """What was drawn outside of STYLE, such as axes.legend() and axes.text(), is black: not readable on black."""
    for legend in drawing.findobj(Legend):
        legend.set_frame_on(False)
    for artist in drawing.findobj():
        if isinstance(artist, (Text, Line2D)) and to_rgba(artist.get_color()) == BLACK:
            artist.set_color(INK)
        if isinstance(artist, Patch) and to_rgba(artist.get_edgecolor()) == BLACK:
            artist.set_edgecolor(INK)


def _thin_ticks(drawing: Drawing) -> None:
    """Labels that would stand over others are left out, as between 2 x 10^0 and 3 x 10^0 on a logarithmic axis."""
    drawing.draw_without_rendering()
    for axis in [axis for axes in drawing.axes for axis in (axes.xaxis, axes.yaxis)]:
        kept: list[Bbox] = []
        for label in [tick.label1 for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())]:
            if not label.get_visible() or not label.get_text():
                continue
            box = label.get_window_extent()
            label.set_visible(not any(box.overlaps(other) for other in kept))
            kept += [box] if label.get_visible() else []


def _page_colors(svg: str) -> str:
    """The page may say what the colours are, --series-1 and so on: darker on white, lighter on black."""
    svg = svg.replace(INK, "currentColor")
    for number, color in enumerate(COLORS, start=1):
        svg = re.sub(rf"(:\s*){color}", rf"\1var(--series-{number}, {color})", svg, flags=re.IGNORECASE)
    return svg


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


def rule(axes: Axes, x: ArrayLike, y: ArrayLike, label: str, color: str = INK, linewidth: float = 0.8) -> None:
    """A simpler curve than that of theory, which holds somewhere."""
    axes.plot(x, y, color=color, linewidth=linewidth, linestyle=":", label=label)


def level(axes: Axes, y: float, linewidth: float = 0.8) -> None:
    axes.axhline(y, color=INK, linewidth=linewidth)


def dashes(axes: Axes, x: ArrayLike, y: ArrayLike, label: str | None, size: float = 200, **how: Any) -> None:
    """What single estimates should be, where there is no curve."""
    axes.scatter(x, y, marker="_", s=size, color=INK, label=label, **how)


def ticks(axes: Axes, at: Sequence[float]) -> None:
    """Of a logarithmic x axis: these and no others."""
    axes.set_xticks(at, [f"{x:g}" for x in at])
    axes.minorticks_off()


def estimates(axes: Axes, x: Sequence[float], found: Sequence[Interval], label: str, number: int = 0) -> None:
    """Estimates with their 99 % intervals; `number` chooses colour and marker."""
    middle, ends = _bars(found)
    with mpl.rc_context(STYLE):
        axes.errorbar(x, middle, yerr=ends, label=label, **_look(number))


def series(axes: Axes, x: ArrayLike, found: Mapping[str, Sequence[Interval]], shift: float = 0.0) -> None:
    """`estimates` of every label, each so far beside the one before."""
    for number, (label, intervals) in enumerate(found.items()):
        at = np.asarray(x, dtype=float) + shift * (number - (len(found) - 1) / 2)
        estimates(axes, at.tolist(), intervals, label, number)


def forest(axes: Axes, names: Sequence[str], found: Sequence[Interval], label: str, number: int = 0) -> None:
    """Estimates with their 99 % intervals, a line each, from the top down (axes.invert_yaxis()); `number` chooses
    colour, marker and a small shift."""
    middle, ends = _bars(found)
    with mpl.rc_context(STYLE):
        axes.errorbar(middle, np.arange(len(found)) + 0.18 * number - 0.09, xerr=ends, label=label, **_look(number))
        axes.set_yticks(range(len(names)), names)


def _bars(found: Sequence[Interval]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(n,) and (2, n): the estimates, and how far the intervals reach to both sides."""
    middle = np.array([interval.estimate for interval in found])
    ends = np.array([[i.estimate - i.lo, i.hi - i.estimate] for i in found]).T
    return middle, np.maximum(ends, 0)


def _look(number: int) -> dict[str, Any]:
    color, marker = COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)]
    bars = {"linewidth": 0, "elinewidth": 1.2, "capsize": 2}
    return {"color": color, "marker": marker, "markersize": 4, "zorder": 2 + number, **bars}
