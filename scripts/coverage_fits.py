"""Many exact fits side by side, also of the noise models that `noiseworks.solvers.solve_batch` fits one by one.

The answers are those of `noiseworks.solvers.solve`: the first of each call are compared with it, and a member that does
not converge here is left to it.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from noiseworks.errors import UserError
from noiseworks.noise import Gaussian, Huber, Laplace, Noise, Poisson
from noiseworks.solvers.batched import solved_batch
from noiseworks.solvers.glm import LOWEST
from noiseworks.solvers.linear_problem import LinearProblems, tensor
from noiseworks.solvers.solution import Solutions
from noiseworks.solvers.solve import solved

Array = NDArray[np.float64]
CHECKED, SAME = 2, 1e-6  # fits of each call that are compared, and how far coefficients may be apart
STEPS, HALVINGS, ROUNDS = 80, 30, 500
STEP = 1e-9  # relative to 1 + |v|: a Newton step from which on it has converged
REACH = 2.0  # the longest step


def fits(problems: LinearProblems) -> Solutions:
    """theta (K, P) and the scale (K,), nan where there is no finite optimum; rows without weights."""
    noise = problems.noise
    if isinstance(noise, Gaussian | Poisson) or noise.quantile_level is not None:
        return solved_batch(problems)
    theta, scale, done = _huber(problems, noise) if isinstance(noise, Huber) else _likelihood(problems)
    answers = Solutions.empty(len(problems), theta.shape[1], "stationary point")
    answers.theta[done], answers.scale[done], answers.rank[:] = theta[done], scale[done], theta.shape[1]
    for k in np.flatnonzero(~done).tolist():
        try:
            answers.put(k, solved(problems.one(k)))
        except UserError as error:
            answers.failures[k] = str(error)
    for k in np.flatnonzero(done)[:CHECKED].tolist():
        off = np.abs(solved(problems.one(k)).theta.numpy() - theta[k]).max()
        assert off <= SAME, f"fit {k} is off by {off:.1e}"
    return answers


def _rows(problems: LinearProblems) -> tuple[Tensor, Tensor]:
    """A (K, n, P) or (1, n, P), and y (K, n)."""
    return tensor(problems.D[None] if problems.shared else problems.D), tensor(problems.y)


def _huber(problems: LinearProblems, noise: Huber) -> tuple[Array, Array, NDArray[np.bool_]]:
    """theta (K, P), scale (K,), and which have converged: least squares weighted anew by the residuals, as R's rlm."""
    A, y = _rows(problems)
    theta = _weighted(A, torch.ones_like(y), y)
    for _ in range(ROUNDS):
        left = (y - _times(A, theta)).abs()
        scale = noise.robust_scale(left)
        new = _weighted(A, (noise.delta * scale[:, None] / left).clamp_max(1.0), y)
        step, theta = (new - theta).abs().amax(-1), new
        if (step <= STEP * scale).all():
            break
    return theta.numpy(), scale.numpy(), (step <= STEP * scale).numpy()


def _weighted(A: Tensor, w: Tensor, y: Tensor) -> Tensor:
    """Least squares (K, P)."""
    wA = w[..., None] * A
    return torch.linalg.solve(wA.mT @ A, (wA.mT @ y[..., None]))[..., 0]


def _times(A: Tensor, theta: Tensor) -> Tensor:
    return (A @ theta[..., None])[..., 0]


def _likelihood(problems: LinearProblems) -> tuple[Array, Array, NDArray[np.bool_]]:
    """theta (K, P), scale (K,) and which have converged: Newton's method jointly with the log scale, in directions of
    negative curvature downhill. A dispersion that goes to zero ends at LOWEST, as in `solve`."""
    noise, (A, y) = problems.noise, _rows(problems)
    v = _start(problems, A, y)
    value, floor = _value(noise, A, y, v), float(np.log(LOWEST))
    for _ in range(STEPS):
        step = _step(noise, A, y, v)
        new, best = v, value
        t = torch.ones_like(value)
        for _ in range(HALVINGS):
            new = v + t[:, None] * step
            new[:, -1].clamp_min_(floor)
            best = _value(noise, A, y, new)
            good = best <= value + 1e-12 * (1 + value.abs())
            if good.all():
                break
            t = torch.where(good, t, t / 2)
        moved = (new - v).abs().amax(-1) / (1 + v.abs().amax(-1))
        v, value = torch.where(good[:, None], new, v), torch.where(good, best, value)
        if (moved <= STEP).all():
            break
    low = v[:, -1] <= floor
    done = good & (moved <= STEP) & ~(low & (not noise.orthogonal or noise.location_scale))
    return v[:, :-1].numpy(), v[:, -1].exp().numpy(), done.numpy()


def _start(problems: LinearProblems, A: Tensor, y: Tensor) -> Tensor:
    """theta and the log scale (K, P + 1): from the medians, counts from Poisson, rounded prices from least squares of
    their logarithms."""
    noise = problems.noise
    if noise.location_scale:
        theta = torch.from_numpy(solved_batch(_as(problems, Laplace())).theta)
    elif noise.orthogonal:
        theta = torch.from_numpy(solved_batch(_as(problems, Poisson())).theta).nan_to_num(0.0)
    else:
        theta = _weighted(A, torch.ones_like(y), y.clamp_min(noise.step / 2).log())
    scale = noise.fit_scale(_times(A, theta), y)
    assert scale is not None
    return torch.cat((theta, scale.clamp(LOWEST, 1e3).log()[:, None]), 1)


def _as(problems: LinearProblems, noise: Noise) -> LinearProblems:
    return LinearProblems(noise, problems.D, problems.y, problems.offset, problems.weights)


def _value(noise: Noise, A: Tensor, y: Tensor, v: Tensor) -> Tensor:
    """The mean nll (K,)."""
    mean = noise.with_scale(v[:, -1:].exp()).nll(_times(A, v[:, :-1]), y).mean(-1)
    return torch.where(torch.isfinite(mean), mean, torch.inf)


def _step(noise: Noise, A: Tensor, y: Tensor, v: Tensor) -> Tensor:
    """(K, P + 1): -|H|^-1 g, with the sizes of H's eigenvalues."""
    found = noise.with_scale(v[:, -1:].exp()).joint_derivatives(_times(A, v[:, :-1]), y)
    assert found is not None
    by_eta, by_t, curved, mixed, by_t_t = (part[..., None] for part in found)
    slope = torch.cat(((A.mT @ by_eta)[..., 0], by_t.sum(1)), 1)
    border = A.mT @ mixed
    top, bottom = torch.cat(((curved * A).mT @ A, border), 2), torch.cat((border.mT, by_t_t.sum(1)[..., None]), 2)
    curvatures, axes = torch.linalg.eigh(torch.cat((top, bottom), 1))
    curvatures = curvatures.abs().clamp_min(1e-12 * y.shape[1])
    return -(axes @ ((axes.mT @ slope[..., None]) / curvatures[..., None]))[..., 0].clamp(-REACH, REACH)
