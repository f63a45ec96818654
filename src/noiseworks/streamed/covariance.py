"""Standard errors from sums over all rows: as `inference.uncertainty`, where the rows need not be seen one by one."""

from __future__ import annotations

import numpy as np

from noiseworks.errors import UserError
from noiseworks.exact import Answer
from noiseworks.exact.problem import Array
from noiseworks.inference import Uncertainty
from noiseworks.inference.whitened import Whitened, inverse_root
from noiseworks.noise import Gaussian, Noise
from noiseworks.streamed.last_pass import Sums


def methods(noise: Noise) -> tuple[str, ...]:
    """Those that a stream has, the first of them that of `auto`."""
    if isinstance(noise, Gaussian):
        return "iid", "information", "HC0", "HC1"
    return ("HC0", "HC1") if noise.quantile_level is not None else ("information", "HC0", "HC1")


def check_method(noise: Noise, method: str) -> None:
    if method != "auto" and method not in methods(noise):
        raise UserError(
            f"optimizer.standard_errors={method} is not computed for {noise.name} noise from a table larger than "
            f"data.memory_mb; it must be auto, or one of {', '.join(methods(noise))}."
        )


def uncertainty(noise: Noise, answer: Answer, sums: Sums, n: int, unit: float, method: str) -> Uncertainty:
    """unit: the mean of the weights, which counts for noise models that know their spread."""
    assert answer.design is not None
    method = methods(noise)[0] if method == "auto" else method
    white = Whitened.of(answer.design)
    factor = white.theta(_root(noise, answer, sums, n, unit, white, method))
    degrees = float(n - answer.rank) if noise.location_scale else np.inf
    return Uncertainty(factor, white.row_space(), white.design.scale, method, degrees)


def _root(noise: Noise, answer: Answer, sums: Sums, n: int, unit: float, white: Whitened, method: str) -> Array:
    """L (r, r) with L L' the covariance in the columns of A."""
    r = answer.rank
    if r == n and noise.location_scale:
        return np.full((r, r), np.nan)
    if method == "iid":  # RSS / (n - r) (A'WA)^-1
        return (answer.scale or 0.0) * np.sqrt(n / (n - r)) * inverse_root(white.gram(np.ones(len(white.A))))
    if method == "information":
        return inverse_root(sums.bread * (1.0 if noise.location_scale else unit))
    more = np.sqrt(n / (n - r)) if method == "HC1" and n > r else 1.0
    half = inverse_root(sums.bread)
    return np.asarray(more * half @ (half.T @ _square_root(sums.meat)))


def _square_root(M: Array) -> Array:
    """S with S S' = M, which is symmetric and not negative."""
    if not len(M) or not np.isfinite(M).all():
        return np.full_like(M, np.nan)
    values, vectors = np.linalg.eigh(M)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))
