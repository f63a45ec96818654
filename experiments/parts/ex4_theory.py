"""Theory of exercise 4."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from noiseworks_experiments.parts.ex4_measure import NULL, covariance, d, features, truth

Array = NDArray[np.float64]


def one_copy(sigma: float, n: int, spread_by: int | None = None) -> tuple[float, float]:
    """Least squares on (X + sigma N, y): the variance of the null coefficient, and E (w_hat - w)'C(w_hat - w).

    Rows are normal, so that y = x~'w_r + e with w_r = (C + sigma^2)^-1 C w and e independent of x~, of variance
    s^2 = 1 + w'C(w - w_r). Given the noisy features w_hat has mean w_r and covariance s^2 (X~'X~)^-1, whose mean, of an
    inverse Wishart matrix, is s^2 (C + sigma^2)^-1 / (n - d - 1). spread_by: what a wrong theory has for n - d - 1.
    """
    C, w = covariance(), truth()
    inverse = np.linalg.inv(C + sigma**2 * np.eye(d))
    w_r = inverse @ C @ w
    spread = (1 + w @ C @ (w - w_r)) * inverse / (spread_by or n - d - 1)
    return float(NULL @ spread @ NULL), float((w_r - w) @ C @ (w_r - w) + np.trace(C @ spread))


def wrong_variances(sigma: float, n: int) -> dict[str, float]:
    """Of the null coefficient, over the right one."""
    known = one_copy(sigma, n)[0]
    theories = {f"{name} for n - d - 1": one_copy(sigma, n, by)[0] / known for name, by in (("n", n), ("n - d", n - d))}
    return theories | {"a standard deviation for the variance": known**-0.5}


def wrong_errors(sigma: float, n: int) -> dict[str, float]:
    """Of predictions at clean features. Their error is that of weights w_r that are estimated, and with much noise most
    of it is that of w_r itself, which no count of rows changes."""
    errors = {name: one_copy(sigma, n, by)[1] for name, by in (("n", n), ("n - d", n - d))}
    return {f"{name} for n - d - 1": error for name, error in errors.items()}


def way_to_ridge(penalty: float, full: float) -> float:
    """How far the ridge answer for `penalty`, times |w|^2 / 2 beside the mean loss, lies on the way from minimum norm
    to that for `full`, for infinitely many rows."""
    C, w = covariance(), truth()
    least = np.linalg.pinv(C) @ C @ w
    one, other = (np.linalg.solve(C + p * np.eye(d), C @ w) - least for p in (penalty, full))
    return float(one @ other / (other @ other))


def degrees_of_freedom(seed: int, n: int, penalty: float, power: int = 2) -> float:
    """sum s^2 / (s^2 + penalty) over the singular values s of the clean X of ex4_gram; power: a wrong one for 2."""
    s = np.linalg.svd(features(n, np.random.default_rng([seed, n])), compute_uv=False)
    return float((s**power / (s**power + penalty)).sum())
