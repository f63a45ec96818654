"""What is printed when a sweep has ended."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence

from noiseworks.runs.journal import Row
from noiseworks.text_table import layout

MOST_BEST, MOST_SETTINGS, MOST_FAILURES = 5, 20, 5
SEEDS = ("seed", "data.seed")


def summary(rows: Sequence[Row], maximize: bool = False) -> str:
    """How many ended how; each setting over its seeds; the best jobs; why jobs failed."""
    counts = Counter(row.status for row in rows)
    blocks = [", ".join(f"{count:,} {status}" for status, count in sorted(counts.items(), reverse=True))]
    keys = varied(rows)
    finished = [row for row in rows if row.objective is not None]
    settings = [key for key in keys if key not in SEEDS]
    if finished and settings and len(settings) < len(keys):
        blocks.append(_by_setting(rows, settings, maximize))
    if finished:
        blocks.append(_best(finished, keys, maximize))
    if failed := [(f"job {row.job}", row.failure) for row in rows if row.failure is not None]:
        blocks.append(failures(failed, "column `failure` of sweep.parquet"))
    return "\n\n".join(blocks)


def failures(failed: Sequence[tuple[str, str]], table: str) -> str:
    """Which jobs failed and why, a line each; `table` has them all."""
    lines = [f"{name} failed: {why}" for name, why in failed[:MOST_FAILURES]]
    if len(failed) > MOST_FAILURES:
        lines.append(f"... and {len(failed) - MOST_FAILURES} more; {table} has them all")
    return "\n".join(lines)


def best_first(rows: Sequence[Row], maximize: bool) -> list[Row]:
    """Those that have an objective; of equals the first job."""
    finished = [row for row in rows if row.objective is not None]
    return sorted(finished, key=lambda row: row.objective or 0.0, reverse=maximize)


def varied(rows: Sequence[Row]) -> list[str]:
    """The swept keys that have more than one value."""
    keys = dict.fromkeys(key for row in rows for key in row.swept)
    return [key for key in keys if len({str(row.swept.get(key)) for row in rows}) > 1]


def name_of_objective(rows: Sequence[Row]) -> str:
    """The metric that the jobs minimised; of rows that do not say, val/nll or train/nll."""
    default = "val/nll" if any("val/nll" in row.metrics for row in rows) else "train/nll"
    return next((name for row in rows for name in row.objectives), default)


def _by_setting(rows: Sequence[Row], settings: Sequence[str], maximize: bool) -> str:
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(cell(row.swept.get(key)) for key in settings), []).append(row)
    lines = []
    for setting, members in groups.items():
        values = [row.objective for row in members if row.objective is not None]
        mean = statistics.fmean(values) if values else math.inf * (-1) ** maximize
        several = len(values) > 1 and math.isfinite(mean)
        error = statistics.stdev(values) / math.sqrt(len(values)) if several else math.nan
        shown = [f"{mean:.6g}", f"{error:.2g}"] if values else ["", ""]
        lines.append((mean, [*setting, *shown, str(len(values)), str(len(members) - len(values))]))
    lines.sort(key=lambda line: line[0], reverse=maximize)
    header = [*settings, f"mean {name_of_objective(rows)}", "std error", "finished", "failed"]
    more = f"\n  ... and {len(lines) - MOST_SETTINGS} more" if len(lines) > MOST_SETTINGS else ""
    return "over the seeds:\n\n" + layout([header, *(line for _, line in lines[:MOST_SETTINGS])]) + more


def _best(finished: Sequence[Row], keys: Sequence[str], maximize: bool) -> str:
    best = best_first(finished, maximize)[:MOST_BEST]
    error = any("param/error" in row.metrics for row in best)
    header = ["job", *keys, name_of_objective(finished), *(["param/error"] if error else []), "MLflow run"]
    table = [header]
    for row in best:
        distance = row.metrics.get("param/error")
        cells = [str(row.job), *(cell(row.swept.get(key)) for key in keys), f"{row.objective:.6g}"]
        cells += [("" if distance is None else f"{distance:.3g}")] if error else []
        table.append([*cells, row.run or ""])
    return "the best:\n\n" + layout(table)


def cell(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else str(value)
