"""Covariances in the columns of `Whitened`: from errors of one distribution, from the information, from the scores.

Weights are precisions, as in R's lm, glm and rq: row i is taken for the mean of w_i observations, or for one whose
variance is 1 / w_i of the usual. Where the spread is estimated from the rows, the unit of the weights does not matter;
where the model knows it (counts, a given scale), weight two is two rows. The sandwich takes rows as they come."""

from __future__ import annotations

import numpy as np

from noiseworks.inference.density import row_density, sparsity
from noiseworks.inference.scores import RowScores
from noiseworks.inference.whitened import Whitened, inverse_root, sandwich_root
from noiseworks.solvers.likelihood import Likelihood
from noiseworks.solvers.linear_problem import Array

HOW = {
    "iid": "errors of the same law in every row",
    "information": "the noise model is right",
    "HC0": "nothing but independent rows",
}
HOW["bootstrap"] = HOW["HC0"] + ", drawn again with replacement"
HOW |= dict.fromkeys(("HC1", "HC2", "HC3"), HOW["HC0"])
BIASED = "none"  # the method that is named where there are no standard errors, under a ridge
SUSPICIOUS = 1.5  # counts that vary so many times as much as the noise model says


METHODS = ("auto", "iid", "information", "HC0", "HC1", "HC2", "HC3")


def same_errors(local: RowScores, white: Whitened) -> Array:
    """transform(y) = eta + e with e of one law: tau^2 (X'WX)^-1, tau^2 = E s^2 / (E s')^2 for the score s.

    Gaussian: tau^2 = RSS / (n - p). Huber, StudentT: sum w s^2 / (n - p) over (mean s')^2, with Huber's correction of
    order p / n ("Robust regression", 1973; R's summary.rlm): tau times kappa = 1 + p var(s') / (n mean(s')^2).
    A quantile of level t (Laplace: 1/2): sqrt(t (1 - t)) / f(0), since s' is nothing that one row could show; a row of
    weight w has |e| / w, so that its f(0) counts w times, as in summary.rq.
    """
    n, r, w, level = local.n, white.design.rank, local.weights, local.noise.quantile_level
    if level is not None:
        spread = np.sqrt(level * (1 - level))
        return spread * sparsity(local.residual() * w, r, level) * inverse_root(white.gram(w**2))
    slope = local.curvature()
    mean = np.average(slope, weights=w)
    spread = np.average((slope - mean) ** 2, weights=w) * n / (n - 1)
    kappa = 1 + r * spread / (n * mean**2)
    tau = kappa * np.sqrt((w * local.score() ** 2).sum() / (n - r)) / mean
    return tau * inverse_root(white.gram(w))


def information(local: RowScores, white: Whitened) -> Array:
    """(X' diag(w I) X)^-1 with Fisher's information I (R's glm and glm.nb, at the dispersion that was found); for a
    noise that has no formula for it the observed one, jointly with the scale."""
    fisher = local.information()
    return _observed(local, white) if fisher is None else inverse_root(white.gram(local.counted * fisher))


def _observed(local: RowScores, white: Whitened) -> Array:
    """The Hessian of the likelihood by (z, log scale), eta = A z + offset; of its inverse the part of z."""
    problem, noise = local.problem, local.noise
    joint = noise.scale_name is not None and problem.noise.scale_value is None
    z = np.asarray(np.linalg.lstsq(white.A, local.eta.numpy() - problem.offset)[0], dtype=np.float64)
    v = np.append(z, np.log(float(noise.scale_value))) if joint and noise.scale_value is not None else z
    hessian = Likelihood.of(problem, white.A, joint).derivatives(v)[1]
    return inverse_root(hessian * local.counted.sum())[: white.design.rank]


def robust(local: RowScores, white: Whitened, method: str) -> Array:
    """B^-1 (sum_i w_i^2 s_i^2 a_i a_i' / (1 - h_i)^k) B^-1 (White 1980; MacKinnon & White 1985).

    k = 0, 0, 1, 2 for HC0 ... HC3, HC1 also times n / (n - p). B = sum_i w_i c_i a_i a_i', c_i the information for
    counts (R's sandwich), the observed s' for location-scale noise, and for a quantile of level t the density at zero
    by `row_density`, with s^2 = t (1 - t). h_i is the leverage in the fit of counts, else that of least
    squares.
    """
    w, score, level = local.weights, local.score(), local.noise.quantile_level
    if level is not None:  # in the rows that are fitted exactly, too
        score = np.full_like(w, np.sqrt(level * (1 - level)))
        bread = w**2 * row_density(w[:, None] * white.A, w * local.residual(), level)
    elif local.noise.location_scale:
        bread = w * local.curvature()
    else:
        fisher = local.information()
        bread = w * (local.curvature() if fisher is None else fisher)
    H = white.gram(bread)
    hat = (w, white.gram(w)) if local.noise.location_scale else (bread, H)
    size = w * score * _correction(method, local.n, white.design.rank, white.leverage(*hat))
    return sandwich_root(H, size[:, None] * white.A)


def _correction(method: str, n: int, r: int, leverage: Array) -> Array:
    """What the scores are multiplied by; nan for a row that is fitted by itself (h = 1), about whose noise HC2 and HC3
    know nothing."""
    if method in ("HC0", "HC1"):
        return np.full(n, np.sqrt(n / (n - r)) if method == "HC1" and n > r else 1.0)
    left = np.where(leverage < 1 - 1e-9, 1 - leverage, np.nan)
    return np.asarray(left ** (-0.5 if method == "HC2" else -1.0))
