"""What the table says of a quantile regression with more than one optimum."""

from __future__ import annotations

from collections.abc import Mapping

from noiseworks.optimizer.exact import optimal_ranges
from noiseworks.problem import Problem
from noiseworks.trainer.outcome import Outcome

MOST = 6  # coefficients


def not_unique(problem: Problem, outcome: Outcome, metrics: Mapping[str, float]) -> list[str]:
    """A line with the coefficients that can move, and how far, without anything lost; for replicates how often."""
    unique = metrics.get("exact/unique", 1.0)
    if unique == 1:
        return []
    if len(outcome.theta) > 1:
        return [f"the optimum is not unique in {100 * (1 - unique):.3g} % of the replicates"]
    if problem.num_rows("train") > len(problem.parts["train"]):  # streamed: these are a sample
        return ["the optimum is not unique"]
    ranges = sorted(zip(problem.terms, optimal_ranges(problem).tolist()), key=lambda each: each[0] != "intercept")
    shown = [(term, f"{low:.6g}", f"{high:.6g}") for term, (low, high) in ranges]
    moving = [f"{term} from {low} to {high}" for term, low, high in shown if low != high]
    more = f", and {len(moving) - MOST} more" if len(moving) > MOST else ""
    return [f"not unique: {', '.join(moving[:MOST])}{more}"] if moving else []
