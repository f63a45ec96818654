"""Covariances of K answers: from errors of one distribution, from the information, from the scores alone.

Weights are precisions, as in R's lm, glm and rq: row i is taken for the mean of w_i observations, or for one whose
variance is 1 / w_i of the usual. Where the spread is estimated from the rows, the unit of the weights does not matter;
where the model knows it (counts, a given scale), weight two is two rows. The sandwich takes rows as they come."""

from __future__ import annotations

import numpy as np
import torch

from noiseworks.inference.density import row_density, sparsity
from noiseworks.inference.scores import RowScores
from noiseworks.inference.whitened import gram, inverse_root, sandwich_root, triangle
from noiseworks.solvers.design import TransformedDesign
from noiseworks.solvers.likelihood import Likelihood
from noiseworks.solvers.linear_problem import Array

HOW = {
    "iid": "errors of the same distribution in every row",
    "information": "the noise model is right",
    "HC0": "nothing but independent rows",
}
HOW["bootstrap"] = HOW["HC0"] + ", drawn again with replacement"
HOW |= dict.fromkeys(("HC1", "HC2", "HC3"), HOW["HC0"])
BIASED = "none"  # the method that is named where there are no standard errors, under a ridge
SUSPICIOUS = 1.5  # counts that vary so many times as much as the noise model says

POWER = {"HC2": 0.5, "HC3": 1.0}  # of 1 - leverage
METHODS = ("auto", "iid", "information", "HC0", "HC1", "HC2", "HC3")


def covariance_root(rows: RowScores, A: Array, method: str) -> Array:
    """L (K, r, .) with L L' the covariance of z by this method, eta = A z + offset, A (K, n, r); nan where no row is
    left to show the noise, or no covariance is there."""
    n, r = A.shape[1:]
    if n == r and rows.noise.location_scale:
        return np.full((len(rows.y), r, r), np.nan)
    apart = rows.noise.orthogonal or not rows.assumed.estimates_scale
    if method == "information" and (rows.information is None or not apart):
        return np.stack([_observed(rows, k, A[k]) for k in range(len(A))])
    if method in ("iid", "information"):
        scale = error_scale(rows, r) if method == "iid" else np.full(len(rows.y), rows.counting**-0.5)
        return root_from_sums(method, n, r, gram(A, bread(rows, method)), scale)
    tau, size = rows.noise.quantile_level, scores(rows)
    density = row_density(rows.weights[..., None] * A, rows.weights * rows.residual(), tau) if tau else None
    c = bread(rows, method, density)
    if method in POWER:
        size = size * _correction(method, leverage(A, rows.weights if rows.noise.location_scale else c))
    return root_from_sums(method, n, r, gram(A, c), triangle(size[..., None] * A))


def root_from_sums(method: str, n: int, r: int, H: Array, spread: Array) -> Array:
    """L (K, r, .) with L L' the covariance, from the sum H (K, r, r) of `bread` over n rows.

    spread: the scale (K,) of the errors, or of what the weights count; for a sandwich the `triangle` (K, ., r) of the
    scores: H^-1 S'S H^-1, for HC1 times n / (n - r).
    """
    if method in ("iid", "information"):
        return spread[:, None, None] * inverse_root(H)
    return sandwich_root(H, spread) * (np.sqrt(n / (n - r)) if method == "HC1" and n > r else 1.0)


def bread(rows: RowScores, method: str, density: Array | None = None) -> Array:
    """c (K, n): the covariance is made of H^-1, H = sum_i c_i a_i a_i'.

    iid: the weights; for quantiles their squares, since a row of weight w has |e| / w, so that its f(0) counts w times
    (as in R's summary.rq). information: w times Fisher's (R's glm and glm.nb, at the dispersion that was found).
    Sandwich: w times the information for counts (R's sandwich), the observed d^2 nll / d eta^2 for location-scale
    noise, and for a quantile w^2 times the density at zero (see `row_density`).
    """
    w = rows.weights
    if method == "iid":
        return w if rows.noise.quantile_level is None else w**2
    if density is not None:
        return w**2 * density
    fisher = None if method != "information" and rows.noise.location_scale else rows.information
    return w * (rows.curvature() if fisher is None else fisher)


def scores(rows: RowScores) -> Array:
    """w s (K, n); for a quantile of level t, in the rows that are fitted exactly, too, s^2 = t (1 - t)."""
    tau = rows.noise.quantile_level
    return rows.weights * (rows.score if tau is None else np.sqrt(tau * (1 - tau)))


def error_scale(rows: RowScores, r: int) -> Array:
    """tau (K,): for transform(y) = eta + e with e of one distribution the covariance is tau^2 (X'WX)^-1, tau^2 = E s^2
    / (E s')^2 for the score s.

    Gaussian: tau^2 = RSS / (n - p). Huber, StudentT: sum w s^2 / (n - p) over (mean s')^2, with Huber's correction of
    order p / n ("Robust regression", 1973; R's summary.rlm): tau times kappa = 1 + p var(s') / (n mean(s')^2).
    A quantile of level t (Laplace: 1/2): sqrt(t (1 - t)) / f(0), since s' is nothing that one row could show.
    """
    n, w, level = rows.n, rows.weights, rows.noise.quantile_level
    if level is not None:
        return np.asarray(np.sqrt(level * (1 - level)) * sparsity(rows.residual() * w, r, level))
    slope = rows.curvature()
    mean = (w * slope).mean(axis=1)
    spread = (w * (slope - mean[:, None]) ** 2).sum(axis=1) / (n - 1)
    return error_scale_from_sums(n, r, (w * rows.score**2).sum(axis=1), mean, spread)


def error_scale_from_sums(n: int, r: int, squares: Array, mean: Array, variance: Array) -> Array:
    """(K,): from the sum of w s^2, and the mean and the variance of s'."""
    kappa = 1 + r * variance / (n * mean**2)
    return np.asarray(kappa * np.sqrt(squares / (n - r)) / mean)


def _observed(rows: RowScores, k: int, A: Array) -> Array:
    """For a noise that has no formula for its information, or whose scale moves with z, the observed one, jointly with
    the scale: the Hessian of the likelihood by (z, log scale); of its inverse the part of z."""
    joint = rows.assumed.estimates_scale
    v = np.append(np.zeros(A.shape[1]), np.log(rows.scales[k]) if joint else [])
    given = rows.y[k], rows.eta[k], torch.from_numpy(rows.weights[k] / rows.n)
    hessian = Likelihood(rows.assumed, TransformedDesign(A), *given, joint).derivatives(v)[1]
    return inverse_root(hessian[None] * rows.counted[k].sum())[0, : A.shape[1]]


def leverage(A: Array, c: Array) -> Array:
    """c_i a_i' (A' diag(c) A)^-1 a_i (K, n)."""
    return np.asarray(c * ((A @ inverse_root(gram(A, c))) ** 2).sum(axis=2))


def _correction(method: str, leverage: Array) -> Array:
    """What the scores are multiplied by (K, n): (1 - h)^(-1/2) for HC2, 1 / (1 - h) for HC3, h the leverage in the fit
    of counts, else that of least squares (White 1980; MacKinnon & White 1985).

    nan for a row that is fitted by itself (h = 1), about whose noise they know nothing.
    """
    return np.asarray(np.where(leverage < 1 - 1e-9, 1 - leverage, np.nan) ** -POWER[method])
