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
from noiseworks.noise import Noise
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
    tau, density = rows.noise.quantile_level, None
    if method == "iid":
        spread = error_scale(rows, r)
    elif method == "information":
        spread = np.full(len(rows.y), rows.counting**-0.5)
    else:
        density = row_density(rows.weights[..., None] * A, rows.weights * rows.residual(), tau) if tau else None
        size = scores(rows, A, method)
        if method in POWER:
            size *= _correction(method, leverage(A, _working_weights(rows)))[..., None]
        spread = triangle(size)
    return root_from_sums(method, n, r, bread(rows, A, method, density), spread)


def root_from_sums(method: str, n: int, r: int, H: Array, spread: Array) -> Array:
    """L (K, r, .) with L L' the covariance of z, from `bread` H, a sum over n rows.

    spread: the scale (K,) of the errors, or of what the weights count; for a sandwich the `triangle` of the `scores` S:
    H^-1 S'S H^-1, for HC1 times n / (n - r). Where H is by z and log scale, of all this the part of z.
    """
    if method in ("iid", "information"):
        return np.asarray(spread[:, None, None] * inverse_root(H)[:, :r])
    return sandwich_root(H, spread)[:, :r] * (np.sqrt(n / (n - r)) if method == "HC1" and n > r else 1.0)


def beside(noise: Noise, method: str) -> int:
    """1 where log scale stands beside z, in the sums that the covariance is made of; else 0. `noise` as assumed.

    A sandwich is that of all that one likelihood estimates (Huber, "The behavior of maximum likelihood estimates under
    nonstandard conditions", 1967): rows that are not of the noise model, such as skewed errors for StudentT, tie z to
    the scale where the model itself does not. A robust scale of Huber's counts as known, as in R's sandwich of an rlm.
    information, which is the model's word, has the two together unless they are `orthogonal`.
    """
    if method == "information":
        return int(noise.joint and (not noise.orthogonal or noise.information(torch.zeros(1)) is None))
    return int(noise.joint and method != "iid")


def bread(rows: RowScores, A: Array, method: str, density: Array | None = None) -> Array:
    """H (K, r, r), sum_i c_i a_i a_i', or (K, r + 1, r + 1) with log scale `beside` z: the covariance is made of H^-1.

    c (K, n): iid: the weights; for quantiles their squares, since a row of weight w has |e| / w, so that its f(0)
    counts w times (as in R's summary.rq). information: w times Fisher's (R's glm and glm.nb, at the dispersion that was
    found). Sandwich: w times the observed d^2 nll / d eta^2 (Stata's vce(robust); with a canonical link that is
    Fisher's, and R's sandwich), and for a quantile w^2 times the density at zero (see `row_density`).
    """
    w, joint = rows.weights, beside(rows.assumed, method)
    if method == "iid":
        return gram(A, w if rows.noise.quantile_level is None else w**2)
    if density is not None:
        return gram(A, w**2 * density)
    fisher = rows.information if method == "information" and not joint else None
    H = gram(A, w * (rows.curvature() if fisher is None else fisher))
    if not joint:
        return H
    *_, mixed, by_scale = rows.joint
    border = np.swapaxes(A, 1, 2) @ (w * mixed)[..., None]
    return np.block([[H, border], [np.swapaxes(border, 1, 2), (w * by_scale).sum(axis=1)[:, None, None]]])


def scores(rows: RowScores, A: Array, method: str) -> Array:
    """w d nll (K, n, r) by z, w s a, and by log scale where it is `beside`; for a quantile of level t, in the rows that
    are fitted exactly, too, s^2 = t (1 - t)."""
    tau = rows.noise.quantile_level
    by_z = (rows.weights * (rows.score if tau is None else np.sqrt(tau * (1 - tau))))[..., None] * A
    if not beside(rows.assumed, method):
        return np.asarray(by_z)
    return np.concatenate((by_z, (rows.weights * rows.joint[1])[..., None]), axis=2)


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


def leverage(A: Array, c: Array) -> Array:
    """c_i a_i' (A' diag(c) A)^-1 a_i (K, n)."""
    return np.asarray(c * ((A @ inverse_root(gram(A, c))) ** 2).sum(axis=2))


def _working_weights(rows: RowScores) -> Array:
    """(K, n): of the fit of counts by least squares, w times Fisher's information; else w."""
    if rows.noise.location_scale:
        return rows.weights
    return rows.weights * (rows.curvature() if rows.information is None else rows.information)


def _correction(method: str, leverage: Array) -> Array:
    """What all scores of a row are multiplied by (K, n): (1 - h)^(-1/2) for HC2, 1 / (1 - h) for HC3, h the leverage in
    the fit of counts, as in R's sandwich, else that of least squares (White 1980; MacKinnon & White 1985).

    To estimate a scale beside z costs one parameter more, of which h says nothing. nan for a row that is fitted by
    itself (h = 1), about whose noise they know nothing.
    """
    return np.asarray(np.where(leverage < 1 - 1e-9, 1 - leverage, np.nan) ** -POWER[method])
