"""Exact maximum-likelihood answers for models that are linear in their parameters."""

from noiseworks.solvers.linear_problem import LinearProblem
from noiseworks.solvers.solution import Solution
from noiseworks.solvers.solve import solve, solved

__all__ = ["LinearProblem", "Solution", "solve", "solved"]
