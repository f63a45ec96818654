"""The table that a run prints."""

from __future__ import annotations

import math
from collections.abc import Sequence

from noiseworks.noise import Gaussian
from noiseworks.problem import Problem
from noiseworks.trainer.outcome import Outcome

PARTS = ("train", "val", "test")
HOW = {
    "iid": "errors of the same law in every row",
    "information": "the noise model is right",
    "HC0": "nothing but independent rows",
}
HOW |= dict.fromkeys(("HC1", "HC2", "HC3"), HOW["HC0"])
SUSPICIOUS = 1.5  # counts that vary so many times as much as the noise model says


def summary(title: str, problem: Problem, outcome: Outcome, metrics: dict[str, float]) -> str:
    """Coefficients beside the exact ones, then metrics by part, in the units of the data."""
    blocks = [title]
    if problem.terms and len(outcome.failures) < len(outcome.theta):
        blocks.append(_coefficients(problem, outcome))
    if outcome.errors_by is not None:
        blocks.append(_inference(problem, outcome, metrics))
    blocks.append(_metrics(metrics, len(outcome.theta)))
    for k, reason in sorted(outcome.failures.items())[:5]:
        blocks.append(f"replicate {k} failed: {reason}")
    return "\n\n".join(blocks)


def _coefficients(problem: Problem, outcome: Outcome) -> str:
    good = [k for k in range(len(outcome.theta)) if k not in outcome.failures]
    columns = {outcome.kind if outcome.kind != "optimum" else "exact": outcome.coefficients[good]}
    if outcome.exact is not None and outcome.kind == "trained":
        columns["exact"] = outcome.exact[good]
    if outcome.standard_errors is not None:
        columns["standard error"] = outcome.standard_errors[good]
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
    lines = [f"standard errors by {outcome.errors_by}: {HOW[outcome.errors_by]}"]
    criteria = [f"{name} {metrics[key]:.6g}" for key, name in names.items() if key in metrics]
    lines += [", ".join(criteria)] if criteria else []
    if (times := metrics.get("exact/overdispersion", 1.0)) > SUSPICIOUS and outcome.errors_by == "information":
        lines.append(
            f"the counts vary {times:.2g} times as much as {problem.noise.name} noise says: these standard errors are "
            "too small, those of optimizer.standard_errors=HC3 are not"
        )
    return "\n".join(lines)


def _metrics(metrics: dict[str, float], K: int) -> str:
    parts = [part for part in PARTS if f"{part}/nll" in metrics]
    names = {"nll": "nll per example", "mae": "mean absolute error", "rmse": "root mean square error"}
    rows = [["metric" if K == 1 else "metric (mean)", *parts]]
    for key, name in names.items():
        rows.append([name, *(f"{metrics[f'{part}/{key}']:.6g}" for part in parts)])
    text = layout(rows)
    if "param/error" in metrics:
        text += (
            f"\n\ndistance to the exact coefficients: {metrics['param/error']:.3g} "
            f"({100 * metrics['param/relative_error']:.3g} % of their norm)"
        )
    return text


def layout(rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned: names to the left, numbers to the right, a line under the header."""
    width = [max(len(row[i]) for row in rows if i < len(row)) for i in range(len(rows[0]))]
    rule = ["-" * (sum(width) + 2 * (len(width) - 1))]
    lines = [[(str.rjust if i else str.ljust)(cell, width[i]) for i, cell in enumerate(row)] for row in rows]
    return "\n".join("  " + "  ".join(line) for line in [lines[0], rule, *lines[1:]])
