"""Exact maximum-likelihood answers for models that are linear in their parameters."""

from noiseworks.exact.answer import Answer
from noiseworks.exact.problem import Problem
from noiseworks.exact.solve import solve, solved

__all__ = ["Answer", "Problem", "solve", "solved"]
