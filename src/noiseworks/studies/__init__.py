"""What the studies in experiments/ share: runs read back, intervals, claims and their verdicts, figures."""

from noiseworks.studies.claims import Claim, claim, control
from noiseworks.studies.figures import (
    COLORS,
    INK,
    Figure,
    dashes,
    estimates,
    forest,
    level,
    panels,
    rule,
    series,
    theory,
    ticks,
)
from noiseworks.studies.intervals import (
    Interval,
    exactly,
    mean,
    proportion,
    quantile,
    ratio_of_means,
    slope,
    variance,
    variance_ratio,
)
from noiseworks.studies.runs import Run, Runs, Sweep

__all__ = [
    "COLORS",
    "INK",
    "Claim",
    "Figure",
    "Interval",
    "Run",
    "Runs",
    "Sweep",
    "claim",
    "control",
    "dashes",
    "estimates",
    "exactly",
    "forest",
    "level",
    "mean",
    "panels",
    "proportion",
    "quantile",
    "ratio_of_means",
    "rule",
    "series",
    "slope",
    "theory",
    "ticks",
    "variance",
    "variance_ratio",
]
