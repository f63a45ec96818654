"""What an exact answer says about the truth: how far it may be from it, and how well it fits."""

from noiseworks.inference.covariance import METHODS
from noiseworks.inference.criteria import criteria
from noiseworks.inference.uncertainty import Uncertainty, uncertainty

__all__ = ["METHODS", "Uncertainty", "criteria", "uncertainty"]
