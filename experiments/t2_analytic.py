"""The text, 3.1.1.3: X'Xw = X'y has one solution, the minimum, when the columns of X are linearly independent.

Source:  D2L 3.1.1.3, (3.1.8), (3.1.9).
Command: make exercises EX=T2
Cost:    6 s on 2 cores.
Expect:  20 starts end within 1e-9 of the analytic solution at full rank, and about 1 apart where one column is the sum
         of others; the loss is the same to 1e-12 in both.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np

from noiseworks import studies as study
from noiseworks.studies import Claim, Figure, Run, Runs, Sweep, claim, control

EXPERIMENTS = {"t2_starts": ["data.num_examples=100", "data.batch_size=100"]}
RANKS = {"full rank": None, "rank 3 of 4": 3}


def claims(runs: Runs) -> Iterator[Claim]:
    full, short = (runs["t2_starts"].where({"data.rank": rank}) for rank in RANKS.values())
    sentence = "gradient descent from 20 starts ends at the analytic solution"
    yield claim("T2", f"{sentence}, X'X invertible", 0.0, farthest(full), 1e-9)
    yield control("T2", f"{sentence}, X'X of rank 3 of 4", 0.0, farthest(short), 1e-9)
    for name, sweep in zip(RANKS, (full, short)):
        yield claim(
            "T2",
            f"the ends of gradient descent from 20 starts have the same loss, {name}",
            0.0,
            spread_of_loss(sweep),
            1e-12,
        )
    weights = np.array([list(coefficients(run).values()) for run in short])
    yield claim("T2", "what the rows tell is settled at rank 3, too: w0 + w3 / sqrt(2)", 0.0, contrast(weights), 1e-9)
    yield control("T2", "the weight w0 alone is settled at rank 3", 0.0, study.exactly(np.ptp(weights[:, 1])), 1e-9)


def farthest(sweep: Sweep) -> study.Interval:
    """The largest distance to the exact answer."""
    return study.exactly(max(run["param/error"] for run in sweep))


def spread_of_loss(sweep: Sweep) -> study.Interval:
    losses = [run["train/nll"] for run in sweep]
    return study.exactly(max(losses) - min(losses))


def coefficients(run: Run) -> dict[str, float]:
    return dict(json.loads(run.file("coefficients.json").read_text())["coefficients"])


def contrast(weights: np.ndarray) -> study.Interval:
    """x3 = (x0 + x1) / sqrt(2): the rows tell w0 + w3 / sqrt(2), however it is shared. Columns: intercept, x0 ..."""
    return study.exactly(np.ptp(weights[:, 1] + weights[:, 4] / np.sqrt(2)))


def figures(runs: Runs) -> Iterator[Figure]:
    drawing, panels = study.panels(2, sharex=True, sharey=True)
    for axes, (name, rank) in zip(panels, RANKS.items()):
        ends = [coefficients(run) for run in runs["t2_starts"].where({"data.rank": rank})]
        axes.plot([e["x0"] for e in ends], [e["x3"] for e in ends], "o", fillstyle="none", color=study.COLORS[0])
        axes.set(title=name, xlabel="weight of x0")
    panels[0].set_ylabel("weight of x3")
    yield Figure(
        "T2",
        alt="At full rank all twenty ends are one point; at rank 3 they lie along a line.",
        caption="Where gradient descent ends from 20 starts. At rank 3, x3 is (x0 + x1) / sqrt(2): any point of the "
        "line predicts the same.",
        drawing=drawing,
    )
