"""What is printed when a sweep has ended."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from noiseworks.runs.journal import Row
from noiseworks.sweep.ranking import SEEDS, Setting, by_setting, data_vary, ranked, varied
from noiseworks.text_table import layout

MOST_BEST, MOST_SETTINGS, MOST_FAILURES = 5, 20, 5


def summary(rows: Sequence[Row], maximize: bool = False) -> str:
    """How many ended how; each setting over its seeds; the best jobs; why jobs failed."""
    counts = Counter(row.status for row in rows)
    blocks = [", ".join(f"{count:,} {status}" for status, count in sorted(counts.items(), reverse=True))]
    keys = varied(rows)
    finished = [row for row in rows if row.objective is not None]
    settings = [key for key in keys if key not in SEEDS]
    if finished and len(settings) < len(keys):
        blocks.append(_by_setting(rows, settings, maximize))
    if finished and not data_vary(rows):
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


def name_of_objective(rows: Sequence[Row]) -> str:
    """The metric that the jobs minimised; of rows that do not say, val/nll or train/nll."""
    default = "val/nll" if any("val/nll" in row.metrics for row in rows) else "train/nll"
    return next((name for row in rows for name in row.objectives), default)


def _by_setting(rows: Sequence[Row], keys: Sequence[str], maximize: bool) -> str:
    """Means over the seeds that the settings share, and differences to the best in pairs."""
    settings = ranked(rows, maximize, over_seeds=True)
    header = [*keys, f"mean {name_of_objective(rows)}", "std error", "to the best", "std error", "jobs", "failed"]
    table = [header]
    for at, of in enumerate(settings[:MOST_SETTINGS]):
        finished = sum(row.objective is not None for row in of.rows)
        numbers = [f"{of.mean:.6g}", f"{of.standard_error:.2g}"]
        numbers += [f"{of.difference:.2g}", f"{of.difference_error:.2g}"] if at else ["", ""]
        counts = [str(finished), str(len(of.rows) - finished)]
        table.append([*(cell(of.first.swept.get(key)) for key in keys), *numbers, *counts])
    for group in by_setting(rows):
        if all(row.objective is None for row in group):
            table.append([*(cell(group[0].swept.get(key)) for key in keys), "", "", "", "", "0", str(len(group))])
    del table[1 + MOST_SETTINGS :]
    more = f"\n  ... and {len(settings) - MOST_SETTINGS} more" if len(settings) > MOST_SETTINGS else ""
    return f"over the seeds:\n\n{layout(table)}{more}{_verdict(settings, keys)}"


def _verdict(settings: Sequence[Setting], keys: Sequence[str]) -> str:
    """Which settings cannot be told from the best."""
    close = [_named(of, keys) for of in settings[1:] if of.close]
    if len(settings) < 2 or math.isnan(settings[1].difference_error):
        return ""
    best, many = _named(settings[0], keys), f", and {len(close) - MOST_BEST} more" if len(close) > MOST_BEST else ""
    if not close:
        return f"\n\n{best} is better than the others by more than two standard errors"
    return f"\n\nnot distinguishable from {best}, within two standard errors: {'; '.join(close[:MOST_BEST])}{many}"


def _named(setting: Setting, keys: Sequence[str]) -> str:
    return " ".join(f"{key}={cell(setting.first.swept.get(key))}" for key in keys)


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
