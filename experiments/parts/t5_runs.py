"""T5: runs read back, for claims and figures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from noiseworks import studies as study
from noiseworks.studies import Run, Runs
from noiseworks_experiments.parts.t5_measure import Valley

STEPS = 30
RIDGES = [0.0, 0.03, 0.1, 0.3, 1.0, 3.0]
Array = NDArray[np.float64]


def known(runs: Runs) -> tuple[Valley, float]:
    run = runs["t5_measures"].one(measure="descent")
    eigenvalues, way = (np.array([run[f"{name}/{j}"] for j in range(2)]) for name in ("eigenvalue", "way"))
    return Valley(eigenvalues, way, STEPS), run["least"]


def miss(runs: Runs, search: str) -> study.Interval:
    run = runs["t5_measures"].one(measure="descent")
    names = sorted(name for name in run.metrics if name.startswith("tpe/"))
    errors = [run[name] for name in names] if search == "tpe" else run.copies[search]
    return study.mean(np.abs(errors))


def errors(runs: Runs, part: str) -> Array:
    """(ridges, R): mean squared error; that on all rows there could be (`risk`) is sigma^2 + |w - w_true|^2."""
    ridges = [runs["t5_ridge"].one({"optimizer.ridge": ridge}) for ridge in RIDGES]
    return np.stack([risk(run) if part == "risk" else run.copies[f"{part}/rmse"] ** 2 for run in ridges])


def risk(run: Run) -> Array:
    return np.asarray(1 + (distance(run) ** 2).sum(axis=1))


def distance(run: Run) -> Array:
    """w - w_true (R, d), w_true by data.true_weights=null: w_j = (-1)^j c / (1 + j), |w_true| = data.signal = 2."""
    j = np.arange(sum(name.startswith("coefficient/") for name in run.copies))
    w_true = (-1.0) ** j / (1 + j)
    w_true *= 2 / np.linalg.norm(w_true)
    w = np.stack([run.copies[f"coefficient/x{i}"] for i in j], axis=1)
    return np.asarray(w - w_true)


def gain(runs: Runs, part: str, candidates: int) -> study.Interval:
    return study.mean(runs["t5_measures"].one(measure="winner").copies[f"{part}/{candidates}"])


def as_drawn(runs: Runs, draws: int = 100, rows: int = 20) -> float:
    """Mean error of the ridge with the least loss on `rows` validation rows: the risk of each fit, weighted by how
    often rows drawn afresh choose it. On a row with noise e the fits err by e - x'(w - w_true), x ~ N(0, I)."""
    rng, risks, chosen = np.random.default_rng(55), errors(runs, "risk"), []
    away = np.stack([distance(runs["t5_ridge"].one({"optimizer.ridge": ridge})) for ridge in RIDGES], axis=-1)
    for apart, risk in zip(away, risks.T):  # of a data set: (d, ridges), (ridges,)
        x, e = rng.normal(size=(draws, rows, len(apart))), rng.normal(size=(draws, rows, 1))
        chosen.append(risk[((e - x @ apart) ** 2).mean(axis=1).argmin(axis=1)].mean())
    return float(np.mean(chosen))
