"""Gaussian and log-normal noise: K least squares fits side by side."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from noiseworks.exact.many.columns import Columns
from noiseworks.exact.many.problems import Problems
from noiseworks.exact.problem import Array

ACCURATE = 1e-11  # relative error of theta in scaled columns, above which a problem is solved alone
NEARLY_PERFECT = 1e-9  # residuals below this share of y: whether they are all rounding is decided alone
REFINEMENTS = 2


def least_squares_many(problems: Problems, columns: Columns) -> tuple[Array, NDArray[np.bool_]]:
    """theta (K, P), and for which members it is as accurate as if solved alone; weights of mean one.

    Normal equations in orthogonal columns, whose condition is that of the weights, refined. What is left is the error
    of the columns: relative to theta about eps cond(Z) (1 + cond(Z) |residual| / |theta|), Z = D / scale.
    """
    rows, w, target = columns.rows, problems.weights, problems.target
    n = target.shape[1]
    z = np.zeros((len(problems), columns.rank))
    for _ in range(1 + REFINEMENTS):
        left = target - rows.times(z)
        z = z + np.linalg.solve(columns.gram, rows.turned(w * left)[..., None] / n)[..., 0]
    theta = columns.theta(z)
    left = np.where(w > 0, target - rows.times(z), 0.0)
    size = np.linalg.norm(theta * columns.scale, axis=1)
    condition = columns.condition
    error = np.finfo(float).eps * condition * (size + condition * np.sqrt((w * left**2).mean(axis=1)))
    imperfect = np.abs(left).max(axis=1) > NEARLY_PERFECT * np.abs(target + problems.offset).max(axis=1)
    return theta, columns.sound & imperfect & (error <= ACCURATE * size)
