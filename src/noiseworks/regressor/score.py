from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from noiseworks.exact import solve
from noiseworks.inference.criteria import TINY
from noiseworks.noise import Noise
from noiseworks.regressor.rows import Rows, tensor

ROUNDING = 1e-12  # of one row: a deviance below it is none


def deviance_explained(noise: Noise, eta: Tensor, rows: Rows) -> float:
    """1 - D / D0, D = 2 sum w (nll(eta, y) - min nll(., y)) of these predictions and D0 that of the best constant for
    these rows, both at the scale of the fit.

    R-squared as scikit-learn counts it for Gaussian noise, d2_pinball_score for Laplace, d2_tweedie_score(power=1) for
    Poisson. Where the constant is perfect: 1 for a perfect fit, else 0.
    """
    one, y, offset, weights = Rows(np.empty((len(rows.y), 0)), rows.y, rows.offset, rows.weights).tensors(True)
    best = noise.transform(y) if noise.location_scale else noise.inverse_mean(y.clamp_min(TINY))
    least = noise.nll(best, y)

    def deviance(eta: Tensor) -> float:
        terms = noise.nll(eta, y) - least
        return float((terms if weights is None else weights * terms).sum())

    if not torch.any(y != y[0]) and rows.offset is None:
        return float(deviance(eta) <= ROUNDING * len(y))
    constant = solve(noise, one, y, offset, weights).theta
    worst = deviance(one @ constant + (0.0 if rows.offset is None else tensor(rows.offset)))
    return 1 - deviance(eta) / worst if worst > 0 else float(deviance(eta) <= ROUNDING * len(y))
