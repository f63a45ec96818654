from __future__ import annotations

from torch import Tensor

from noiseworks.errors import UserError
from noiseworks.noise import Gaussian, Noise
from noiseworks.solvers.least_squares import check_varies, least_squares
from noiseworks.solvers.linear_problem import LinearProblem
from noiseworks.solvers.location_scale import likelihood_fit
from noiseworks.solvers.naive import naive
from noiseworks.solvers.quantile.least_absolute import least_absolute
from noiseworks.solvers.solution import Solution


def solve(
    noise: Noise,
    D: Tensor,
    y: Tensor,
    offset: Tensor | None = None,
    weights: Tensor | None = None,
    ridge: float = 0.0,
    penalized: Tensor | None = None,
) -> Solution:
    """argmin over theta (and the scale, unless noise.scale_value is set) of the mean over the rows, weighted, of
    nll(eta_i, y_i), plus ridge / 2 times the sum of theta_j^2 over the `penalized` (P,), all if there is no mask.

    eta = D theta + offset; D (n, P) with its column of ones, if any; y, offset, weights (n,). All in float64.
    Under a ridge Gaussian noise (of log y for LogNormal) counts with scale 1: squared loss over two.
    Raises UserError for shapes that do not fit, for y outside of the support, and where no optimum is finite.
    """
    return solved(LinearProblem.of(noise, D, y, offset, weights, ridge=ridge, penalized=penalized))


def solved(problem: LinearProblem) -> Solution:
    if problem.method != "auto":
        return naive(problem)
    if isinstance(problem.noise, Gaussian):  # LogNormal is one
        return least_squares(problem)
    if problem.noise.quantile_level is not None:
        if problem.ridge > 0:
            raise UserError(
                f"ridge={problem.ridge:g} does not go with {problem.noise.name} noise: its exact answer lies on as "
                "many rows as it has coefficients, which a penalized one does not. noise=huber is robust and takes it."
            )
        answer = least_absolute(problem, problem.noise.quantile_level)
        check_varies(problem, answer.theta.numpy())
        return answer
    return likelihood_fit(problem)
