"""Counts: K fits by Newton's method with Fisher's information, side by side."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from noiseworks.solvers.batched_least_squares import BatchedColumns
from noiseworks.solvers.glm import TINY
from noiseworks.solvers.linear_problem import Array, LinearProblems, tensor

STEPS = 60
HALVINGS = 30
STEP = 1e-10  # relative to 1 + |z|: from here on it converges
EXACT = 4 * float(np.finfo(float).eps)  # likewise; and steps that stop shrinking are rounding errors
ACCURATE = 1e-11  # eps times the condition of the columns, above which a problem is solved alone


def batched_glm(problems: LinearProblems, columns: BatchedColumns) -> tuple[Array, NDArray[np.bool_]]:
    """theta (K, P), and for which members Newton's method converged to a finite optimum; weights of mean one.

    z <- z - t (A' diag(w I) A)^-1 A' (w s), s the score and I the information about eta, t the first of 1, 1/2,
    1/4, ... that lowers the likelihood enough (Armijo). A rate close to zero where no count is may be on its way to
    zero: such a member does not count as converged.
    """
    likelihood = _Likelihood(problems, columns)
    z = likelihood.start()
    value = likelihood.value(z)
    running = columns.sound & np.isfinite(value)
    converged, last = np.zeros_like(running), np.full(len(z), np.inf)
    for _ in range(STEPS):
        if not running.any():
            break
        step, slope = likelihood.step(z)
        step[~running] = 0.0
        z, value, moved = _backtrack(likelihood, z, value, step, slope)
        size = np.abs(step).max(axis=1) / (1 + np.abs(z).max(axis=1))
        converged |= running & (size <= STEP)
        running &= moved & ((size > STEP) | ((size < last / 2) & (size > EXACT)))
        last = size
    vanishing = (likelihood.rates(z) < TINY) & (problems.y == 0) & (problems.weights > 0)
    accurate = np.finfo(float).eps * columns.condition <= ACCURATE
    return columns.theta(z), converged & accurate & ~vanishing.any(axis=1)


def _backtrack(
    likelihood: _Likelihood, z: Array, value: Array, step: Array, slope: Array
) -> tuple[Array, Array, NDArray[np.bool_]]:
    """Where each member goes, its value there, and whether it found a better point at all."""
    t, rounding = np.ones(len(z)), 8 * np.finfo(float).eps * (1e-3 + np.abs(value))
    for _ in range(HALVINGS):
        new = likelihood.value(z + t[:, None] * step)
        good = new <= value + 1e-4 * t * slope + rounding
        if good.all():
            break
        t[~good] /= 2
    return np.where(good[:, None], z + t[:, None] * step, z), np.where(good, new, value), good


class _Likelihood:
    """The mean nll of K members as functions of z (K, r), eta = A z + offset."""

    def __init__(self, problems: LinearProblems, columns: BatchedColumns) -> None:
        self.problems, self.columns = problems, columns
        self.n = problems.y.shape[1]
        self.y = tensor(problems.y)

    def eta(self, z: Array) -> torch.Tensor:
        return torch.from_numpy(self.columns.rows.times(z) + self.problems.offset)

    def rates(self, z: Array) -> Array:
        return np.asarray(self.problems.noise.mean(self.eta(z)).numpy())

    def value(self, z: Array) -> Array:
        """(K,), infinite where it is no number."""
        w = self.problems.weights
        nll = self.problems.noise.nll(self.eta(z), self.y).numpy()
        with np.errstate(invalid="ignore"):
            mean = np.where(w > 0, w * nll, 0.0).mean(axis=1)
        return np.where(np.isfinite(mean), mean, np.inf)

    def step(self, z: Array) -> tuple[Array, Array]:
        """Newton's step (K, r) and the slope of the mean nll along it (K,)."""
        eta, w, noise = self.eta(z), self.problems.weights, self.problems.noise
        information = noise.information(eta)
        assert information is not None
        gradient = self.columns.rows.turned(w * noise.score(eta, self.y).numpy() / self.n)
        hessian = self.columns.rows.gram(np.maximum(w * information.numpy() / self.n, 0.0))
        step = -_solved(hessian, gradient)
        return step, (gradient * step).sum(axis=1)

    def start(self) -> Array:
        """The least-squares fit of eta = inverse_mean((y + mean y) / 2), as `noiseworks.solvers.glm`."""
        problems, rows = self.problems, self.columns.rows
        w, y = problems.weights, problems.y
        middle = (y + np.maximum((w * y).mean(axis=1, keepdims=True), 1e-3)) / 2
        eta = problems.noise.inverse_mean(torch.from_numpy(middle)).numpy() - problems.offset
        return np.asarray(np.linalg.solve(self.columns.gram, rows.turned(w * eta)[..., None] / self.n)[..., 0])


def _solved(matrices: Array, right: Array) -> Array:
    """Zero where a matrix is not finite, or zero."""
    size = np.trace(matrices, axis1=1, axis2=2)
    usable: NDArray[np.bool_] = np.isfinite(size) & (size > 0) & np.isfinite(right).all(axis=1)
    eye = np.eye(matrices.shape[-1])
    safe = np.where(usable[:, None, None], matrices + 1e-15 * size[:, None, None] * eye, eye)
    return np.linalg.solve(safe, np.where(usable[:, None], right, 0.0)[..., None])[..., 0]
