"""Exercise 4: what is measured: what solvers say of designs without full rank, and X'X of noisy features."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from noiseworks.solvers.naive import solve_by

d, SUM = 5, 1 / math.sqrt(2)
NULL = np.array([0.5, 0.5, 0.0, 0.0, -SUM])  # X NULL = 0 where x4 = (x0 + x1) / sqrt 2
ENTRIES = [(j, k) for j in range(d) for k in range(j, d)]
Array = NDArray[np.float64]


def measure(cfg):
    return {"solvers": solvers, "gram": gram}[cfg.measure](cfg)


def features(n: int, rng: np.random.Generator) -> Array:
    """Features (n, 5) of rank 4, as data=synthetic makes them."""
    X = rng.normal(size=(n, d))
    X[:, 4] = (X[:, 0] + X[:, 1]) * SUM
    return X


def solvers(cfg) -> dict[str, Array]:
    """What one solver says of each of many designs; no number where it raised.

    raised: 0 or 1. size: the norm of w. distance: to the answer of minimum norm (or, for a full-rank design, to the
    answer), over its norm. misfit: of the fitted values, over the norm of the best ones. exact_distance: of targets
    that fit without residuals.
    """
    kind = str(cfg.design)
    rng = np.random.default_rng([cfg.seed, *kind.encode()])
    found = np.array([solved(cfg.solver, *problem(kind, rng)) for _ in range(cfg.replicates)])
    return dict(zip(("raised", "size", "distance", "misfit", "exact_distance"), found.T))


def problem(kind: str, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """X (n, 5), the least-squares answer of minimum norm w, and residuals (n,) orthogonal to the columns of X."""
    if kind[0].isdigit():
        U, V = (np.linalg.qr(rng.normal(size=(n, d)))[0] for n in (20, d))
        X, rows = U * np.geomspace(1, 1 / float(kind), d) @ V.T, np.eye(d)
    else:
        X = features(4 if kind.startswith("wide") else 20, rng)
        if kind == "twin":
            X[:, 4] = X[:, 0]
        if kind == "wide_noisy":
            X = X + 0.1 * rng.normal(size=X.shape)
        U, s, Vt = np.linalg.svd(X, full_matrices=False)
        kept = s > 1e-9 * s[0]
        U, rows = U[:, kept], Vt[kept].T @ Vt[kept]
    e = rng.normal(size=len(X)) / math.sqrt(len(X)) * np.linalg.norm(X)
    return X, rows @ rng.normal(size=d), e - U @ (U.T @ e)


def solved(solver: str, X: Array, w: Array, e: Array) -> tuple[float, float, float, float, float]:
    try:
        found, exactly = (solve_by(solver, X, X @ w + noise) for noise in (e, 0 * e))
    except np.linalg.LinAlgError:
        return 1.0, math.nan, math.nan, math.nan, math.nan
    norm, fit = np.linalg.norm, X @ w
    distances = (float(norm(v - w) / norm(w)) for v in (found, exactly))
    misfit = float(norm(X @ found - fit) / norm(fit))
    distance, exact_distance = distances
    return 0.0, float(norm(found)), distance, misfit, exact_distance


def gram(cfg) -> dict[str, Array]:
    """G = (X + sigma N)'(X + sigma N) for one X and many N, in units of n sigma^2.

    g<j><k>: an entry of G - X'X. inverse: v'G^-1 v for the null direction v. degrees: e'fitted(e) of a ridge fit,
    with penalty n sigma^2, to noise e of variance one: its mean are the effective degrees of freedom, in `formula` by
    their own.
    """
    n, sigma, R = int(cfg.num_observations), float(cfg.sigma), cfg.replicates
    X = features(n, np.random.default_rng([cfg.seed, n]))
    rng = np.random.default_rng([cfg.seed, n, *str(cfg.law).encode(), int(10 * sigma)])
    N = sigma * draw(cfg.law, (R, n, d), rng)
    shift = X.T @ N
    shift = shift + np.swapaxes(shift, 1, 2) + np.swapaxes(N, 1, 2) @ N
    unit = n * sigma**2
    metrics = {f"g{j}{k}": shift[:, j, k] / unit for j, k in ENTRIES}
    metrics["inverse"] = np.linalg.solve(X.T @ X + shift, np.tile(NULL, (R, 1))[..., None])[..., 0] @ NULL * unit
    e = rng.normal(size=(R, n))
    fitted = e @ X @ np.linalg.solve(X.T @ X + unit * np.eye(d), X.T)
    s2 = np.linalg.svd(X, compute_uv=False) ** 2
    return metrics | {"degrees": (fitted * e).sum(axis=1), "formula": np.full(R, (s2 / (s2 + unit)).sum())}


def draw(noise: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Noise of mean 0 and variance 1; `correlated` has a correlation of a half between the columns of a row."""
    if noise == "uniform":
        return rng.uniform(-math.sqrt(3), math.sqrt(3), size=shape)
    if noise == "laplace":
        return rng.laplace(scale=SUM, size=shape)
    N = rng.normal(size=shape)
    return N if noise == "normal" else SUM * (N + rng.normal(size=(*shape[:-1], 1)))
