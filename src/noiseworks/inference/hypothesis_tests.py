"""Hypothesis tests, and the Wald test of combinations of coefficients."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from noiseworks.errors import UserError
from noiseworks.inference.uncertainty import Uncertainty
from noiseworks.solvers.linear_problem import Array


@dataclass(frozen=True)
class HypothesisTest:
    """statistic: F with (degrees, residual_degrees) degrees of freedom; chi-squared with `degrees`, if the other are
    infinite. p: the probability of a larger one if the hypothesis is true."""

    statistic: float
    degrees: int
    residual_degrees: float = math.inf

    @property
    def law(self) -> str:
        return "chi2" if math.isinf(self.residual_degrees) else "F"

    @property
    def p(self) -> float:
        if self.law == "chi2":
            return float(stats.chi2.sf(self.statistic, self.degrees))
        return float(stats.f.sf(self.statistic, self.degrees, self.residual_degrees))


DEPENDENT = 1e-10  # eigenvalues of the correlations below this share of the largest are zero


def wald_test(uncertainty: Uncertainty, theta: ArrayLike, L: ArrayLike, value: ArrayLike = 0.0) -> HypothesisTest:
    """H0: L theta = value, for L (q, P) or (P,), value (q,) or a number.

    W = (L theta - value)' (L Cov L')^-1 (L theta - value). With residual degrees of freedom (location-scale noise)
    W / q is F, as in R's car::linearHypothesis of lm and statsmodels' f_test; without (counts, bootstrap) W is
    chi-squared with q degrees, as in linearHypothesis of glm.
    """
    L, theta = np.atleast_2d(np.asarray(L, dtype=np.float64)), np.asarray(theta, dtype=np.float64)
    if L.ndim != 2 or theta.ndim != 1 or L.shape[1] != len(theta):
        raise UserError(f"L must be (q, {len(theta)}), a row for each combination of coefficients; it is {L.shape}.")
    value = np.asarray(value, dtype=np.float64)
    if value.shape not in ((), (len(L),)):
        raise UserError(f"value must be a number, or {len(L)} of them, one for each row of L; it is {value.shape}.")
    W = _distance(uncertainty.covariance(L), L @ theta - value)
    degrees = uncertainty.degrees
    return HypothesisTest(W if np.isinf(degrees) else W / len(L), len(L), degrees)


def _distance(C: Array, away: Array) -> float:
    """away' C^-1 away, in units of the standard errors."""
    errors = np.sqrt(np.diag(C))
    for i, error in enumerate(errors):
        if not error > 0:
            raise UserError(
                f"Row {i + 1} of L cannot be tested: its standard error is {error:g}; a combination must be "
                "estimable, and not known exactly."
            )
    size, axes = np.linalg.eigh(C / np.outer(errors, errors))
    if size[0] <= DEPENDENT * size[-1]:
        raise UserError("The rows of L depend on each other; leave out those that follow from the others.")
    return float((((away / errors) @ axes) ** 2 / size).sum())
