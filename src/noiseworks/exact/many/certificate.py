"""Scales of K answers, and how nearly they are stationary."""

from __future__ import annotations

import numpy as np

from noiseworks.exact.many.problems import Problems, tensor
from noiseworks.exact.problem import Array


def fitted_scales(problems: Problems, theta: Array) -> Array:
    """The scale that was given, else the maximum-likelihood scale at theta (K, P); nan where the noise has none."""
    noise = problems.noise
    if noise.scale_value is not None:
        return np.full(len(theta), float(noise.scale_value))
    scale = noise.fit_scale(*map(tensor, (problems.eta(theta), problems.y, problems.weights)))
    return np.full(len(theta), np.nan) if scale is None else np.asarray(scale.numpy())


def gradients(problems: Problems, theta: Array, scale: Array) -> Array:
    """(K,): as `noiseworks.exact.gradient`, in the root mean square of each column instead of a power of two."""
    noise, w = problems.noise, problems.weights / problems.weights.sum(axis=1, keepdims=True)
    unit = scale[:, None] if noise.location_scale else np.ones((len(theta), 1))
    noise = noise if noise.scale_name is None else noise.with_scale(tensor(scale[:, None]))
    score = w * noise.score(tensor(problems.eta(theta)), tensor(problems.y)).numpy() * unit
    score = np.where(w > 0, score, 0.0)
    if problems.shared:
        slope, size = score @ problems.D, np.sqrt(w @ problems.D**2)
    else:
        slope, size = (score[:, None, :] @ problems.D)[:, 0], np.sqrt((w[:, None, :] @ problems.D**2)[:, 0])
    return np.asarray(np.abs(slope / np.where(size > 0, size, 1.0)).max(axis=1, initial=0.0))
