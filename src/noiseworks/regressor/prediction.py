"""Where a new observation will lie, and how much deviance predictions explain."""

from __future__ import annotations

import numpy as np
import torch
from scipy.interpolate import CubicSpline
from scipy.stats import t as student
from torch import Tensor

from noiseworks.errors import UserError
from noiseworks.inference.scores import TINY, least_nll
from noiseworks.noise import Gaussian, Noise
from noiseworks.regressor.inputs import EstimatorRows, tensor
from noiseworks.solvers.linear_problem import Array
from noiseworks.solvers.solve import solve

REACH, MOST = 8.5, 1000  # the average over Z goes so far, by so many points at most
RATIOS = 65  # of standard error to scale, at which quantiles are computed; in between by a spline
SIMILAR = 2**13  # counts, sorted, that are averaged by the same points
CHUNK = 2**18  # numbers in one evaluation of a distribution function


def prediction_interval(noise: Noise, eta: Array, errors: Array, degrees: float, inflate: float, level: float) -> Array:
    """(m, 2): the quantiles (1 -+ level) / 2 of y for linear predictors eta with these standard errors (m,).

    Gaussian and LogNormal: eta +- t sqrt(errors^2 + s^2), s^2 = RSS / (n - p), exact, as R's predict.lm. Other noise:
    the distribution of y at the estimated scale, averaged over eta ~ N(eta, errors^2): right when there are many rows.
    `inflate` is sqrt(n / (n - p)): maximum likelihood finds scales too small by about as much.
    """
    below = np.array([(1 - level) / 2, (1 + level) / 2])
    if noise.counts:
        return np.stack([_count(noise, eta, errors, p) for p in below], axis=1)
    if not noise.location_scale or noise.cdf(torch.zeros(1), noise.inverse_transform(torch.zeros(1))) is None:
        raise UserError(f"{noise.name} noise has no distribution function; predict_interval needs one.")
    scale = inflate * float(noise.scale_value or 1.0)
    if isinstance(noise, Gaussian):
        reach = student.ppf(below, degrees) if degrees > 0 else np.full(2, np.nan)
        ends = eta[:, None] + reach * np.hypot(errors, scale)[:, None]
    else:
        ends = eta[:, None] + scale * np.stack([_quantile(noise, errors / scale, p) for p in below], axis=1)
    return np.asarray(noise.inverse_transform(torch.from_numpy(ends)).numpy())


def _quantile(noise: Noise, ratio: Array, p: float) -> Array:
    """The p-quantile of U + ratio Z, U of the noise at scale one and Z normal."""
    known = np.isfinite(ratio)
    found = np.full_like(ratio, np.nan)
    if not known.any():
        return found
    place = np.arcsinh(ratio[known]).round(
        12
    )  # fine where the noise is as large as the error, coarse where it is far smaller
    grid = np.unique(place)
    if len(grid) > RATIOS:
        grid = np.linspace(grid[0], grid[-1], RATIOS)
    at = _bisect(noise.with_scale(1.0), np.sinh(grid), p)
    found[known] = CubicSpline(grid, at)(place) if len(grid) == RATIOS else at[np.searchsorted(grid, place)]
    return found


def _points(sharpness: float, step: float) -> tuple[Array, Array]:
    """z and weights for the mean over a normal Z of a function that falls from 1 to 0 within 1 / sharpness: the
    trapezoid rule, whose error is about exp(-2 pi^2 / step^2), and for a function with a kink step^2 / 12."""
    num = min(int(2 * REACH * np.hypot(1, sharpness) / step) + 1, MOST)
    z = np.linspace(-REACH, REACH, num)
    weights = np.exp(-(z**2) / 2)
    return z, weights / weights.sum()


def _bisect(noise: Noise, ratio: Array, p: float) -> Array:
    high = np.ones_like(ratio)
    while (short := _below(noise, high, ratio) < max(p, 1 - p)).any() or (
        short := _below(noise, -high, ratio) > min(p, 1 - p)
    ).any():
        high = np.where(short, 2 * high, high)
    low = -high
    for _ in range(45):
        middle = (low + high) / 2
        under = _below(noise, middle, ratio) < p
        low, high = np.where(under, middle, low), np.where(under, high, middle)
    return (low + high) / 2


def _below(noise: Noise, u: Array, ratio: Array) -> Array:
    """P(U + ratio Z <= u)."""
    z, weights = _points(ratio.max(), 0.1)
    y = noise.inverse_transform(torch.from_numpy(u)[:, None])
    return _cdf(noise, torch.from_numpy(ratio[:, None] * z), y) @ weights


def _count(noise: Noise, eta: Array, errors: Array, p: float) -> Array:
    """The smallest value k, a multiple of the noise's step, with P(y <= k) >= p, as R's qpois."""
    found, sharpness = np.empty_like(eta), errors * _steepness(noise, eta)
    order, start = np.argsort(sharpness), 0  # nan last
    while start < len(eta):
        z, weights = _points(np.nan_to_num(sharpness[order[start:][:SIMILAR]]).max(), 1.0)
        part = order[start : start + min(SIMILAR, max(CHUNK // len(z), 1))]
        found[part] = _smallest(noise, eta[part], errors[part], p, z, weights)
        start += len(part)
    return found


def _steepness(noise: Noise, eta: Array) -> Array:
    """The standard deviations of y by which its mean moves with eta: the root of the information."""
    found = noise.information(torch.from_numpy(eta))
    return np.ones_like(eta) if found is None else np.sqrt(np.clip(found.numpy(), 0, 1e12))


def _smallest(noise: Noise, eta: Array, errors: Array, p: float, z: Array, weights: Array) -> Array:
    uncertain = torch.from_numpy(eta[:, None] + errors[:, None] * z)
    uncertain = torch.where(noise.mean(uncertain) > 0, uncertain, noise.inverse_mean(torch.tensor(TINY).to(uncertain)))

    def below(k: Array) -> Array:
        return _cdf(noise, uncertain, torch.from_numpy(noise.step * k)[:, None]) @ weights

    low, high = np.full(len(eta), -1.0), np.zeros(len(eta))
    while (short := below(high) < p).any():
        low, high = np.where(short, high, low), np.where(short, 2 * high + 1, high)
    while (open_ := high - low > 1).any():
        middle = np.floor((low + high) / 2)
        enough = below(middle) >= p
        low, high = np.where(open_ & ~enough, middle, low), np.where(open_ & enough, middle, high)
    return np.where(np.isfinite(errors), noise.step * high, np.nan)


def _cdf(noise: Noise, eta: Tensor, y: Tensor) -> Array:
    found = noise.cdf(eta, y)
    assert found is not None
    return np.asarray(found.numpy())


ROUNDING = 1e-12  # of one row: a deviance below it is none


def deviance_explained(noise: Noise, eta: Tensor, rows: EstimatorRows) -> float:
    """1 - D / D0, D = 2 sum w (nll(eta, y) - min nll(., y)) of these predictions and D0 that of the best constant for
    these rows, both at the scale of the fit.

    R-squared as scikit-learn counts it for Gaussian noise, d2_pinball_score for Laplace, d2_tweedie_score(power=1) for
    Poisson. Where the constant is perfect: 1 for a perfect fit, else 0.
    """
    one, y, offset, weights = EstimatorRows(np.empty((len(rows.y), 0)), rows.y, rows.offset, rows.weights).tensors(True)
    least = least_nll(noise, y)

    def deviance(eta: Tensor) -> float:
        terms = noise.nll(eta, y) - least
        return float((terms if weights is None else weights * terms).sum())

    if not torch.any(y != y[0]) and rows.offset is None:
        return float(deviance(eta) <= ROUNDING * len(y))
    constant = solve(noise, one, y, offset, weights).theta
    worst = deviance(one @ constant + (0.0 if rows.offset is None else tensor(rows.offset)))
    return 1 - deviance(eta) / worst if worst > 0 else float(deviance(eta) <= ROUNDING * len(y))
