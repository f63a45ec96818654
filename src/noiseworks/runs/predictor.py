"""What a saved model needs to predict, as plain JSON, and the prediction itself."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from hydra.utils import get_object

from noiseworks.config.renames import current
from noiseworks.config.trust import Trust
from noiseworks.data.base import Column
from noiseworks.data.columns import level_text
from noiseworks.data.scaling import Scaling
from noiseworks.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

    from noiseworks.outcome import Outcome
    from noiseworks.problem import Problem


def to_json(problem: Problem, outcome: Outcome) -> dict[str, Any]:
    """Everything in numbers and names, of the first member that did not fail."""
    good = next(k for k in range(len(outcome.theta)) if k not in outcome.failures)
    theta, scale = outcome.theta[good], None if outcome.scale is None else outcome.scale[good].item()
    return {
        "noise": settings(problem.noise.with_scale(scale)),
        "model": settings(problem.model),
        "columns": [{"name": c.name, "levels": list(c.levels)} for c in problem.examples.columns],
        "offset": problem.examples.offset_name,
        "exposure": problem.examples.exposure,
        "scaling": {f.name: getattr(problem.scaling, f.name).tolist() for f in fields(problem.scaling)},
        "theta": theta.tolist(),
    }


def settings(piece: Any) -> dict[str, Any]:
    """A dataclass as its class and its fields; `build` is the way back."""
    kind = type(piece)
    own = {f.name: getattr(piece, f.name) for f in fields(piece)}
    return {"class": f"{kind.__module__}:{kind.__qualname__}", **own}


def build(settings: dict[str, Any]) -> Any:
    """Only a noise or a linear predictor of noiseworks or of a trusted package: artifacts are other people's files."""
    name = current(settings["class"].replace(":", "."))
    Trust.of_this_process().of_kind(name, ("noiseworks.noise.Noise", "noiseworks.model.Model"))
    return get_object(name)(**{key: v for key, v in settings.items() if key != "class"})


def _load_pyfunc(path: str) -> Predictor:
    """What MLflow calls with the path of predictor.json."""
    return Predictor(json.loads(Path(path).read_text()))


class Predictor:
    def __init__(self, saved: dict[str, Any]) -> None:
        self.noise, self.model = build(saved["noise"]), build(saved["model"])
        self.scaling = Scaling(**{key: torch.tensor(v, dtype=torch.float64) for key, v in saved["scaling"].items()})
        self.columns = [Column(c["name"], tuple(c["levels"])) for c in saved["columns"]]
        self.offset: str | None = saved["offset"]
        self.exposure = bool(saved.get("exposure"))  # the offset is its logarithm
        self.theta = torch.tensor(saved["theta"], dtype=torch.float64)

    def predict(self, table: pd.DataFrame, params: Any = None) -> Any:
        """E[y | x] for each row, of quantile noise the quantile, in the units of the data."""
        scaling = self.scaling
        D = self.model.design((_features(self.columns, table) - scaling.x_center) / scaling.x_spread)
        eta = self.model.eta(self.theta.unsqueeze(0), D.unsqueeze(0)).squeeze(0)
        eta = scaling.y_center + scaling.y_spread * eta
        if self.offset is not None:
            offset = torch.tensor(table[self.offset].to_numpy(dtype="float64"))
            eta = eta + (offset.log() if self.exposure else offset)
        return self.noise.predict(eta).numpy()


def _features(columns: list[Column], table: pd.DataFrame) -> torch.Tensor:
    """(n, d): numbers as they are, text as indicators of all levels but the first."""
    blocks = [torch.zeros(len(table), 0, dtype=torch.float64)]
    for column in columns:
        if not column.levels:
            blocks.append(torch.tensor(table[column.name].to_numpy(dtype="float64")).unsqueeze(1))
            continue
        values = [level_text(value) for value in table[column.name].tolist()]
        unknown = sorted(set(values) - set(column.levels))
        if unknown:
            raise UserError(
                f"Column '{column.name}' has the value '{unknown[0]}', which the training data did not; "
                f"known are {', '.join(column.levels[:10])}."
            )
        rows = [[value == level for level in column.levels[1:]] for value in values]
        blocks.append(torch.tensor(rows, dtype=torch.float64).reshape(len(values), -1))
    return torch.cat(blocks, dim=1)
