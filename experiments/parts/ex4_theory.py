"""Theory of exercise 4."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from noiseworks_experiments.parts.ex4_measure import NULL, SUM, d

Array = NDArray[np.float64]


def covariance() -> Array:
    """C (5, 5) of the features of data.rank=4."""
    A = np.vstack((np.eye(4), [SUM, SUM, 0.0, 0.0]))
    return np.asarray(A @ A.T)


def truth() -> Array:
    """w (5,) of data=synthetic: alternating signs, w_j proportional to 1 / (1 + j), norm 1."""
    w = (-1.0) ** np.arange(d) / (1 + np.arange(d))
    return np.asarray(w / np.linalg.norm(w))


def one_copy(sigma: float, n: int) -> tuple[float, float]:
    """Least squares on (X + sigma N, y): the variance of the null coefficient, and E (w_hat - w)'C(w_hat - w).

    Rows are normal, so that y = x~'w_r + e with w_r = (C + sigma^2)^-1 C w and e independent of x~, of variance
    s^2 = 1 + w'C(w - w_r). Given the noisy features w_hat has mean w_r and covariance s^2 (X~'X~)^-1, whose mean, of an
    inverse Wishart matrix, is s^2 (C + sigma^2)^-1 / (n - d - 1).
    """
    C, w = covariance(), truth()
    inverse = np.linalg.inv(C + sigma**2 * np.eye(d))
    w_r = inverse @ C @ w
    spread = (1 + w @ C @ (w - w_r)) * inverse / (n - d - 1)
    return float(NULL @ spread @ NULL), float((w_r - w) @ C @ (w_r - w) + np.trace(C @ spread))
