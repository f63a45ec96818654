from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from noiseworks.errors import UserError
from noiseworks.inference import HypothesisTest
from noiseworks.inference.density import sparsity
from noiseworks.regressor.inputs import as_value_error
from noiseworks.solvers.design import reduce
from noiseworks.solvers.linear_problem import Array, LinearProblem

if TYPE_CHECKING:
    from noiseworks.regressor.estimator import LinearRegressor
    from noiseworks.regressor.exact_fit import Fitted

OUTSIDE = 1e-8  # how far, relative to its size, a column of the smaller fit may lie outside of the larger one's


def likelihood_ratio_test(smaller: LinearRegressor, larger: LinearRegressor) -> HypothesisTest:
    """H0: the larger model's additional coefficients are zero. 2 (log L1 - log L0) is chi-squared with as many degrees
    of freedom as there are additional coefficients that can be told apart.

    As R's lmtest::lrtest, each fit at its own scale; for counts anova(test = "LRT"). Both must be exact fits of the
    same rows and noise, and every column of the smaller one a combination of the larger one's.

    Laplace and other quantile fits: 2 (V0 - V1) / (tau (1 - tau) s), V the sums of the check loss and s = 1 / f(0) the
    sparsity at the larger model (Koenker & Machado, "Goodness of fit and related inference processes for quantile
    regression", 1999). It does not take Laplace errors for granted, but errors alike in all rows.
    """
    with as_value_error():
        fits = [_exact(model, name) for model, name in ((smaller, "smaller"), (larger, "larger"))]
        (one, rows), (two, more) = fits
        _check_nested(rows, more)
        tau = more.noise.quantile_level
        if tau is None:
            ratio = 2 * (two.criteria["log_likelihood"] - one.criteria["log_likelihood"])
        else:
            ratio = _check_loss_ratio(_residual(one, rows), _residual(two, more), two.rank or 0, tau)
        degrees = round(two.criteria["num_parameters"] - one.criteria["num_parameters"])
        if degrees < 1:
            raise UserError(
                "The larger model has no more coefficients that the rows can tell apart than the smaller one."
            )
        return HypothesisTest(max(ratio, 0.0), degrees)


def _residual(fitted: Fitted, problem: LinearProblem) -> Array:
    """Times the weights, as the check loss counts them (n,)."""
    return np.asarray(problem.weights * (problem.target - problem.D @ fitted.theta))


def _check_loss_ratio(smaller: Array, larger: Array, rank: int, tau: float) -> float:
    losses = [float((left * (tau - (left < 0))).sum()) for left in (smaller, larger)]
    return 2 * (losses[0] - losses[1]) / (tau * (1 - tau) * float(sparsity(larger[None], rank, tau)[0]))


def _exact(model: LinearRegressor, name: str) -> tuple[Fitted, LinearProblem]:
    fitted = getattr(model, "_fitted", None)
    if fitted is None or fitted.kind == "trained":
        raise UserError(f"The {name} model must be fitted with solver='exact' before its likelihood can be compared.")
    if fitted.ridge:
        raise UserError(
            f"The {name} model has ridge={fitted.ridge}; likelihoods are compared at their maxima, ridge=0."
        )
    if fitted.problem is None:
        raise UserError(f"The {name} model was copied or pickled, which leaves out its rows; fit it again.")
    if not fitted.problem.noise.by_likelihood:
        raise UserError(
            f"The {name} model has no maximised likelihood: its scale is a robust one; scale_estimator='likelihood' "
            "would have it."
        )
    return fitted, fitted.problem


def _check_nested(smaller: LinearProblem, larger: LinearProblem) -> None:
    if smaller.noise != larger.noise:
        raise UserError(f"The models must assume the same noise; they have {smaller.noise} and {larger.noise}.")
    for name in ("y", "offset", "weights"):
        if not np.array_equal(getattr(smaller, name), getattr(larger, name)):
            raise UserError(f"The models must be fitted to the same rows; their {name} differs.")
    if smaller.unit != larger.unit:
        raise UserError("The models must be fitted to the same rows; their weights differ.")
    Q = reduce(larger.D, larger.weights).orthogonal() * np.sqrt(larger.weights / len(larger.y))[:, None]
    columns = smaller.D * np.sqrt(smaller.weights)[:, None]
    outside = np.linalg.norm(columns - Q @ (Q.T @ columns), axis=0)
    worst = int(np.argmax(outside > OUTSIDE * np.linalg.norm(columns, axis=0)))
    if outside[worst] > OUTSIDE * np.linalg.norm(columns[:, worst]):
        raise UserError(
            f"The models are not nested: column {worst} of the smaller one is no combination of the larger one's."
        )
