"""Least squares as a textbook writes it down, with nothing done about a design that is short of full rank.

They show what happens then (D2L 3.1, ex. 4.1): each raises numpy's error, or returns what it gets, however wrong.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import solve_triangular

from noiseworks.errors import UserError
from noiseworks.noise import Gaussian
from noiseworks.solvers.design import reduce
from noiseworks.solvers.least_squares import check_varies, fitted_scale
from noiseworks.solvers.linear_problem import Array, LinearProblem
from noiseworks.solvers.solution import Solution
from noiseworks.solvers.stationarity import gradient

METHODS = ("inverse", "cholesky", "qr", "svd")


def solve_by(method: str, A: Array, t: Array) -> Array:
    """argmin_w |t - A w|^2, A (n, P) and t (n,), in their own precision.

    inverse: (A'A)^-1 A't. cholesky: A'A = L L'. qr: A = Q R without pivoting, R w = Q't. svd: the pseudo-inverse, which
    takes singular values below eps max(n, P) of the largest for zero, as numpy.linalg.lstsq does: it alone gives the
    answer of minimum norm. The others raise numpy.linalg.LinAlgError where they meet an exact zero.
    """
    if method == "svd":
        U, s, Vt = np.linalg.svd(A, full_matrices=False)
        kept = s > np.finfo(A.dtype).eps * max(A.shape) * s.max(initial=0.0)
        return np.asarray(Vt[kept].T @ ((U[:, kept].T @ t) / s[kept]))
    if method == "qr":
        Q, R = np.linalg.qr(A)
        if R.shape[0] < R.shape[1]:
            raise np.linalg.LinAlgError(f"R is {R.shape[0]} x {R.shape[1]}, not square")
        return np.asarray(solve_triangular(R, Q.T @ t))
    if method == "inverse":
        return np.asarray(np.linalg.inv(A.T @ A) @ (A.T @ t))
    L = np.linalg.cholesky(A.T @ A)
    return np.asarray(solve_triangular(L, solve_triangular(L, A.T @ t, lower=True), lower=True, trans="T"))


def naive(problem: LinearProblem) -> Solution:
    """By problem.method; a penalty is appended as rows, sqrt(n) diag(penalty), of target zero."""
    method, D = problem.method, problem.D
    if not isinstance(problem.noise, Gaussian):  # LogNormal is one
        raise UserError(
            f"optimizer.method={method} is a way to least squares, and {problem.noise.name} noise is not that; it must "
            "be auto (or noise gaussian or lognormal)."
        )
    root, (n, P) = np.sqrt(problem.weights), D.shape
    A, t = root[:, None] * D, root * problem.target
    if problem.penalty is not None:
        A, t = np.vstack((A, np.sqrt(n) * np.diag(problem.penalty))), np.append(t, np.zeros(P))
    design = reduce(D, problem.weights, problem.target, problem.penalty)
    short = f"the design has {n} rows, {P} columns and rank {design.rank}"
    try:
        theta = solve_by(method, A, t)
    except np.linalg.LinAlgError as error:
        raise UserError(f"optimizer.method={method} found no answer ({error}): {short}.") from error
    if not np.isfinite(theta).all():
        raise UserError(f"optimizer.method={method} found an answer that is not finite: {short}.")
    check_varies(problem, theta)
    scale = fitted_scale(problem, theta)
    slope = gradient(problem, design, theta, scale, joint=False)
    return Solution(torch.from_numpy(theta), scale, slope, design.rank, method, design)
