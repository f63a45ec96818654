"""Exercise 4: what is measured: what solvers say of designs without full rank, the loss beside an optimum, least
squares on noisy features, and their X'X."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from noiseworks.solvers.naive import solve_by
from noiseworks_experiments.parts.ex4_bases import bases

d, SUM = 5, 1 / math.sqrt(2)
NULL = np.array([0.5, 0.5, 0.0, 0.0, -SUM])  # X NULL = 0 where x4 = (x0 + x1) / sqrt 2
ENTRIES = [(j, k) for j in range(d) for k in range(j, d)]
Array = NDArray[np.float64]


def measure(cfg):
    kinds = {"solvers": solvers, "valley": valley, "copies": copies, "gram": gram, "bases": bases}
    return kinds[cfg.measure](cfg)


def features(n: int, rng: np.random.Generator) -> Array:
    """Features (n, 5) of rank 4, as data=synthetic makes them."""
    X = rng.normal(size=(n, d))
    X[:, 4] = (X[:, 0] + X[:, 1]) * SUM
    return X


def solvers(cfg) -> dict[str, Array]:
    """What one solver says of each of many designs, in float64 or float32; no number where it raised.

    raised: 0 or 1. size: the norm of w. distance: to the answer of minimum norm (or, for a full-rank design, to the
    answer), over its norm. misfit: of the fitted values, over the norm of the best ones. exact_distance: of targets
    that fit without residuals.
    """
    kind = str(cfg.design)
    rng = np.random.default_rng([cfg.seed, *kind.encode()])
    found = np.array([solved(cfg.solver, cfg.precision, *problem(kind, rng)) for _ in range(cfg.replicates)])
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


def solved(solver: str, precision: str, *parts: Array) -> tuple[float, float, float, float, float]:
    """X, w and e are rounded to the precision first, so that its numbers are the truth."""
    X, w, e = (each.astype(precision) for each in parts)
    try:
        found, exactly = (solve_by(solver, X, X @ w + noise).astype(float) for noise in (e, 0 * e))
    except np.linalg.LinAlgError:
        return 1.0, math.nan, math.nan, math.nan, math.nan
    X, w = X.astype(float), w.astype(float)
    norm, fit = np.linalg.norm, X @ w
    distances = (float(norm(v - w) / norm(w)) for v in (found, exactly))
    misfit = float(norm(X @ found - fit) / norm(fit))
    distance, exact_distance = distances
    return 0.0, float(norm(found)), distance, misfit, exact_distance


def valley(cfg) -> dict[str, Array]:
    """How much half the mean square rises from an optimum w to w + across x_3 + along v, on a square grid of
    `replicates` points; v is the null direction of design=sum, and design=full has five independent columns."""
    rng, side = np.random.default_rng([cfg.seed, 7]), math.isqrt(cfg.replicates)
    X = features(20, rng) if cfg.design == "sum" else rng.normal(size=(20, d))
    y = X @ rng.normal(size=d) + rng.normal(size=20)
    w = np.linalg.lstsq(X, y, rcond=1e-10)[0]
    across, along = (axis.ravel() for axis in np.meshgrid(*[np.linspace(-2, 2, side)] * 2))
    moved = w + across[:, None] * np.eye(d)[2] + along[:, None] * NULL
    losses = ((y - moved @ X.T) ** 2).mean(axis=1) / 2
    return {"across": across, "along": along, "rise": losses - ((y - X @ w) ** 2).mean() / 2}


def copies(cfg) -> dict[str, Array]:
    """Least squares on X + sigma N, drawn once, and y = X w + noise of variance one: null, the part of the answer along
    NULL, and clean, the expected squared error of its predictions at clean features."""
    n, R = int(cfg.num_observations), cfg.replicates
    rng = np.random.default_rng([cfg.seed, n, int(1000 * cfg.sigma)])
    X = features(R * n, rng).reshape(R, n, d)
    y = X @ truth() + rng.normal(size=(R, n))
    Q, triangle = np.linalg.qr(X + cfg.sigma * rng.normal(size=X.shape))
    found = np.linalg.solve(triangle, Q.mT @ y[..., None])[..., 0]
    off = found - truth()
    return {"null": found @ NULL, "clean": np.einsum("rj,jk,rk->r", off, covariance(), off)}


def covariance() -> Array:
    """C (5, 5) of the features of data.rank=4."""
    A = np.vstack((np.eye(4), [SUM, SUM, 0.0, 0.0]))
    return np.asarray(A @ A.T)


def truth() -> Array:
    """w (5,) of data=synthetic: alternating signs, w_j proportional to 1 / (1 + j), norm 1."""
    w = (-1.0) ** np.arange(d) / (1 + np.arange(d))
    return np.asarray(w / np.linalg.norm(w))


def gram(cfg) -> dict[str, Array]:
    """G = (X + sigma N)'(X + sigma N) for one X and many N, in units of n sigma^2.

    g<j><k>: an entry of G - X'X. inverse: v'G^-1 v for the null direction v. degrees: e'fitted(e) of a ridge fit,
    with penalty n sigma^2, to noise e of variance one: its mean are the effective degrees of freedom.
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
    return metrics | {"degrees": (fitted * e).sum(axis=1)}


def draw(noise: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Noise of mean 0 and variance 1; `correlated` has a correlation of a half between the columns of a row."""
    if noise == "uniform":
        return rng.uniform(-math.sqrt(3), math.sqrt(3), size=shape)
    if noise == "laplace":
        return rng.laplace(scale=SUM, size=shape)
    N = rng.normal(size=shape)
    return N if noise == "normal" else SUM * (N + rng.normal(size=(*shape[:-1], 1)))
