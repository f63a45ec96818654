"""The table of noise models that a sweep ends with."""

from __future__ import annotations

import math
from collections.abc import Sequence

from noiseworks.sweep.noise_choice import Candidate, NoiseChoice
from noiseworks.sweep.table import cell, name_of_objective, varied
from noiseworks.tracking.journal import Row
from noiseworks.tracking.table import layout

MOST = 20  # lines
CLEAR = 2.0  # standard errors


def noise_table(choice: NoiseChoice, rows: Sequence[Row]) -> str:
    """Log-likelihood per test example, the difference to the best, and whether it says anything."""
    if not choice.candidates:
        return f"noise models are not compared on the test rows: {choice.why}"
    of_job = {row.job: row for row in rows}
    others = [key for key in varied(rows) if key != "noise" and not key.startswith("noise.")]
    table = [["noise model", "log-likelihood", "difference", "std error", "job", *others]]
    for each in choice.candidates[:MOST]:
        difference = [f"{each.difference:.4f}", f"{each.standard_error:.4f}"] if len(table) > 1 else ["", ""]
        settings = [cell(of_job[each.job].swept.get(key)) for key in others]
        table.append([each.noise, f"{each.log_likelihood:.4f}", *difference, str(each.job), *settings])
    title = f"noise models on the {choice.num_rows:,} test rows, log-likelihood per example in the units of the data:"
    return "\n\n".join([title, layout(table), "\n".join(_remarks(choice, rows))])


def _remarks(choice: NoiseChoice, rows: Sequence[Row]) -> list[str]:
    remarks = [verdict(choice.candidates)]
    if choice.by_cell:
        remarks.append("densities meet counts: of a density it is that of the unit cell, log P(y - 1/2 < Y <= y + 1/2)")
    if choice.left_out:
        remarks.append(f"left out, since the probability of a cell is not known: {', '.join(choice.left_out)}")
    if len([row for row in rows if row.objective is not None]) > len(choice.candidates) + len(choice.left_out):
        remarks.append(f"each by its job of the best {name_of_objective(rows)}")
    if (more := len(choice.candidates) - MOST) > 0:
        remarks.append(f"and {more} more in noise_models.json")
    return remarks


def verdict(candidates: Sequence[Candidate]) -> str:
    """Whether the best is better than all others by two standard errors."""
    best, *others = candidates
    if best.log_likelihood == -math.inf:
        return "none of them gives every test row a probability"
    close = [each.noise for each in others if each.difference >= -CLEAR * each.standard_error]
    if not close:
        return f"{best.noise} is better than the others by more than two standard errors"
    return f"{best.noise} is the best, but not by two standard errors: {', '.join(close[:5])} may be as good"
