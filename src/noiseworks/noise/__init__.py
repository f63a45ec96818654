"""Noise models. A new one is one class here and one YAML in conf/noise; all property tests then run on it."""

from noiseworks.noise.asymmetric_laplace import AsymmetricLaplace
from noiseworks.noise.base import Noise
from noiseworks.noise.contaminated import Contaminated
from noiseworks.noise.gaussian import Gaussian
from noiseworks.noise.huber import Huber
from noiseworks.noise.interval_lognormal import IntervalLogNormal
from noiseworks.noise.laplace import Laplace
from noiseworks.noise.lognormal import LogNormal
from noiseworks.noise.negative_binomial import NegativeBinomial
from noiseworks.noise.poisson import Poisson
from noiseworks.noise.student_t import StudentT

__all__ = [
    "AsymmetricLaplace",
    "Contaminated",
    "Gaussian",
    "Huber",
    "IntervalLogNormal",
    "Laplace",
    "LogNormal",
    "NegativeBinomial",
    "Noise",
    "Poisson",
    "StudentT",
]
