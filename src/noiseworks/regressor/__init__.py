"""`noiseworks.LinearRegressor`: the exact answers, and the training, behind the interface of scikit-learn."""

from noiseworks.regressor.estimator import LinearRegressor
from noiseworks.regressor.likelihood_ratio import likelihood_ratio_test

__all__ = ["LinearRegressor", "likelihood_ratio_test"]
