"""Counts: Newton's method with a pass over all rows for each step, from the answer for a few of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from noiseworks.errors import UserError
from noiseworks.noise import Noise
from noiseworks.solvers.design import TransformedDesign
from noiseworks.solvers.likelihood import Likelihood
from noiseworks.solvers.linear_problem import Array, LinearProblem
from noiseworks.solvers.solution import Solution
from noiseworks.solvers.solve import solved
from noiseworks.solvers.sufficient_statistics import OrthogonalColumns, Pass, Sketch

PASSES = 40
SETTLED = 1e-6  # a step that is smaller is the last: the error after it is about its square
FAINT = 1e-3  # a dispersion that vanishes
FLAT, FAR = 1e-7, 1e-2  # a gradient so small with a step so long: the optimum is not finite


@dataclass(frozen=True)
class ChunkedPoint:
    """Unknowns v, the mean nll there, its gradient and Hessian."""

    v: Array
    value: float
    gradient: Array
    hessian: Array

    def step(self) -> Array:
        """-(H + damping I)^-1 g, with the smallest damping tried for which the matrix is positive definite."""
        size = float(np.abs(self.hessian).max(initial=0.0)) or 1.0
        for damping in (0.0, *np.geomspace(1e-10, 1e4, 15)):
            try:
                factor = cho_factor(self.hessian + size * damping * np.eye(len(self.v)))
            except LinAlgError:
                continue
            return np.asarray(-cho_solve(factor, self.gradient))
        return -self.gradient / size


def chunked_glm(noise: Noise, rows: Pass, sketch: Sketch) -> Solution:
    """theta and, for a noise whose scale moves it, the scale as well."""
    design = sketch.design()
    columns = OrthogonalColumns.of(design)
    joint = not noise.separable and noise.scale_value is None

    def at(v: Array) -> ChunkedPoint:
        return sums(noise, rows("Newton"), columns, sketch.n, joint, v)

    point = start(noise, sketch, columns, joint, at)
    v = chunked_newton(noise, point, at, joint)
    theta = torch.from_numpy(design.theta(v[: design.rank]))
    given = None if noise.scale_value is None else float(noise.scale_value)
    scale = float(np.exp(v[-1])) if joint else given
    return Solution(theta, scale, np.nan, design.rank, "optimum", design)


def sums(
    noise: Noise, blocks: Iterator[LinearProblem], columns: OrthogonalColumns, n: int, joint: bool, v: Array
) -> ChunkedPoint:
    value, k = 0.0, len(v)
    gradient, hessian = np.zeros(k), np.zeros((k, k))
    for block in blocks:
        y, offset, weights = (torch.from_numpy(t) for t in (block.y, block.offset, block.weights / n))
        more, slope, curved = Likelihood(
            noise, TransformedDesign(block.D, columns.back), y, offset, weights, joint
        ).evaluate(v)
        value, gradient, hessian = value + more, gradient + slope, hessian + curved
    finite = np.isfinite(value) and np.isfinite(gradient).all() and np.isfinite(hessian).all()
    return ChunkedPoint(v, value if finite else np.inf, gradient, hessian)


def start(
    noise: Noise, sketch: Sketch, columns: OrthogonalColumns, joint: bool, at: Callable[[Array], ChunkedPoint]
) -> ChunkedPoint:
    """The optimum of the sample; if it has none, or one that some row makes impossible, the constant."""
    sample = sketch.sample
    try:
        found = solved(replace(sample, D=columns(sample.D)))
        v = found.theta.numpy()
        point = at(np.append(v, np.log(found.scale or 1.0)) if joint else v)
    except UserError:
        point = None
    if point is None or not np.isfinite(point.value):
        v = _constant(noise, sketch, columns)
        point = at(np.append(v, 0.0) if joint else v)
    if not np.isfinite(point.value):
        raise UserError(f"{noise.name} noise: no starting point with a finite likelihood was found.")
    return point


def _constant(noise: Noise, sketch: Sketch, columns: OrthogonalColumns) -> Array:
    sample = sketch.sample
    mean = torch.tensor(max(float(np.average(sample.y, weights=sample.weights)), 1e-3), dtype=torch.float64)
    level = float(noise.inverse_mean(mean)) - float(np.average(sample.offset, weights=sample.weights))
    return level * columns.coordinates(sketch.ones, sketch.n)


def chunked_newton(noise: Noise, point: ChunkedPoint, at: Callable[[Array], ChunkedPoint], joint: bool) -> Array:
    """Damped by halving (Armijo); the last step, too short to be checked, is taken as it is."""
    for _ in range(PASSES):
        step = point.step()
        longest, largest = float(np.abs(step).max(initial=0.0)), float(np.abs(point.v).max(initial=0.0))
        if longest <= SETTLED * (1 + largest):
            return np.asarray(point.v + step)
        if longest > FAR and float(np.abs(point.gradient).max()) < FLAT * max(1.0, point.value):
            break
        point = _lower(noise, point, step, at)
    if joint and point.v[-1] < np.log(FAINT):
        raise UserError(
            f"{noise.name} noise: the counts vary no more than Poisson's, so that the {noise.scale_name} has no "
            "optimum above 0; noise=poisson would do."
        )
    raise UserError(
        f"{noise.name} noise has no finite optimum that was found: the counts may be all zero where coefficients can "
        "send the rate to zero (a level of a text column without events, for example)."
    )


def _lower(noise: Noise, point: ChunkedPoint, step: Array, at: Callable[[Array], ChunkedPoint]) -> ChunkedPoint:
    promise = float(point.gradient @ step)
    for halvings in range(20):
        t = 0.5**halvings
        new = at(point.v + t * step)
        if new.value <= point.value + 1e-4 * t * promise + 1e-14 * (1 + abs(point.value)):
            return new
    raise UserError(f"{noise.name} noise: Newton's method found no lower likelihood; it may have no optimum.")
