"""Theory of exercise 3: the features, the truth, and the errors of what is fitted to it."""

from __future__ import annotations

import math
from functools import cache

import numpy as np
from numpy.typing import NDArray

D, ROWS, CURVATURE = 4, 200, 1.0  # as in the experiments
WEIGHTS = 15
PAIRS = [(i, j) for i in range(D) for j in range(i + 1)]
NAMES = [f"x{i}" for i in range(D)] + [f"x{i}^2" if i == j else f"x{j}*x{i}" for i, j in PAIRS] + ["intercept"]
Array = NDArray[np.float64]


def features(x: Array) -> Array:
    """(n, d) -> (n, 15): x_i, then x_i x_j for j <= i, then 1."""
    products = [x[:, i] * x[:, j] for i, j in PAIRS]
    return np.column_stack([x, *products, np.ones(len(x))])


def form(rank: int) -> Array:
    """Q: its eigenvalues have size c / sqrt(rank) and alternate in sign."""
    angles = np.pi * np.outer(np.arange(D) + 0.5, np.arange(rank)) / D
    U = math.sqrt(2 / D) * np.cos(angles)
    U[:, 0] = 1 / math.sqrt(D)
    return (U * (-1.0) ** np.arange(rank)) @ U.T * CURVATURE / math.sqrt(rank)


def truth(rank: int) -> Array:
    """The coefficients of x'Q x + (x_1 + ... + x_d) / 2 + 1, in the order of `features`."""
    Q = form(rank)
    return np.array([0.5] * D + [Q[i, j] * (1 if i == j else 2) for i, j in PAIRS] + [1.0])


@cache
def nodes() -> tuple[Array, Array]:
    """x (m, d) and weights (m,): Gauss and Hermite's quadrature, exact for polynomials of degree 13 in each x_i."""
    points, weights = np.polynomial.hermite_e.hermegauss(7)
    grid = np.stack(np.meshgrid(*[points] * D, indexing="ij"), axis=-1).reshape(-1, D)
    every = np.stack(np.meshgrid(*[weights / weights.sum()] * D, indexing="ij"), axis=-1).reshape(-1, D)
    return grid, every.prod(axis=1)


@cache
def moments() -> Array:
    """E[f f'] of the features f, (15, 15)."""
    x, weights = nodes()
    f = features(x)
    return f.T @ (weights[:, None] * f)


@cache
def whitened() -> Array:
    """g (15, m) at the nodes: the features f in units in which E[g g'] = I."""
    x, _ = nodes()
    return np.asarray(np.linalg.solve(np.linalg.cholesky(moments()), features(x).T))


def new_examples(n: int) -> float:
    """E[f'(F'F)^-1 f] for a new f, to order 1 / n^3.

    F'F / n = I + E in units of g, and (I + E)^-1 = I - E + E^2 - ... E is the mean of n independent A = g g' - I:
    E[tr E^2] = tr S / n with S = E[A^2] = E[|g|^2 g g'] - I, E[tr E^3] = E[tr A^3] / n^2, and to the same order
    E[tr E^4] = (2 tr S^2 + E[tr A B A B]) / n^2 with B an independent A.
    """
    _, weights = nodes()
    g, p = whitened(), WEIGHTS
    length = (g**2).sum(0)
    S = (g * (weights * length)) @ g.T - np.eye(p)
    cubes = weights @ (length - 1) ** 3 - (p - 1)
    pairs = np.einsum("im,jm->ijm", g, g).reshape(p * p, -1)
    fourth = (((pairs * weights) @ pairs.T) ** 2).sum()  # E[(g'h)^4], h an independent g
    alternating = fourth - 2 * weights @ length**2 + p
    return float(p / n + np.trace(S) / n**2 + (2 * np.trace(S @ S) + alternating - cubes) / n**3)


def best_affine(rank: int, n: int) -> float:
    """What the best affine function misses, 2 |Q|^2, and what it costs to estimate it from n rows (to order 1 / n):
    E[(1 + |x|^2) (1 + m^2)] / n with m = x'Q x - tr Q, which acts as noise beside the noise of variance 1."""
    x, weights = nodes()
    missed = np.einsum("ni,ij,nj->n", x, form(rank), x) - np.trace(form(rank))
    return float(weights @ missed**2 + weights @ ((1 + (x**2).sum(1)) * (1 + missed**2)) / n)


def free(rank: int) -> int:
    """How many numbers fix sum_k u_k (w_k'x + a_k)^2 + b of width h = rank < d: d h - h (h - 1) / 2 the symmetric
    matrix of rank h, h the linear part, which lies in its range, and one the constant."""
    return D * rank - rank * (rank - 1) // 2 + rank + 1


def of_width(rank: int, n: int) -> float:
    """Excess error of squares as wide as the form's rank, to order 1 / n^2: near the truth the network is linear in its
    parameters, with its derivative t as features, so that it is q / n + (E|g|^4 - q) / n^2 as for `new_examples`, q the
    number of independent ones (`free`) and g these in units in which E[g g'] = I. Its curvature is left out."""
    (x, weights), q = nodes(), free(rank)
    t = derivative(x, rank)
    _, s, V = np.linalg.svd(np.sqrt(weights)[:, None] * t, full_matrices=False)
    length = (((t @ V[:q].T) / s[:q]) ** 2).sum(1)
    return float(q / n + (weights @ length**2 - q) / n**2)


def derivative(x: Array, rank: int) -> Array:
    """Of sum_k u_k (w_k'x + a_k)^2 + b by u_k, w_k, a_k and b at the truth, x (n, d) -> (n, (d + 2) rank + 1)."""
    u, W, a = units(rank)
    z = x @ W.T + a
    slopes = 2 * u * z
    by_w = (slopes[:, :, None] * x[:, None, :]).reshape(len(x), -1)
    return np.column_stack([z**2, by_w, slopes, np.ones(len(x))])


def units(rank: int) -> tuple[Array, Array, Array]:
    """u, W and a of the truth: a unit for each eigenvector, the first of which has the linear part, 2 u a'W x, too."""
    values, vectors = np.linalg.eigh(form(rank))
    W = vectors[:, np.abs(values) > 1e-9].T
    u = values[np.abs(values) > 1e-9]
    return u, W, W @ np.full(D, 0.5) / (2 * u)
