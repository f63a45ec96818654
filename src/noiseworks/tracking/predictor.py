"""What a saved model needs to predict, as plain JSON, and the prediction itself."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import torch

from noiseworks import model as models
from noiseworks import noise as noises
from noiseworks.data.examples import Column
from noiseworks.data.scaling import Scaling
from noiseworks.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from noiseworks.problem import Problem


def to_json(problem: Problem, theta: torch.Tensor, scale: float | None) -> dict[str, Any]:
    """Everything in numbers and names: no pickle."""
    noise = problem.noise.with_scale(scale)
    return {
        "noise": {"class": type(noise).__name__, **{f.name: getattr(noise, f.name) for f in fields(noise)}},
        "model": {
            "class": type(problem.model).__name__,
            **{f.name: getattr(problem.model, f.name) for f in fields(problem.model)},
        },
        "columns": [{"name": c.name, "levels": list(c.levels)} for c in problem.examples.columns],
        "offset": problem.examples.offset_name,
        "scaling": {f.name: getattr(problem.scaling, f.name).tolist() for f in fields(problem.scaling)},
        "theta": theta.tolist(),
    }


def predict(saved: dict[str, Any], table: pd.DataFrame) -> Any:
    """E[y | x] for each row, in the units of the data."""
    noise = getattr(noises, saved["noise"]["class"])(**{k: v for k, v in saved["noise"].items() if k != "class"})
    model = getattr(models, saved["model"]["class"])(**{k: v for k, v in saved["model"].items() if k != "class"})
    scaling = Scaling(**{k: torch.tensor(v, dtype=torch.float64) for k, v in saved["scaling"].items()})
    X = _features([Column(c["name"], tuple(c["levels"])) for c in saved["columns"]], table)
    D = model.design((X - scaling.x_center) / scaling.x_spread)
    theta = torch.tensor(saved["theta"], dtype=torch.float64)
    eta = scaling.y_center + scaling.y_spread * model.eta(theta.unsqueeze(0), D.unsqueeze(0)).squeeze(0)
    if saved["offset"] is not None:
        eta = eta + torch.tensor(table[saved["offset"]].to_numpy(dtype="float64"))
    return noise.mean(eta).numpy()


def _features(columns: list[Column], table: pd.DataFrame) -> torch.Tensor:
    """(n, d): numbers as they are, text as indicators of all levels but the first."""
    blocks = [torch.zeros(len(table), 0, dtype=torch.float64)]
    for column in columns:
        if not column.levels:
            blocks.append(torch.tensor(table[column.name].to_numpy(dtype="float64")).unsqueeze(1))
            continue
        values = table[column.name].astype(str).tolist()
        unknown = sorted(set(values) - set(column.levels))
        if unknown:
            raise UserError(
                f"Column '{column.name}' has the value '{unknown[0]}', which the training data did not; "
                f"known are {', '.join(column.levels[:10])}."
            )
        rows = [[value == level for level in column.levels[1:]] for value in values]
        blocks.append(torch.tensor(rows, dtype=torch.float64).reshape(len(values), -1))
    return torch.cat(blocks, dim=1)
