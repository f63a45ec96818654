"""Counts: Newton's method with a pass over all rows for each step, from the answer for a few of them."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from typing import NoReturn

import numpy as np
import torch

from noiseworks.errors import UserError
from noiseworks.noise import Noise
from noiseworks.solvers.design import TransformedDesign
from noiseworks.solvers.likelihood import Likelihood
from noiseworks.solvers.linear_problem import Array
from noiseworks.solvers.newton import NewtonPoint, newton
from noiseworks.solvers.solution import Solution
from noiseworks.solvers.solve import solved
from noiseworks.solvers.sufficient_statistics import OrthogonalColumns, Pass, Sketch

PASSES = 40
SETTLED = 1e-6  # a step that is smaller is the last: the error after it is about its square
FAINT = 1e-3  # a dispersion that vanishes
FLAT, FAR = 1e-7, 1e-2  # a gradient so small with a step so long: the optimum is not finite


@dataclass
class ChunkedLikelihood:
    """v -> the mean nll of all rows, as `Likelihood` of a block of them; each v costs a pass, the last one is kept."""

    noise: Noise
    rows: Pass
    columns: OrthogonalColumns
    n: int
    joint: bool
    last: tuple[Array, float, Array, Array] | None = None

    def evaluate(self, v: Array) -> tuple[float, Array, Array]:
        if self.last is None or not np.array_equal(self.last[0], v):
            self.last = (v.copy(), *self._summed(v))
        return self.last[1:]

    def value(self, v: Array) -> float:
        return self.evaluate(v)[0]

    def expected(self, v: Array) -> None:
        return None

    def _summed(self, v: Array) -> tuple[float, Array, Array]:
        value, gradient, hessian = 0.0, np.zeros(len(v)), np.zeros((len(v), len(v)))
        for block in self.rows("Newton"):
            design = TransformedDesign(block.D, self.columns.back)
            y, offset, weights = (torch.from_numpy(t) for t in (block.y, block.offset, block.weights / self.n))
            of_block = Likelihood(self.noise, design, y, offset, weights, self.joint)
            more, slope, curved = of_block.evaluate(v)
            value, gradient, hessian = value + more, gradient + slope, hessian + curved
        finite = np.isfinite(value) and np.isfinite(gradient).all() and np.isfinite(hessian).all()
        return value if finite else np.inf, gradient, hessian


def chunked_glm(noise: Noise, rows: Pass, sketch: Sketch) -> Solution:
    """theta and, for a noise whose scale moves it, the scale as well. The last step, too short to be checked, is taken
    as it is."""
    design = sketch.design()
    joint = noise.joint
    likelihood = ChunkedLikelihood(noise, rows, OrthogonalColumns.of(design), sketch.n, joint)
    point = newton(likelihood, start(likelihood, sketch), max_steps=PASSES, enough=lambda at: _settled(at) or _flat(at))
    if not _settled(point):
        _refuse(noise, point, joint)
    v = point.v + point.step
    theta = torch.from_numpy(design.theta(v[: design.rank]))
    given = None if noise.scale_value is None else float(noise.scale_value)
    scale = float(np.exp(v[-1])) if joint else given
    return Solution(theta, scale, np.nan, design.rank, "optimum", design)


def _settled(point: NewtonPoint) -> bool:
    longest = np.abs(point.step).max(initial=0.0)
    return bool(longest <= SETTLED * (1 + np.abs(point.v).max(initial=0.0)))


def _flat(point: NewtonPoint) -> bool:
    far = np.abs(point.step).max(initial=0.0) > FAR
    return bool(far and point.slope < FLAT * max(1.0, point.value))


def _refuse(noise: Noise, point: NewtonPoint, joint: bool) -> NoReturn:
    if joint and point.v[-1] < np.log(FAINT):
        raise UserError(
            f"{noise.name} noise: the counts vary no more than Poisson's, so that the {noise.scale_name} has no "
            "optimum above 0; noise=poisson would do."
        )
    raise UserError(
        f"{noise.name} noise has no finite optimum that was found: the counts may be all zero where coefficients can "
        "send the rate to zero (a level of a text column without events, for example)."
    )


def start(likelihood: ChunkedLikelihood, sketch: Sketch) -> Array:
    """The optimum of the sample; if it has none, or one that some row makes impossible, the constant."""
    noise, columns, joint = likelihood.noise, likelihood.columns, likelihood.joint
    with contextlib.suppress(UserError):
        found = solved(replace(sketch.sample, D=columns(sketch.sample.D)))
        z = found.theta.numpy()
        v = np.append(z, np.log(found.scale or 1.0)) if joint else z
        if np.isfinite(likelihood.value(v)):
            return v
    z = _constant(noise, sketch, columns)
    v = np.append(z, 0.0) if joint else z
    if not np.isfinite(likelihood.value(v)):
        raise UserError(f"{noise.name} noise: no starting point with a finite likelihood was found.")
    return v


def _constant(noise: Noise, sketch: Sketch, columns: OrthogonalColumns) -> Array:
    sample = sketch.sample
    mean = torch.tensor(max(float(np.average(sample.y, weights=sample.weights)), 1e-3), dtype=torch.float64)
    level = float(noise.inverse_mean(mean)) - float(np.average(sample.offset, weights=sample.weights))
    return level * columns.coordinates(sketch.ones, sketch.n)
