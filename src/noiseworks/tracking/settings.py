"""The tracking group of the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from noiseworks.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Untracked:
    """Nothing goes to MLflow; the files of the run are written all the same."""

    curve_points: int | None
    trajectory: bool
    figures: bool | str
    model: bool | str
    tracked: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for key in ("figures", "model"):
            if getattr(self, key) not in (True, False, "auto"):
                raise UserError(f"tracking.{key}={getattr(self, key)} is unknown; it must be auto, true or false.")
        if self.curve_points is not None and self.curve_points < 1:
            raise UserError(f"tracking.curve_points={self.curve_points} is too few; it must be at least 1, or null.")

    def wants(self, key: str, in_sweep: bool) -> bool:
        """Whether this job carries figures or a model; by default the jobs of a sweep do not."""
        value = getattr(self, key)
        return not in_sweep if value == "auto" else bool(value)

    def points(self, in_sweep: bool) -> int:
        return self.curve_points or (50 if in_sweep else 1000)


@dataclass(frozen=True, kw_only=True)
class Mlflow(Untracked):
    """Every run goes to the MLflow store at `uri`."""

    uri: str | None
    tracked: ClassVar[bool] = True
