"""Exact maximum-likelihood answers for models that are linear in their parameters."""

from noiseworks.exact.answer import Answer
from noiseworks.exact.solve import solve

__all__ = ["Answer", "solve"]
