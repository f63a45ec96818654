"""What is printed when a sweep has ended."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Sequence

from noiseworks.tracking.journal import Row
from noiseworks.tracking.table import layout

MOST_BEST, MOST_SETTINGS, MOST_FAILURES = 5, 20, 5
SEEDS = ("seed", "data.seed")


def summary(rows: Sequence[Row]) -> str:
    """How many ended how; each setting over its seeds; the best jobs; why jobs failed."""
    counts = Counter(row.status for row in rows)
    blocks = [", ".join(f"{count:,} {status}" for status, count in sorted(counts.items(), reverse=True))]
    keys = varied(rows)
    finished = [row for row in rows if row.objective is not None]
    settings = [key for key in keys if key not in SEEDS]
    if finished and settings and len(settings) < len(keys):
        blocks.append(_by_setting(rows, settings))
    if finished:
        blocks.append(_best(finished, keys))
    failed = [row for row in rows if row.failure is not None]
    lines = [f"job {row.job} failed: {row.failure}" for row in failed[:MOST_FAILURES]]
    if len(failed) > MOST_FAILURES:
        lines.append(f"... and {len(failed) - MOST_FAILURES} more; column `failure` of sweep.parquet has them all")
    return "\n\n".join([*blocks, "\n".join(lines)] if lines else blocks)


def varied(rows: Sequence[Row]) -> list[str]:
    """The swept keys that have more than one value."""
    keys = dict.fromkeys(key for row in rows for key in row.swept)
    return [key for key in keys if len({str(row.swept.get(key)) for row in rows}) > 1]


def name_of_objective(rows: Sequence[Row]) -> str:
    return "val/nll" if any("val/nll" in row.metrics for row in rows) else "train/nll"


def _by_setting(rows: Sequence[Row], settings: Sequence[str]) -> str:
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(_cell(row.swept.get(key)) for key in settings), []).append(row)
    lines = []
    for setting, members in groups.items():
        values = [row.objective for row in members if row.objective is not None]
        mean = statistics.fmean(values) if values else math.inf
        error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.nan
        shown = [f"{mean:.6g}", f"{error:.2g}"] if values else ["", ""]
        lines.append((mean, [*setting, *shown, str(len(values)), str(len(members) - len(values))]))
    lines.sort(key=lambda line: line[0])
    header = [*settings, f"mean {name_of_objective(rows)}", "std error", "finished", "failed"]
    more = f"\n  ... and {len(lines) - MOST_SETTINGS} more" if len(lines) > MOST_SETTINGS else ""
    return "over the seeds:\n\n" + layout([header, *(line for _, line in lines[:MOST_SETTINGS])]) + more


def _best(finished: Sequence[Row], keys: Sequence[str]) -> str:
    best = sorted(finished, key=lambda row: row.objective or 0.0)[:MOST_BEST]
    error = any("param/error" in row.metrics for row in best)
    header = ["job", *keys, name_of_objective(finished), *(["param/error"] if error else []), "MLflow run"]
    table = [header]
    for row in best:
        distance = row.metrics.get("param/error")
        cells = [str(row.job), *(_cell(row.swept.get(key)) for key in keys), f"{row.objective:.6g}"]
        cells += [("" if distance is None else f"{distance:.3g}")] if error else []
        table.append([*cells, row.run or ""])
    return "the best:\n\n" + layout(table)


def _cell(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else str(value)
