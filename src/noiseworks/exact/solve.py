from __future__ import annotations

from torch import Tensor

from noiseworks.exact.answer import Answer
from noiseworks.exact.least_squares import least_squares
from noiseworks.exact.likelihood_fit import likelihood_fit
from noiseworks.exact.problem import Problem
from noiseworks.exact.quantile.least_absolute import least_absolute
from noiseworks.noise import Gaussian, Laplace, Noise


def solve(noise: Noise, D: Tensor, y: Tensor, offset: Tensor | None = None, weights: Tensor | None = None) -> Answer:
    """argmin over theta (and the scale, unless noise.scale_value is set) of sum_i weights_i nll(eta_i, y_i).

    eta = D theta + offset; D (n, P) with its column of ones, if any; y, offset, weights (n,). All in float64.
    Raises UserError for shapes that do not fit, for y outside of the support, and where no optimum is finite.
    """
    return solved(Problem.of(noise, D, y, offset, weights))


def solved(problem: Problem) -> Answer:
    if isinstance(problem.noise, Gaussian):  # LogNormal is one
        return least_squares(problem)
    if isinstance(problem.noise, Laplace):
        return least_absolute(problem)
    return likelihood_fit(problem)
