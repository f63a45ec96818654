"""What scikit-learn asks of every estimator, with every noise model."""

from __future__ import annotations

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

from noiseworks import LinearRegressor
from noiseworks.noise import Poisson
from noiseworks.regressor.noises import noise_classes

EXACT = [LinearRegressor(noise) for noise in noise_classes()]
LINKS = [LinearRegressor(Poisson(link=link)) for link in ("identity", "softplus")]
TRAINED = [LinearRegressor(noise, solver="sgd", max_epochs=5) for noise in ("gaussian", "poisson")]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
@parametrize_with_checks([*EXACT, *LINKS, *TRAINED])
def test_estimator(estimator, check):
    check(estimator)
