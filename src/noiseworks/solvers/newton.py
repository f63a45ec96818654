"""Damped Newton's method with backtracking, for any noise that autograd can differentiate twice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from noiseworks.errors import UserError
from noiseworks.noise import Noise
from noiseworks.solvers.linear_problem import Array

MAX_STEPS = 300
POLISHING = 8  # steps that no longer lower the value, only the gradient
GRADIENT = 1e-8  # at convergence, relative to the curvature where that is above one
STEP = 1e-6  # likewise, relative to 1 + |v|: where no optimum is finite the gradient vanishes, the step does not
REACH = 10.0  # the longest step, times 1 + |v|: exp(eta) forgives no more
ENOUGH = 1e-14  # a gradient that no step makes visibly smaller
SCALE_REACH = 2.0  # the longest step of a log scale: beyond its optimum the likelihood soon is flat


class TwiceDifferentiable(Protocol):
    """A function of v (k,) to be minimized. joint: v ends with a log scale."""

    @property
    def joint(self) -> bool: ...

    def value(self, v: Array) -> float:
        """Infinite where it is no number."""

    def evaluate(self, v: Array) -> tuple[float, Array, Array]:
        """Value, gradient (k,) and Hessian (k, k)."""

    def expected(self, v: Array) -> Array | None:
        """A matrix (k, k) that is positive where the Hessian need not be; None: none is known."""


@dataclass(frozen=True)
class NewtonPoint:
    """Where Newton's method stands: unknowns, value and gradient there, and the step it would take next."""

    v: Array
    value: float
    gradient: Array
    step: Array
    curvature: float

    @property
    def slope(self) -> float:
        return float(np.abs(self.gradient).max(initial=0.0))

    @property
    def converged(self) -> bool:
        small_step = np.abs(self.step).max(initial=0.0) <= STEP * (1 + np.abs(self.v).max(initial=0.0))
        return bool(small_step and self.slope <= GRADIENT * max(1.0, self.curvature))


def newton(
    likelihood: TwiceDifferentiable,
    v: Array,
    floor: float = -np.inf,
    max_steps: int = MAX_STEPS,
    enough: Callable[[NewtonPoint], bool] = lambda point: False,
) -> NewtonPoint:
    """Minimize until rounding errors stop it; look at `converged`. A v of infinite value is returned as it is.

    A step costs one pass over the rows if it is taken whole, as most are. floor: the lowest log scale of a joint
    likelihood; it is held there while the likelihood still falls towards it. enough: where to stop earlier.
    """
    point = _point(likelihood, v, floor)
    polishing = 0
    max_steps = max_steps if np.isfinite(point.value) else 0
    for _ in range(max_steps):
        if point.slope <= ENOUGH * min(1.0, point.curvature) or enough(point):
            break
        whole = _point(likelihood, _trial(likelihood, point, 1.0, floor), floor)
        new = _descent(likelihood, point, whole, floor)
        if new is not None:
            point = new
            continue
        if not np.isfinite(whole.value):  # the value shows no progress any more, the gradient may
            break
        last, point, polishing = point, whole, polishing + 1
        if not point.slope < last.slope / 2:
            return last
        if polishing == POLISHING:
            break
    return point


def checked(point: NewtonPoint, noise: Noise) -> NewtonPoint:
    if point.converged:
        return point
    raise UserError(
        f"{noise.name} noise: Newton's method stopped short of an optimum, at a gradient of {point.slope:.1e}; the "
        "likelihood may have none, or only one at the edge of its domain."
    )


def _point(likelihood: TwiceDifferentiable, v: Array, floor: float) -> NewtonPoint:
    value, gradient, hessian = likelihood.evaluate(v)
    if likelihood.joint and v[-1] <= floor and gradient[-1] >= 0:
        gradient[-1], hessian[-1], hessian[:, -1], hessian[-1, -1] = 0.0, 0.0, 0.0, 1.0
    step = _step(likelihood, v, gradient, hessian)
    longest = REACH * (1 + np.abs(v).max(initial=0.0))
    step = step * min(1.0, longest / max(float(np.abs(step).max(initial=0.0)), 1e-300))
    if likelihood.joint:
        step = step * min(1.0, SCALE_REACH / max(abs(float(step[-1])), 1e-300))
    return NewtonPoint(v, value, gradient, step, float(np.abs(hessian).max(initial=0.0)))


def _step(likelihood: TwiceDifferentiable, v: Array, gradient: Array, hessian: Array) -> Array:
    """-(H + damping I)^-1 g, with the smallest damping tried for which the matrix is positive definite."""
    if not (np.isfinite(hessian).all() and np.isfinite(gradient).all()):
        return np.zeros_like(v)
    size = float(np.abs(hessian).max(initial=0.0)) or 1.0
    for matrix in _candidates(likelihood, v, hessian, size):
        try:
            return np.asarray(-cho_solve(cho_factor(matrix), gradient))
        except LinAlgError:
            continue
    return -gradient / size


def _candidates(likelihood: TwiceDifferentiable, v: Array, hessian: Array, size: float) -> Iterator[Array]:
    yield hessian
    if (np.diag(hessian) <= 0).any() and (expected := likelihood.expected(v)) is not None:
        yield expected
    for damping in np.geomspace(1e-10, 1e4, 15):
        yield hessian + size * damping * np.eye(len(v))


def _descent(
    likelihood: TwiceDifferentiable, point: NewtonPoint, whole: NewtonPoint, floor: float
) -> NewtonPoint | None:
    """The first of v + step, v + step / 2, ... that lowers the mean nll by 1e-4 of what its slope promises (Armijo)."""
    promise = float(point.gradient @ point.step)
    if -promise <= 4 * np.finfo(float).eps * (1e-3 + abs(point.value)) or (whole.v == point.v).all():
        return None
    if whole.value <= point.value + 1e-4 * promise:
        return whole
    for halvings in range(1, 50):
        t = 0.5**halvings
        new = _trial(likelihood, point, t, floor)
        if (new == point.v).all():
            return None
        if likelihood.value(new) <= point.value + 1e-4 * t * promise:
            return _point(likelihood, new, floor)
    return None


def _trial(likelihood: TwiceDifferentiable, point: NewtonPoint, t: float, floor: float) -> Array:
    new: Array = point.v + t * point.step
    if likelihood.joint:
        new[-1] = max(new[-1], floor)
    return new
