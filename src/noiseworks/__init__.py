"""noiseworks: a research workbench for linear regression. See README.md."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from noiseworks.inference import wald_test as wald_test
    from noiseworks.regressor import LinearRegressor as LinearRegressor
    from noiseworks.regressor import likelihood_ratio_test as likelihood_ratio_test

__version__ = "0.1.0"

LAZY = {
    "LinearRegressor": "noiseworks.regressor",
    "likelihood_ratio_test": "noiseworks.regressor",
    "wald_test": "noiseworks.inference",
}


def __getattr__(name: str) -> Any:
    """The command answers at once because torch is imported only by what needs it."""
    if name not in LAZY:
        raise AttributeError(f"module 'noiseworks' has no attribute '{name}'")
    from importlib import import_module

    return getattr(import_module(LAZY[name]), name)


def __dir__() -> list[str]:
    return [*globals(), *LAZY]
