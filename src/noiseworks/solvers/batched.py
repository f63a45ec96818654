from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from noiseworks.errors import UserError
from noiseworks.noise import Gaussian, Noise, Poisson
from noiseworks.solvers.batched_glm import batched_glm
from noiseworks.solvers.batched_least_squares import (
    NEARLY_PERFECT,
    BatchedColumns,
    batched_least_squares,
    columns,
    shared_design,
)
from noiseworks.solvers.design import Design, reduce
from noiseworks.solvers.linear_problem import Array, LinearProblems
from noiseworks.solvers.quantile.batched_quantile import batched_least_absolute
from noiseworks.solvers.solution import Solutions
from noiseworks.solvers.solve import solved
from noiseworks.solvers.stationarity import fitted_scales, gradients, log_concave

SideBySide = Callable[
    [LinearProblems, BatchedColumns], tuple[Array, NDArray[np.bool_]]
]  # theta (K, P), and whose are right


def solve_batch(
    noise: Noise, D: Tensor, y: Tensor, offset: Tensor | None = None, weights: Tensor | None = None
) -> Solutions:
    """`solve` for K problems: D (n, P) or (K, n, P); y, offset, weights (n,) or (K, n), weights of zero allowed.

    Gaussian, LogNormal, Poisson, Laplace and other quantile noise side by side; members of short rank, of poor
    condition, or that do not converge there, and all other noise, one by one. A member without a finite optimum is a
    failure of its own.
    """
    return solved_batch(LinearProblems.of(noise, D, y, offset, weights))


def solved_batch(problems: LinearProblems) -> Solutions:
    K, P = len(problems), problems.D.shape[-1]
    problems = replace(problems, weights=problems.weights / problems.weights.mean(axis=1, keepdims=True))
    level = problems.noise.quantile_level
    answers = Solutions.empty(K, P, _kind(problems))
    done = np.zeros(K, dtype=bool)
    if P and level is not None:
        done = _quantiles(problems, answers, level)
    elif P and (side_by_side := _method(problems.noise)):
        design = shared_design(problems) if problems.shared else None
        for block in problems.blocks():
            done[block] = _block(problems.take(block), side_by_side, design, answers, block)
    for k in np.flatnonzero(~done).tolist():
        try:
            answers.put(k, solved(problems.one(k)))
        except UserError as error:
            answers.failures[k] = str(error)
    return answers


def _kind(problems: LinearProblems) -> str:
    straight = isinstance(problems.noise, Gaussian) or problems.noise.quantile_level is not None
    return "optimum" if straight or log_concave(problems.noise, problems.y[0]) else "stationary point"


def _method(noise: Noise) -> SideBySide | None:
    if isinstance(noise, Gaussian):  # LogNormal is one
        return batched_least_squares
    return batched_glm if isinstance(noise, Poisson) else None


def _block(
    problems: LinearProblems, side_by_side: SideBySide, design: Design | None, answers: Solutions, at: NDArray[np.intp]
) -> NDArray[np.bool_]:
    found = columns(problems, design)
    theta, right = side_by_side(problems, found)
    own, members = problems.take(np.flatnonzero(right)), at[right]
    answers.theta[members], answers.rank[members] = theta[right], found.rank
    answers.scale[members] = scale = fitted_scales(own, theta[right])
    answers.gradient[members] = gradients(own, theta[right], scale)
    return right


def _quantiles(problems: LinearProblems, answers: Solutions, level: float) -> NDArray[np.bool_]:
    """All but perfect fits and designs of rank 0, which are refused alone; none, if one cannot be certified."""
    try:
        many = batched_least_absolute(problems.D, problems.target, problems.weights, level)
    except UserError:
        return np.zeros(len(problems), dtype=bool)
    answers.theta[:], answers.gradient[:], answers.unique[:] = many.theta, many.gap, many.unique
    answers.rank[:] = ranks(problems)
    for block in problems.blocks():
        answers.scale[block] = fitted_scales(problems.take(block), many.theta[block])
    size = np.abs(problems.target + problems.offset).max(axis=1)
    left = np.abs(problems.target + problems.offset - problems.eta(many.theta)) * (problems.weights > 0)
    done = (answers.rank > 0) & (left.max(axis=1) > NEARLY_PERFECT * size)
    answers.theta[~done] = np.nan  # refused, each by itself, or perfect
    return np.asarray(done)


def ranks(problems: LinearProblems) -> NDArray[np.intp]:
    """The numerical rank of each weighted design (K,)."""
    design = shared_design(problems) if problems.shared else None
    found = np.empty(len(problems), dtype=np.intp)
    for block in problems.blocks():
        own = columns(problems.take(block), design)
        found[block] = own.rank
        for k in block[~own.sound]:
            used = problems.weights[k] > 0
            D = problems.D if problems.shared else problems.D[k]
            found[k] = reduce(D[used], problems.weights[k, used]).rank
    return found
