"""A mistake of the user's, and Hydra's complaints put the same way."""

from __future__ import annotations


class UserError(Exception):
    """One or two sentences that name the key or column, the value, and what would be right."""


class FitFailed(Exception):
    """A fit that diverged: a result, with the step and the quantity that stopped being finite."""
