"""The table that a run prints."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from noiseworks.config.job import Job
from noiseworks.data.table import Table
from noiseworks.exact import optimal_ranges
from noiseworks.inference import LEVEL
from noiseworks.inference.covariance import BIASED, HOW, SUSPICIOUS
from noiseworks.inference.criteria import weighted_likelihood
from noiseworks.metrics import METRICS, PARTS
from noiseworks.noise import Gaussian
from noiseworks.outcome import Outcome
from noiseworks.problem import Problem
from noiseworks.runs.result import JobResult
from noiseworks.text_table import layout
from noiseworks.train.optimizers import takes_all_rows

MOST = 6  # coefficients, columns, levels


def not_unique(problem: Problem, outcome: Outcome, metrics: Mapping[str, float]) -> list[str]:
    """A line with the coefficients that can move, and how far, without anything lost; for replicates how often."""
    unique = metrics.get("exact/unique", 1.0)
    if unique == 1:
        return []
    if len(outcome.theta) > 1:
        return [f"the optimum is not unique in {100 * (1 - unique):.3g} % of the replicates"]
    if problem.num_rows("train") > len(problem.parts["train"]):  # read in chunks: these are a sample
        return ["the optimum is not unique"]
    ranges = sorted(zip(problem.terms, optimal_ranges(problem).tolist()), key=lambda each: each[0] != "intercept")
    shown = [(term, f"{low:.6g}", f"{high:.6g}") for term, (low, high) in ranges]
    moving = [f"{term} from {low} to {high}" for term, low, high in shown if low != high]
    return [f"not unique: {_some(moving)}"] if moving else []


def printed(result: JobResult) -> str | None:
    """What the command prints of a fit; of what is no fit its metrics; None of a job that failed."""
    job, problem, outcome, metrics = result.job, result.problem, result.outcome, result.metrics
    if result.failure is not None or outcome is None:
        return None
    if problem is None:
        rows = [["metric", "value"], *([name, f"{value:.6g}"] for name, value in metrics.items())]
        return f"{job.experiment} in {result.seconds:.1f} s\n\n{layout(rows)}"
    title = "\n".join([_title(job, problem, outcome, result.seconds), *_notes(job, problem, outcome)])
    return summary(title, problem, outcome, metrics)


def summary(title: str, problem: Problem, outcome: Outcome, metrics: dict[str, float]) -> str:
    """Coefficients beside the exact ones, then metrics by part, in the units of the data."""
    blocks = [title]
    if problem.terms and len(outcome.failures) < len(outcome.theta):
        blocks.append(_coefficients(problem, outcome))
        blocks += not_unique(problem, outcome, metrics)
    if outcome.errors_by is not None:
        blocks.append(_inference(problem, outcome, metrics))
    blocks.append(_metrics(metrics, len(outcome.theta)))
    blocks += _distance(problem, outcome, metrics)
    for k, reason in sorted(outcome.failures.items())[:5]:
        blocks.append(f"replicate {k} failed: {reason}")
    return "\n\n".join(blocks)


def _title(job: Job, problem: Problem, outcome: Outcome, seconds: float) -> str:
    examples, n, K = problem.examples, problem.num_rows("train"), len(outcome.theta)
    how = "exact answer" if outcome.exact is None else f"optimizer.method={outcome.kind}"
    if "trainer/epochs" in outcome.metrics:
        epochs = round(outcome.metrics["trainer/epochs"].nanmean().item())
        how = f"{job.choices['optimizer']}, {epochs} epoch{'s' * (epochs != 1)}"
    copies = "" if K == 1 else f", {K} replicates"
    names = [column.name for column in examples.columns]
    terms = " + ".join(names[:6]) + (" + ..." if len(names) > 6 else "")
    lacking = f", {examples.lacking} lack{'s' * (examples.lacking == 1)} a value," if examples.lacking else ""
    level = problem.noise.quantile_level
    noise = problem.noise.name + " noise" + (f" at tau={level:g}" if level not in (None, 0.5) else "")
    return (
        f"{examples.target} ~ {terms or '1'}, {noise}, {how}{copies}; "
        f"fitted on {n} of {examples.num_examples} rows{lacking} in {seconds:.1f} s"
    )


def _notes(job: Job, problem: Problem, outcome: Outcome) -> list[str]:
    """What a reader might take for something else: the offset, what weights are, a batch that is all rows."""
    notes, examples, n, size = [], problem.examples, problem.num_rows("train"), problem.data.batch_size
    if examples.lacks:
        columns = [f"{name} in {count}" for name, count in sorted(examples.lacks.items(), key=lambda item: -item[1])]
        notes.append(f"no value (an empty cell, NA, null): {_some(columns)}")
    if examples.vanished:
        notes.append(f"levels that are left out whole, with all their rows: {_some(examples.vanished)}")
    data = problem.data
    if isinstance(data, Table) and data.weights is not None:
        said = "counts of rows that are alike"
        if data.weight_kind == "precision":
            said = "precisions" + (f"; {weighted_likelihood(problem.noise)}" if outcome.errors_by else "")
        notes.append(f"weights: {data.weights}, {said}")
    if examples.offset is not None and len(examples.offset):
        values, kind, how = examples.offset, "offset", "on the scale of"
        if examples.exposure:
            values, kind, how = values.exp(), "exposure", "its logarithm is added to"
        reach = f" {values.min():.6g} to {values.max():.6g}," if examples.total is None else ""  # not of a sample
        notes.append(f"{kind}: {examples.offset_name},{reach} {how} the linear predictor")
    if "trainer/epochs" in outcome.metrics and size > n and not takes_all_rows(job.optimizer):
        notes.append(f"data.batch_size={size} is more than the {n} training rows: each step takes all of them")
    return notes


def _some(items: Sequence[str]) -> str:
    more = f", and {len(items) - MOST} more" if len(items) > MOST else ""
    return f"{', '.join(items[:MOST])}{more}"


def _coefficients(problem: Problem, outcome: Outcome) -> str:
    good = [k for k in range(len(outcome.theta)) if k not in outcome.failures]
    columns = {outcome.kind if outcome.kind != "optimum" else "exact": outcome.coefficients[good]}
    if outcome.exact is not None:
        columns["exact"] = outcome.exact[good]
    if outcome.standard_errors is not None:
        columns["standard error"] = outcome.standard_errors[good]
    if outcome.intervals is not None and len(good) == 1:
        columns[f"{100 * LEVEL:g} % from"], columns["to"] = outcome.intervals[good].unbind(2)
    header = ["coefficient", *columns]
    if len(good) > 1:
        header = ["coefficient", *(f"{name} (mean)" for name in columns)]
        columns["std"] = next(iter(columns.values()))
        header.append("std over replicates")
    rows = []
    for j in sorted(range(len(problem.terms)), key=lambda j: problem.terms[j] != "intercept"):
        values = [(v[:, j].std() if name == "std" else v[:, j].mean()).item() for name, v in columns.items()]
        rows.append([problem.terms[j], *("none" if math.isnan(value) else f"{value:.6g}" for value in values)])
    if outcome.scale is not None:
        name = problem.noise.scale_name or "scale"
        rows.append([f"{name} of the noise", f"{outcome.scale[good].mean().item():.6g}"])
    return layout([header, *rows])


def _inference(problem: Problem, outcome: Outcome, metrics: dict[str, float]) -> str:
    """What the standard errors take for granted, and the criteria."""
    assert outcome.errors_by is not None
    explained = "R-squared" if isinstance(problem.noise, Gaussian) else "deviance explained"
    names = {
        "exact/deviance_explained": explained,
        "exact/log_likelihood": "log-likelihood",
        "exact/aic": "AIC",
        "exact/bic": "BIC",
    }
    if outcome.errors_by == BIASED:
        lines = ["no standard errors: optimizer.ridge draws the coefficients to zero, and the bias is not known"]
    else:
        lines = [f"standard errors by {outcome.errors_by}: {HOW[outcome.errors_by]}"]
    if problem.noise.quantile_level is not None and "exact/aic" in metrics:
        names |= {"exact/bic": "BIC, with the scale among the parameters (quantreg counts without it),"}
    criteria = [f"{name} {metrics[key]:.6g}" for key, name in names.items() if key in metrics]
    lines += [", ".join(criteria)] if criteria else []
    if failed := metrics.get("exact/bootstrap_failed"):
        lines.append(f"{failed:g} bootstrap replicates have no answer, or too few rows for one, and are left out")
    if (times := metrics.get("exact/overdispersion", 1.0)) > SUSPICIOUS and outcome.errors_by == "information":
        lines.append(
            f"the counts vary {times:.2g} times as much as {problem.noise.name} noise says: these standard errors are "
            "too small; those of optimizer.standard_errors=HC3 do not take its word for it"
        )
    return "\n".join(lines)


def _metrics(metrics: dict[str, float], K: int) -> str:
    parts = [part for part in PARTS if f"{part}/nll" in metrics]
    rows = [["metric" if K == 1 else "metric (mean)", *parts]]
    for metric in METRICS:
        values = [metrics.get(f"{part}/{metric.name}") for part in parts]
        if any(value is not None for value in values):
            rows.append([metric.label, *("" if value is None else f"{value:.6g}" for value in values)])
    return layout(rows)


def _distance(problem: Problem, outcome: Outcome, metrics: dict[str, float]) -> list[str]:
    """How far training is from the exact answer, and what to do about it."""
    distance, said = outcome.distance, None
    if distance is not None:
        if distance.away is None and distance.no_optimum is None and not problem.model.linear:
            return []
        said = distance.said(problem.terms, lr="optimizer.lr", exact="optimizer=exact")
    if said is None and "param/error" in metrics:
        said = f"distance to the exact coefficients: {_share(metrics)}"
    return [] if said is None else [said]


def _share(metrics: dict[str, float]) -> str:
    share = metrics.get("param/relative_error")  # none where the exact ones are all zero
    return f"{metrics['param/error']:.3g}" + ("" if share is None else f" ({100 * share:.3g} % of their norm)")
