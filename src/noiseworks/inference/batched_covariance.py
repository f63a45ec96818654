"""Standard errors of K exact answers at once: the formulas of `noiseworks.inference.covariance` on the leading axis."""

from __future__ import annotations

import numpy as np
import torch

from noiseworks.errors import UserError
from noiseworks.inference.density import STEPS, at_the_edge, bandwidth, smoothed
from noiseworks.noise import Gaussian, Noise, Poisson
from noiseworks.solvers.linear_problem import Array, LinearProblems, tensor
from noiseworks.solvers.quantile.batched_quantile import batched_least_absolute
from noiseworks.solvers.solution import Solutions

POWER = {"HC0": 0.0, "HC1": 0.0, "HC2": 0.5, "HC3": 1.0}


def batched_standard_errors(problems: LinearProblems, answers: Solutions, method: str) -> Array:
    """(K, P), for Gaussian, Poisson and quantile noise, problems of full rank, and rows without weights.

    method: iid, information, or HC0 ... HC3, see `noiseworks.inference.uncertainty`.
    """
    noise = problems.noise
    if not isinstance(noise, Gaussian | Poisson) and noise.quantile_level is None:
        raise UserError(f"Standard errors of many fits at once are not known for {noise.name} noise.")
    if not (problems.weights == 1).all():
        raise UserError("Standard errors of many fits at once are not known for weighted rows.")
    blocks = [_block(problems.take(block), answers.theta[block], method) for block in problems.blocks()]
    return np.concatenate(blocks)


def _block(problems: LinearProblems, theta: Array, method: str) -> Array:
    D, eta = np.broadcast_to(problems.D, (len(theta), *problems.D.shape[-2:])), problems.eta(theta)
    n, P = D.shape[1:]
    level = problems.noise.quantile_level
    left = np.asarray(problems.noise.transform(tensor(problems.y)).numpy()) - eta
    spread = 1.0 if level is None else np.sqrt(level * (1 - level))
    if method != "information" and level is not None and at_the_edge(n, P, level):
        return np.full((len(theta), P), np.nan)
    if method == "information":
        return _diagonal(_inverse(D, _information(problems.noise, eta, problems.y)))
    if method == "iid":
        by_row = np.sqrt((left**2).sum(axis=1) / (n - P)) if level is None else spread * _sparsities(left, P, level)
        return by_row[:, None] * _diagonal(_inverse(D, np.ones_like(eta)))
    if level is None:
        noise = problems.noise if problems.noise.counts else problems.noise.with_scale(1.0)  # it cancels
        bread = _information(noise, eta, problems.y)
        score, hat = noise.score(tensor(eta), tensor(problems.y)).numpy(), bread
    else:
        bread, score, hat = _densities(D, left, level), np.full_like(eta, spread), np.ones_like(eta)
    H = _inverse(D, bread)
    leverage = hat * ((D @ _inverse(D, hat)) * D).sum(axis=2)
    size = score / (1 - leverage) ** POWER[method] * (np.sqrt(n / (n - P)) if method == "HC1" else 1.0)
    rows = size[..., None] * D
    return _diagonal(H @ (np.swapaxes(rows, 1, 2) @ rows) @ H)


def _information(noise: Noise, eta: Array, y: Array) -> Array:
    """Fisher's, at the maximum-likelihood scale unless one is given (K, n)."""
    if noise.scale_name is not None and noise.scale_value is None:
        scale = noise.fit_scale(tensor(eta), tensor(y))
        assert isinstance(scale, torch.Tensor)
        noise = noise.with_scale(scale.unsqueeze(1))
    found = noise.information(tensor(eta))
    assert found is not None
    return np.broadcast_to(found.numpy(), eta.shape)


def _inverse(D: Array, c: Array) -> Array:
    """(D' diag(c) D)^-1 (K, P, P)."""
    return np.asarray(np.linalg.inv(np.swapaxes(D, 1, 2) @ (c[..., None] * D)))


def _diagonal(C: Array) -> Array:
    return np.asarray(np.sqrt(np.diagonal(C, axis1=1, axis2=2)))


def _sparsities(left: Array, P: int, level: float) -> Array:
    """1 / f(0) (K,) as `noiseworks.inference.density.sparsity`: problems with as many zero residuals together."""
    n = left.shape[1]
    zeros = (np.abs(left) < np.sqrt(np.finfo(float).eps) * np.abs(left).mean(axis=1, keepdims=True)).sum(axis=1)
    h = max(P + 1, int(np.ceil(n * bandwidth(n, level))))
    found = np.full(len(left), np.nan)
    order = np.argsort(np.abs(left), axis=1, kind="stable")
    for count in np.unique(zeros):
        at, own = np.arange(count, min(h + count + 1, n)), np.flatnonzero(zeros == count)
        near = np.sort(np.take_along_axis(left[own], order[own][:, at], axis=1), axis=1)
        line = np.column_stack((np.ones(len(at)), (at + 1) / (n - P)))
        found[own] = batched_least_absolute(line, near).theta[:, 1]
    return found


def _densities(D: Array, left: Array, level: float) -> Array:
    """f_i(0) (K, n) as `noiseworks.inference.density.row_density`."""
    s2, unit = level * (1 - level), np.abs(left).mean(axis=1, keepdims=True)
    J = np.swapaxes(D, 1, 2) @ D
    V, density = unit[..., None] ** 2 * np.linalg.inv(J), None
    for _ in range(STEPS):
        density = smoothed(density, left, np.sqrt(2 * ((D @ V) * D).sum(axis=2)), unit)
        H = _inverse(D, density)
        V = s2 * H @ J @ H
    assert density is not None
    return density
