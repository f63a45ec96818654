"""Exercise 8: what is measured where the logarithm of the rate is linear, and what least squares finds there."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from noiseworks.inference.uncertainty import batched_standard_errors
from noiseworks.noise import Poisson
from noiseworks.solvers.batched import solve_batch, solved_batch
from noiseworks.solvers.linear_problem import LinearProblems
from noiseworks.solvers.solve import solve
from noiseworks_experiments.parts.counts import Z, alpha_of, clustered_counts, counts, tensor

A, B = 0.5, 0.8  # log rate = A + B x
BUSY = 2.0  # in place of A
RARE = 0.1
TRUTHS = ["log", "rare", "busy", "skewed"]
Array = NDArray[np.float64]


def predictor(truth: str, n: int) -> tuple[Array, Array]:
    """D (n, P), the coefficient of interest in front, and the rates (n,). x: quantiles of a normal distribution; busy:
    of a uniform one; skewed: of the cube of one, whose few large values have the large rates."""
    if truth == "rare":
        return np.ones((n, 1)), np.full(n, RARE)
    u = (np.arange(n) + 0.5) / n
    if truth == "log":
        x = stats.norm.ppf(u)
        return np.column_stack((x, np.ones(n))), np.exp(A + B * x)
    x = u if truth == "busy" else u**3
    x = (x - x.mean()) / x.std()
    return np.column_stack((x, np.ones(n))), np.exp(BUSY + B * x)


def drawn(cfg, rates: Array) -> Array:
    """Counts (R, n): Poisson; of variance dispersion * rate; for truth=skewed negative binomial."""
    rng = np.random.default_rng([cfg.seed, 4, len(rates), TRUTHS.index(cfg.truth), int(cfg.dispersion)])
    if cfg.truth == "skewed":
        return clustered_counts(rates, alpha_of(rates, cfg.dispersion), cfg.replicates, rng)
    return counts(rates, cfg.dispersion, cfg.replicates, rng)


def coverage(cfg) -> dict[str, Array]:
    """Of each replicate: the first coefficient, and whether its intervals at 95 % cover; where all counts are zero
    there is neither. And what least squares finds: of the counts, and of log(1 + count)."""
    D, rates = predictor(cfg.truth, cfg.num_observations)
    y = drawn(cfg, rates)
    exists = y.any(axis=1)
    problems = LinearProblems.of(Poisson(), tensor(D), tensor(np.where(exists[:, None], y, 1.0)), None, None)
    fit = solved_batch(problems)
    truth, estimate = (math.log(RARE) if cfg.truth == "rare" else B), fit.theta[:, 0]
    mu = np.exp(problems.eta(fit.theta))
    pearson = ((problems.y - mu) ** 2 / mu).sum(axis=1) / (len(D) - D.shape[1])
    errors = {how: batched_standard_errors(problems, fit, how)[:, 0] for how in ("information", "HC3")}
    errors["quasi"] = errors["information"] * np.sqrt(pearson)
    found = {f"covers_{how}": exists & (np.abs(estimate - truth) <= Z * error) for how, error in errors.items()}
    found |= {"exists": exists, "pearson": pearson, "estimate": np.where(exists, estimate, np.nan)}
    if cfg.truth == "rare":
        return found | {"refused": len(solve_batch(Poisson(), tensor(D), tensor(0 * y[:1])).failures)}
    if cfg.truth != "log":
        return found
    return found | least_squares(D, y) | once(D, y[0])


def least_squares(D: Array, y: Array) -> dict[str, Array]:
    """Of the counts: the share of rows with a negative mean, and of the last quarter of the rows that lie within Z
    residual standard deviations of the line. And the slope of log(1 + count)."""
    n = len(D)
    found = np.linalg.lstsq(D, np.hstack((y.T, np.log1p(y.T))), rcond=None)[0]
    lines = D @ found[:, : len(y)]
    left = np.abs(y.T - lines)
    inside = left <= Z * np.sqrt((left**2).sum(axis=0) / (n - 2))
    last = inside[3 * n // 4 :].mean(axis=0)
    return {"negative": (lines < 0).mean(axis=0), "inside_last": last, "slope_log1p": found[0, len(y) :]}


def once(D: Array, y: Array) -> dict[str, float]:
    """Without chance, for one sample: the orders of Newton's method and of gradient descent, log e'' / e' over
    log e' / e of three distances in a row; and counts with an exposure as an offset, or as rates with weights."""
    left = {how: distances(D, y, how) for how in ("newton", "descent")}
    last = {how: np.log(e[(e > 1e-13) & (e < 0.3)][-3:]) for how, e in left.items()}
    exposure = 1 + np.arange(len(y)) % 4.0
    by_offset = solve(Poisson(), tensor(D), tensor(y), offset=tensor(np.log(exposure))).theta
    weighted, plain = (
        solve(Poisson(), tensor(D), tensor(y / exposure), weights=w).theta for w in (tensor(exposure), None)
    )
    found = {f"order_{how}": float((e[2] - e[1]) / (e[1] - e[0])) for how, e in last.items()}
    found |= {f"steps_{how}": int((e > 1e-10).sum()) for how, e in left.items()}
    theta = solve(Poisson(), tensor(D), tensor(y)).theta.numpy()
    eigenvalues = np.linalg.eigvalsh(D.T @ (D * np.exp(D @ theta)[:, None]))
    contraction = {
        "found": math.exp(last["descent"][-1] - last["descent"][-2]),
        "theory": 1 - eigenvalues[0] / eigenvalues[1],
    }
    return found | {
        **{f"contraction_{name}": float(value) for name, value in contraction.items()},
        "residuals": float(np.abs(D.T @ (y - np.exp(D @ theta))).max()),
        "exposure_weighted": float((by_offset - weighted).abs().max()),
        "exposure_plain": float((by_offset - plain).abs().max()),
    }


def distances(D: Array, y: Array, how: str) -> Array:
    """Of log mean(y) and no slope, and of the steps from there, to the answer: Newton's, or the gradient over the
    largest second derivative at the answer."""
    answer = solve(Poisson(), tensor(D), tensor(y)).theta.numpy()
    largest = np.linalg.eigvalsh(D.T @ (D * np.exp(D @ answer)[:, None]))[-1]
    theta, found = np.array([0.0, math.log(y.mean())]), []
    for _ in range(200):
        found.append(float(np.abs(theta - answer).max()))
        mu = np.exp(D @ theta)
        slope = D.T @ (y - mu)
        theta = theta + (np.linalg.solve(D.T @ (D * mu[:, None]), slope) if how == "newton" else slope / largest)
    return np.array(found)
