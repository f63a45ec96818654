"""The model that the deviance explained compares with: the constant, or the offset alone where there is none."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from noiseworks.exact import Answer
from noiseworks.exact import Problem as ExactProblem
from noiseworks.exact.problem import Array
from noiseworks.exact.stream import Pass, Sketch, solve_stream
from noiseworks.exact.stream.rows import Columns
from noiseworks.noise import Gaussian, Noise, Poisson

ONE = 1e-8  # how near to 1 a combination of columns must come


@dataclass(frozen=True)
class Null:
    """Counts: eta = constant + offset, in units of the fit."""

    constant: float

    @classmethod
    def of(
        cls, noise: Noise, answer: Answer, rows: Pass, sketch: Sketch, rate: float, center: float, has_offset: bool
    ) -> Null:
        """rate: sum w y / sum w exp(offset). Passes are made only for an offset without the log link of Poisson."""
        if not noise.counts:
            return cls(np.nan)
        if not has_constant(sketch):
            return cls(0.0)
        if has_offset and not (isinstance(noise, Poisson) and noise.link == "log"):
            return cls(float(solve_stream(noise.with_scale(answer.scale), _ones(rows), _constant(sketch)).theta))
        return cls(float(noise.inverse_mean(torch.tensor(rate, dtype=torch.float64))) - center)

    def eta(self, block: ExactProblem) -> Tensor:
        return torch.from_numpy(self.constant + block.offset)


def has_constant(sketch: Sketch) -> bool:
    """Whether some theta has D theta = 1."""
    return float(np.linalg.norm(_left(sketch, sketch.ones))) < ONE * np.sqrt(sketch.n)


def r_squared(sketch: Sketch) -> float:
    """1 - RSS / RSS0; nan where all y are equal."""
    target, ones = sketch.target, sketch.ones
    worst = target - ones * (ones @ target) / (ones @ ones) if has_constant(sketch) else target
    total, left = float(worst @ worst), _left(sketch, target)
    return 1 - float(left @ left) / total if total > 0 else np.nan


def explained(noise: Noise, answer: Answer, rows: Pass, sketch: Sketch) -> float:
    """1 - D / D0 of a location-scale noise: R-squared, or Koenker and Machado's R1, whose sums are the scales."""
    if isinstance(noise, Gaussian):
        return r_squared(sketch)
    if not has_constant(sketch) or answer.scale is None:
        return np.nan
    worst = solve_stream(noise, _ones(rows), _constant(sketch)).scale
    return 1 - answer.scale / worst if worst else np.nan


def _ones(rows: Pass) -> Pass:
    def blocks(what: str) -> Iterator[ExactProblem]:
        for block in rows(f"constant, {what}"):
            yield replace(block, D=np.ones((len(block.y), 1)))

    return blocks


def _constant(sketch: Sketch) -> Sketch:
    ones = np.ones((len(sketch.sample.y), 1))
    small = np.column_stack((sketch.ones, sketch.ones, sketch.target))
    return replace(sketch, small=small, sample=replace(sketch.sample, D=ones))


def _left(sketch: Sketch, column: Array) -> Array:
    """What least squares on the columns of D leaves of a column of the triangle."""
    design = sketch.design()
    A = Columns.of(design)(design.D)
    return np.asarray(column - A @ (A.T @ column) / sketch.n)
