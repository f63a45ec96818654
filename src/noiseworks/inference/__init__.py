"""What an exact answer says about the truth: how far it may be from it, and how well it fits."""

from noiseworks.inference.bootstrap import Bootstrap, bootstrap
from noiseworks.inference.covariance import METHODS
from noiseworks.inference.criteria import criteria
from noiseworks.inference.hypothesis_tests import HypothesisTest, wald_test
from noiseworks.inference.uncertainty import LEVEL, Uncertainty, uncertainty

__all__ = [
    "LEVEL",
    "METHODS",
    "Bootstrap",
    "HypothesisTest",
    "Uncertainty",
    "bootstrap",
    "criteria",
    "uncertainty",
    "wald_test",
]
