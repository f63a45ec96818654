"""Laplace noise: least absolute deviations; asymmetric Laplace noise: quantiles of any level."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from noiseworks.errors import UserError
from noiseworks.solvers.design import Design, gram_design, reduce
from noiseworks.solvers.least_squares import fitted_scale
from noiseworks.solvers.linear_problem import Array, LinearProblem
from noiseworks.solvers.quantile.check_function import fit_lines
from noiseworks.solvers.quantile.crossover import GAP, Vertex
from noiseworks.solvers.quantile.preprocessing import Tall, kept_rows, preprocessed, sample_size
from noiseworks.solvers.solution import Solution
from noiseworks.solvers.stationarity import PERFECT

LARGE = 1 << 18  # numbers in a design from which its factor may come from the Gram matrix
MANY = 5000  # rows, for fewer the interior point method takes them all


def least_absolute(problem: LinearProblem, tau: float = 0.5) -> Solution:
    """min_theta sum_i w_i rho_tau(target_i - D_i theta), rho_tau(t) = t (tau - [t < 0]); |t| / 2 for tau = 1/2.

    Answer.gradient is the relative duality gap. Where the optimum is not unique (an even number of rows and a
    constant), theta is one of its vertices; `unique` says so, `optimal_range` how far it goes.
    """
    design, found = at_vertex(problem, tau)
    if not found.gap <= GAP:
        name = problem.noise.name
        raise UserError(f"{name} noise: the fit is optimal only to a relative duality gap of {found.gap:.1e}.")
    theta = exact_theta(design, problem.target, found)
    scale = fitted_scale(problem, theta)
    return Solution(torch.from_numpy(theta), scale, max(found.gap, 0.0), design.rank, "optimum", design, found.unique)


def at_vertex(problem: LinearProblem, tau: float) -> tuple[Design, Vertex]:
    """The design, and the optimum in its orthogonal columns."""
    check_level(tau)
    D, w, y = problem.D, problem.weights, problem.target
    design = (gram_design(D, w, y) if D.size >= LARGE else None) or reduce(D, w, y)
    n, r = len(y), design.rank
    if r == 0:
        return design, _nothing(y)
    m = sample_size(n, r)
    if n >= MANY and m + kept_rows(n, r, m) < n / 2:
        return design, preprocessed(Tall.of(design, y, w, tau))
    A = design.orthogonal()
    z = design.target
    z = z + A.T @ (w * (y - A @ z)) / n  # one refinement
    if np.abs(y - A @ z).max() <= PERFECT * np.abs(y).max():
        return design, replace(_nothing(y), z=z)
    return design, fit_lines(A, y, w, tau)


def check_level(tau: float) -> None:
    if not 0 < tau < 1:
        raise UserError(f"tau must be between 0 and 1, a quantile level; it is {tau:g}.")


def exact_theta(design: Design, y: Array, found: Vertex) -> Array:
    """theta (P,) through the points of the basis, from the columns as they are given."""
    if len(found.basis) < design.rank:
        return design.theta(found.z)
    rows = design.D[found.basis][:, design.pivots] / design.scale[design.pivots]
    return design.minimum_norm(np.linalg.solve(rows, y[found.basis]))


def _nothing(y: Array) -> Vertex:
    """No columns, or nothing left to explain."""
    everything = np.ones(len(y), dtype=bool)
    return Vertex(np.empty(0), np.empty(0, dtype=np.intp), np.zeros_like(y), np.zeros_like(y), everything, 0.0, True)
