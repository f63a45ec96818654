"""Noise models ranked by the likelihood of the test rows of a sweep."""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from noiseworks.config.job import Job
from noiseworks.errors import UserError
from noiseworks.noise.lattice import off_grid
from noiseworks.runs import journal
from noiseworks.runs.artifacts import to_json
from noiseworks.runs.held_out import Array, HeldOut, noise_key
from noiseworks.runs.journal import Row
from noiseworks.sweep.ranking import varied
from noiseworks.sweep.table import best_first, cell, name_of_objective
from noiseworks.text_table import layout
from noiseworks.tracking.contents import mlflow_name


def check_criteria(jobs: Iterable[Job], folder: Path) -> None:
    """Refuse to rank by AIC, BIC or the log-likelihood what is not of one kind, among these jobs and those that have
    ended in the folder."""
    kinds: dict[str | None, str] = {job.criterion: job.noise.name for job in jobs if job.criterion is not None}
    if kinds:
        rows = (row for row in journal.read(folder) if row.criterion is not None)
        kinds = {row.criterion: row.coefficients["noise"] for row in rows if row.coefficients} | kinds
    if len(kinds) > 1:
        said = "; ".join(f"with noise={noise} {kind}" for kind, noise in kinds.items())
        raise UserError(
            f"objective cannot rank these noise models by a criterion, since data.weights are precisions: {said}. With "
            "data.weight_kind=frequency they compare, and with data.test_fraction=0.2 by objective=test/nll."
        )


@dataclass(frozen=True)
class Candidate:
    """A noise model, by its best job, on the test rows: log-likelihood per example, in units of the data, its
    difference to that of the best noise model, and the standard error of this difference, over rows in pairs."""

    noise: str
    job: int
    run: str | None
    log_likelihood: float
    difference: float
    standard_error: float


@dataclass(frozen=True)
class NoiseChoice:
    """candidates: the best first; none: `why` there is no comparison.

    width: of the cells, centred at the values, whose probabilities are compared; None: densities are. left_out: noise
    model -> why it is not among the candidates.
    """

    candidates: Sequence[Candidate] = ()
    num_rows: int = 0
    width: float | None = None
    left_out: Mapping[str, str] = field(default_factory=dict)
    why: str = ""

    @property
    def metrics(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for each in self.candidates:
            name = f"held_out/{mlflow_name(each.noise)}"
            found |= {name: each.log_likelihood, f"{name}/difference": each.difference}
            found[f"{name}/standard_error"] = each.standard_error
        return {name: value for name, value in found.items() if math.isfinite(value)}

    def save(self, folder: Path) -> list[Path]:
        if not self.candidates:
            return []
        lines = [{key: _plain(value) for key, value in asdict(each).items()} for each in self.candidates]
        facts: dict[str, Any] = {"num_rows": self.num_rows, "by_cell": self.width is not None}
        facts |= {"cell_width": self.width, "left_out": self.left_out, "noise_models": lines}
        (folder / "noise_models.json").write_bytes(to_json(facts))
        return [folder / "noise_models.json"]


def choose_noise(folder: Path, rows: Sequence[Row]) -> NoiseChoice | None:
    """None where the sweep has a single noise model, or no test rows."""
    if not any(key == "noise" or key.startswith("noise.") for key in varied(rows)):
        return None
    best = _best_of_each(rows)
    kept = {noise: found for noise, row in best.items() if (found := HeldOut.load(folder, row.job))}
    if len(kept) < 2:
        return _nothing_kept(best)
    if len({row.test_rows for row in rows if row.objective is not None}) > 1:
        return NoiseChoice(
            why="their jobs have different test rows; data.seed=0, or another number, makes them the same, and for "
            "synthetic data noise@data.noise=..., one truth for all"
        )
    return compared(kept, best)


def compared(kept: Mapping[str, HeldOut], best: Mapping[str, Row]) -> NoiseChoice:
    """All by the probability of the same cells, as wide as the coarsest step of a noise model of lattice values; where
    all are densities, or of one lattice, by these."""
    left_out = {n: _off_lattice(found) for n, found in kept.items() if found.noise.counts and not found.on_lattice}
    kept = {noise: found for noise, found in kept.items() if noise not in left_out}
    steps = {found.noise.step if found.noise.counts else 0.0 for found in kept.values()}
    width = max(steps) if len(steps) > 1 else None
    values = {noise: found.log_likelihood(width) for noise, found in kept.items()}
    left_out |= {noise: "no formula for cells is known" for noise, value in values.items() if value is None}
    known = {noise: value for noise, value in values.items() if value is not None}
    if len(known) < 2:
        return NoiseChoice(why=_left_out(left_out))
    weights = next(iter(kept.values())).weights
    candidates = [Candidate(noise, best[noise].job, best[noise].run, *facts) for noise, facts in paired(known, weights)]
    return NoiseChoice(candidates, len(next(iter(known.values()))), width, left_out)


def _off_lattice(found: HeldOut) -> str:
    value = found.y[off_grid(found.y, found.noise.step)][0].item()
    return f"the test value {value:g} is no multiple of {found.noise.step:g}"


def _left_out(reasons: Mapping[str, str]) -> str:
    return "left out: " + "; ".join(f"{noise}, since {why}" for noise, why in reasons.items())


def _nothing_kept(best: Mapping[str, Row]) -> NoiseChoice | None:
    if len(best) < 2 or not all("test/nll" in row.metrics for row in best.values()):
        return None
    if any("test/nll/count" in row.metrics for row in best.values()):
        return NoiseChoice(why="each replicate has test rows of its own; with replicates=1 they are compared")
    return NoiseChoice(
        why="rows read in chunks are not kept one by one; the means are in the column test/nll of sweep.parquet"
    )


def paired(values: Mapping[str, Array], weights: Array | None = None) -> list[tuple[str, tuple[float, float, float]]]:
    """name -> (mean, mean of the differences d_i to the best's, its standard error), the best first.

    values (n,) each. Means are weighted; the standard error is sqrt(sum w^2 (d - mean d)^2) / sum w times sqrt(n /
    (n - 1)): sd / sqrt(n) for equal weights.
    """
    w = np.ones_like(next(iter(values.values()))) if weights is None else weights
    means = {name: float(np.average(value, weights=w)) for name, value in values.items()}
    order = sorted(means, key=lambda name: -means[name])
    found = []
    for name in order:
        with np.errstate(invalid="ignore"):  # a noise that gives a row no probability
            d = values[name] - values[order[0]]
            difference = float(np.average(d, weights=w))
            error = float(np.linalg.norm(w * (d - difference)) / w.sum() * np.sqrt(len(d) / max(len(d) - 1, 1)))
        found.append((name, (means[name], difference, error)))
    return found


def _best_of_each(rows: Sequence[Row]) -> dict[str, Row]:
    """Noise model -> its job of the best objective, in the order of the jobs: the test rows have no say in it."""
    groups: dict[Hashable, Row] = {}
    for row in best_first(rows, maximize=False):
        if row.coefficients is not None:
            groups.setdefault(noise_key(row.coefficients["noise"], row.swept), row)
    keys = [key for key in varied(rows) if key.startswith("noise.")]
    return {_name(row, keys): row for row in sorted(groups.values(), key=lambda row: row.job)}


def _name(row: Row, keys: Sequence[str]) -> str:
    """student_t, or asymmetric_laplace tau=0.9 where that differs."""
    assert row.coefficients is not None
    option = row.swept.get("noise", row.coefficients["noise"])
    settings = (f"{key.removeprefix('noise.')}={cell(row.swept[key])}" for key in keys if key in row.swept)
    return " ".join([str(option), *settings])


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


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
    if choice.width is not None:
        half = f"{choice.width / 2:g}"
        remarks.append(f"of each the probability of the same cell, log P(y - {half} < Y <= y + {half})")
    if choice.left_out:
        remarks.append(_left_out(choice.left_out))
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
