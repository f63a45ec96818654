from noiseworks.model.base import Model
from noiseworks.model.linear import Constant, Linear, Quadratic
from noiseworks.model.two_layer import TwoLayer

__all__ = ["Constant", "Linear", "Model", "Quadratic", "TwoLayer"]
