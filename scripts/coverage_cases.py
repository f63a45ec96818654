"""The simulated data of docs/coverage.md: which noise model is fitted, and where the data come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
import torch
from numpy.typing import NDArray

from noiseworks.noise import (
    AsymmetricLaplace,
    Contaminated,
    Gaussian,
    Huber,
    IntervalLogNormal,
    Laplace,
    LogNormal,
    NegativeBinomial,
    Noise,
    Poisson,
    StudentT,
)

Array = NDArray[np.float64]
TAU = 0.9  # of the quantile regression


@dataclass(frozen=True)
class Case:
    """noise: the model that is fitted. truth: what transform(y) comes from, with its scale or dispersion.

    sizes: a name in SIZES; the scale or dispersion of a row is so many times that of `truth`.
    intercept: the true one. shift: what the errors have added, so that their quantile is at zero.
    total: the counts expected in all rows, of a rate that is the same in each; there is no other coefficient then.
    """

    noise: Noise
    truth: Noise
    sizes: str | None = None
    intercept: float = 1.0
    shift: float = 0.0
    total: float | None = None

    def design(self, n: int) -> Array:
        """(n, P), one for all data sets: a constant, a normal feature, and a skewed one with a few rows far out
        (log-normal)."""
        return np.ones((n, 1)) if self.total else features(np.random.default_rng(n), (n,))

    def coefficients(self, n: int) -> Array:
        """The true theta (P,)."""
        return np.array([np.log(self.total / n)] if self.total else [self.intercept, 0.5, -0.5])

    def at(self, D: Array) -> Noise:
        """`truth` for the rows of D (..., n, P)."""
        if self.sizes is None:
            return self.truth
        assert self.truth.scale_value is not None
        return self.truth.with_scale(self.truth.scale_value * torch.from_numpy(SIZES[self.sizes](D[..., 1])))


def features(rng: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """(*shape, 3): a constant, a normal feature and a log-normal one."""
    return np.stack((np.ones(shape), rng.normal(size=shape), (rng.lognormal(size=shape) - np.exp(0.5)) / 2), axis=-1)


SIZES: dict[str, Callable[[Array], Array]] = {
    "heteroscedastic": lambda x: 0.2 + np.abs(x),
    "monotone": lambda x: np.exp(x / 2),
}
NORMAL, T3 = Gaussian(scale=1.0), StudentT(df=3.0, scale=1.0)
BY_NUMPY: dict[str, Callable[[np.random.Generator, tuple[int, ...]], Array]] = {
    "t3 errors": lambda rng, shape: rng.standard_t(3, size=shape),
    "gaussian errors": lambda rng, shape: rng.normal(size=shape),
}


def additive(noise: Noise, *names: str, right: Noise | None = None, shift: float = 0.0) -> dict[str, Case]:
    """Cases of errors that are added to the predictor: those assumed, at scale 1 (or `right`), then `names`."""
    right = noise.with_scale(1.0) if right is None else right
    truths = {"t3 errors": T3, "gaussian errors": NORMAL, "contaminated errors": Contaminated(scale=1.0)}
    cases = {"right": Case(noise, right)}
    for name in names:
        sizes = name if name in SIZES else None
        cases[name] = Case(noise, truths.get(name, right), sizes, shift=0.0 if sizes else shift)
    return cases


def dispersed(dispersion: float, intercept: float = 1.0, sizes: str | None = None) -> Case:
    return Case(NegativeBinomial(), NegativeBinomial(dispersion=dispersion), sizes, intercept)


FINE, COARSE = IntervalLogNormal(tick=0.1), IntervalLogNormal(tick=10.0)
CASES: dict[str, dict[str, Case]] = {
    "gaussian": additive(Gaussian(), "t3 errors", "heteroscedastic"),
    "laplace": additive(Laplace(), "gaussian errors", "heteroscedastic", "monotone"),
    "poisson": {
        "right": Case(Poisson(), Poisson()),
        "overdispersed": Case(Poisson(), NegativeBinomial(dispersion=0.5)),
        "mean 0.7": Case(Poisson(), Poisson(), intercept=-0.5),
        "ten counts in all": Case(Poisson(), Poisson(), total=10.0),
        "two counts in all": Case(Poisson(), Poisson(), total=2.0),
    },
    "lognormal": additive(LogNormal(), "t3 errors", right=NORMAL),
    "huber": additive(Huber(), "gaussian errors", "t3 errors", "contaminated errors", "heteroscedastic"),
    "student_t": additive(StudentT(), "gaussian errors", "t3 errors", "heteroscedastic"),
    "contaminated": additive(Contaminated(), "t3 errors"),
    "negative_binomial": {
        "right": dispersed(0.5),
        "nearly poisson": dispersed(0.02),
        "mean 2": dispersed(0.5, intercept=0.5),
        "mean 0.7": dispersed(0.5, intercept=-0.5),
        "heteroscedastic": dispersed(0.5, sizes="heteroscedastic"),
    },
    "asymmetric_laplace": additive(
        AsymmetricLaplace(tau=TAU), "gaussian errors", "heteroscedastic", shift=-NormalDist().inv_cdf(TAU)
    ),
    "interval_lognormal": {
        "right, tick 0.1": Case(FINE, NORMAL),
        "right, 70 % zeros": Case(COARSE, NORMAL),
        "t3 errors, tick 0.1": Case(FINE, T3),
    },
}


def place(noise: str, case: str) -> tuple[int, int]:
    """Where a case stands in the tables."""
    return list(CASES).index(noise), list(CASES[noise]).index(case)


def draw(noise: str, case: str, D: Array, K: int, seed: int) -> Array:
    """y (K, n) for the rows of D (n, P) or (K, n, P)."""
    generator, rng, chosen = torch.Generator().manual_seed(seed), np.random.default_rng(seed), CASES[noise][case]
    eta = np.broadcast_to(D @ chosen.coefficients(D.shape[-2]), (K, D.shape[-2])) + chosen.shift
    if case in BY_NUMPY:
        z = torch.from_numpy(eta + BY_NUMPY[case](rng, eta.shape))
    else:
        z = chosen.at(D).sample(torch.from_numpy(eta), generator)
    return np.asarray(observed(chosen.noise, z).numpy())


def observed(noise: Noise, z: torch.Tensor) -> torch.Tensor:
    """y for z = transform(y), rounded where the noise is one of rounded values."""
    if isinstance(noise, IntervalLogNormal):
        return torch.round(torch.exp(z) / noise.tick) * noise.tick
    return noise.inverse_transform(z)


def probability(case: Case, D: Array, low: Array, high: Array) -> Array:
    """P(low <= y <= high) of a new observation in each row of D (..., P), of the shape of low and high."""
    truth, eta = case.at(D), torch.from_numpy(D @ case.coefficients(1) + case.shift)
    ends = [torch.from_numpy(end) for end in (low, high)]
    if case.noise.counts:
        ends[0] = ends[0] - case.noise.step
    if isinstance(case.noise, IntervalLogNormal):
        ends = [torch.log((end + case.noise.tick / 2).clamp_min(0)) for end in ends]
    else:
        ends = [case.noise.transform(end) for end in ends]
    below, above = (as_known(truth.cdf(eta, end)) for end in ends)
    return np.asarray((above - below).numpy())


def as_known(found: torch.Tensor | None) -> torch.Tensor:
    assert found is not None
    return found
