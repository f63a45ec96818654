"""Exercise 8: what is measured on the apples."""

from __future__ import annotations

import math

import numpy as np
from hydra.utils import instantiate
from numpy.typing import NDArray

from noiseworks.inference.uncertainty import batched_standard_errors, uncertainty
from noiseworks.noise import NegativeBinomial, Poisson
from noiseworks.solvers.batched import solved_batch
from noiseworks.solvers.linear_problem import LinearProblem, LinearProblems
from noiseworks.solvers.solve import solve
from noiseworks_experiments.parts.counts import Z, tensor
from noiseworks_experiments.parts.heaps import compare_distributions

SURVEY = 4  # times as many households are drawn as there are
Array = NDArray[np.float64]


def apples(cfg) -> dict[str, Array]:
    """Whether intervals of the coefficient of eco_price, from SURVEY n households drawn with replacement, cover that of
    all n households; and of all households, standard errors, and how well four distributions fit. bootstrap: the
    estimates, as far from that of all households as those of n drawn ones would be."""
    examples = instantiate(cfg.data).examples(0)
    D, y = np.column_stack((examples.X.numpy(), np.ones(len(examples)))), examples.y.numpy()
    draw = np.random.default_rng([cfg.seed, 5]).integers(0, len(y), (cfg.replicates, SURVEY * len(y)))
    own = solve(Poisson(), tensor(D), tensor(y)).theta.numpy()[0]
    theta, errors = [], {"information": [], "HC0": []}
    for part in np.array_split(draw, max(1, cfg.replicates // 50)):
        problems = LinearProblems.of(Poisson(), tensor(D[part]), tensor(y[part]), None, None)
        fit = solved_batch(problems)
        theta.append(fit.theta[:, 0])
        for how, found in errors.items():
            found.append(batched_standard_errors(problems, fit, how)[:, 0])
    theta = np.concatenate(theta)
    covers = {f"covers_{how}": np.abs(theta - own) <= Z * np.concatenate(found) for how, found in errors.items()}
    return (
        covers
        | {"bootstrap": own + math.sqrt(SURVEY) * (theta - own)}
        | standard_errors(D, y)
        | compare_distributions(D, y)
    )


def standard_errors(D: Array, y: Array) -> dict[str, float]:
    """Of eco_price, with apples and with pounds (three apples) for the unit; and variance over mean, and Pearson's
    dispersion, by whose root quasi-Poisson multiplies the standard errors by information."""
    found = {"dispersion": y.var(ddof=1) / y.mean(), "dispersion_pounds": (y / 3).var(ddof=1) / (y / 3).mean()}
    for name, noise, unit in (("poisson", Poisson(), 1), ("pounds", Poisson(), 3), ("nb", NegativeBinomial(), 1)):
        problem = LinearProblem.of(noise, tensor(D), tensor(y / unit), None, None)
        answer = solve(noise, tensor(D), tensor(y / unit))
        found[f"coefficient_{name}"] = float(answer.theta[0])
        for how in ("information", "HC0"):
            found[f"{how}_{name}"] = float(uncertainty(problem, answer, how).standard_errors()[0])
        mu = np.exp(D @ answer.theta.numpy())
        found[f"pearson_{name}"] = ((y / unit - mu) ** 2 / mu).sum() / (len(y) - D.shape[1])
    for name in ("poisson", "pounds"):
        found[f"quasi_{name}"] = math.sqrt(found[f"pearson_{name}"]) * found[f"information_{name}"]
    return found
