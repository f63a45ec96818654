"""What a fit leaves, however it was made."""

from __future__ import annotations

from dataclasses import dataclass, field

from noiseworks.exact import Problem
from noiseworks.exact.problem import Array
from noiseworks.inference import Uncertainty
from noiseworks.noise import Noise


@dataclass(frozen=True)
class Fitted:
    """theta (P,): the coefficients, the intercept last. noise: at the scale of the fit; rank and n as they were used.

    kind: "optimum", "stationary point" or "trained"; what only an exact answer has is None or empty for the last.
    problem: the rows, for tests that compare two fits; not there after pickling.
    """

    theta: Array
    noise: Noise
    kind: str
    n: int
    rank: int | None = None
    unique: bool = True
    uncertainty: Uncertainty | None = None
    criteria: dict[str, float] = field(default_factory=dict)
    problem: Problem | None = field(default=None, repr=False, compare=False)
    epochs: int | None = None
    ridge: float = 0.0

    @property
    def scale(self) -> float | None:
        value = self.noise.scale_value
        return None if value is None else float(value)

    def __getstate__(self) -> dict[str, object]:
        return self.__dict__ | {"problem": None}
