"""Exercise 6: runs read back, for claims and figures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from noiseworks.studies import Run, Runs

FEATURES, OUTPUTS = 6, (1, 2, 3, 4)  # as in the YAMLs
SCALES = (1e-1, 1e-2, 1e-3, 1e-4)
Array = NDArray[np.float64]


def coefficients(run: Run) -> Array:
    """(copies, d + 1), the intercept last where there is one."""
    names = [*(f"coefficient/x{j}" for j in range(FEATURES)), "coefficient/intercept"]
    return np.stack([run.copies[name] for name in names if name in run.copies], axis=1)


def path(run: Run) -> Array:
    """(steps, copies, d), from the first step on."""
    columns = np.stack([run.trajectory[f"x{j}"] for j in range(FEATURES)], axis=1)
    return columns.reshape(-1, len(run.copies["replicate"]), FEATURES)


def sizes(run: Run) -> Array:
    """|w| (steps, copies)."""
    return np.linalg.norm(path(run), axis=2)


def halfway(runs: Runs, model: str, init_scale: float) -> Array:
    """The step at which |w| has half its final size, between steps by its logarithm; (copies,)."""
    sweep = runs["ex6_descent"].where(model=model)
    end = sizes(sweep.one({"model.init_scale": 0.1}))[-1]
    logs = np.log(sizes(sweep.one({"model.init_scale": init_scale})) / end) - np.log(0.5)
    k, copies = np.maximum(np.argmax(logs >= 0, axis=0), 1), np.arange(len(end))
    before, after = logs[k - 1, copies], logs[k, copies]
    return k - before / (after - before)  # logs[k] is that after step k + 1


def column(run: Run, name: str, count: int = 4) -> Array:
    """The metrics name_1, name_2 ... (copies, count)."""
    return np.stack([run.copies[f"{name}_{j + 1}"] for j in range(count)], axis=1)


def due(run: Run, origin: str = "origin") -> Array:
    """When half of each singular value is learned in theory, as lr times steps; (copies, k)."""
    lr, s = float(run.params["lr"]), column(run, "value")
    return lr * np.log(s / column(run, origin) - 1) / (2 * np.log1p(lr * s))


def decayed(runs: Runs, model: str, decay: float) -> Array:
    return coefficients(runs["ex6_decay"].one({"optimizer.weight_decay": decay}, model=model))
