"""Small problems, members and settings for the tests of training."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor

from noiseworks.data.base import Column, Data, Examples
from noiseworks.data.synthetic import Synthetic
from noiseworks.model import Linear, Model
from noiseworks.noise import AsymmetricLaplace, Noise, Poisson
from noiseworks.outcome import Outcome
from noiseworks.problem import Problem, make_problem
from noiseworks.train.ensemble import Member
from noiseworks.train.optimizers import MinibatchSGD
from noiseworks.train.schedules import ConstantRate, Cosine, InverseSqrt, Schedule
from noiseworks.train.settings import Settings

CONF = Path(__file__).parents[2] / "conf"

# Every noise of conf/noise, so that a new one is tested unasked, the other links of Poisson and another quantile.
NOISES: dict[str, Noise] = {path.stem: instantiate(OmegaConf.load(path)) for path in sorted(CONF.glob("noise/*.yaml"))}
NOISES["huber"] = replace(NOISES["huber"], scale_estimator="likelihood")  # type: ignore[call-arg]
NOISES |= {f"poisson {link}": Poisson(link=link) for link in ("identity", "softplus")}
NOISES["asymmetric_laplace 0.8"] = AsymmetricLaplace(tau=0.8)

COMMON: dict[str, Any] = {
    "seed": 0,
    "batch_size": 8,
    "order": "shuffle",
    "val_fraction": None,
    "test_fraction": 0.0,
    "standardize": True,
}
CONSTANT = ConstantRate(averaging=False, averaging_start=0.5)
COSINE = Cosine(averaging=False, averaging_start=0.5)
AVERAGED = InverseSqrt(averaging=True, averaging_start=0.4, decay_steps=10.0)
LINEAR = Linear(intercept=True, init_scale=0.0)
LBFGS = partial(torch.optim.LBFGS, lr=1.0, tolerance_grad=1e-12, tolerance_change=1e-14, line_search_fn="strong_wolfe")


def synthetic(assumed: Noise, **changes: Any) -> Synthetic:
    """Small; the intercept keeps the rates of Poisson's identity link far from zero."""
    values: dict[str, Any] = COMMON | {
        "allow_fractions": False,
        "num_examples": 50,
        "num_features": 3,
        "correlation": 0.3,
        "rank": None,
        "true_weights": None,
        "true_intercept": 6.0 if getattr(assumed, "link", None) == "identity" else 1.5,
        "signal": 0.7,
        "noise": assumed.with_scale(0.5),
    }
    return Synthetic(**(values | changes))


@dataclass(frozen=True, kw_only=True)
class Given(Data):
    """Examples made by the test: for offsets, weights and values that Synthetic cannot draw."""

    given: Examples

    def examples(self, replicate: int) -> Examples:
        return self.given


def table(
    X: Tensor, y: Tensor, *, offset: Tensor | None = None, weights: Tensor | None = None, **changes: Any
) -> Given:
    names = tuple(f"x{j}" for j in range(X.shape[1]))
    examples = Examples(
        X.double(), y.double(), names, "y", tuple(Column(n) for n in names), "given", "0", offset, None, weights
    )
    values: dict[str, Any] = COMMON | {
        "allow_fractions": True,
        "given": examples,
    }
    return Given(**(values | changes))


def problem(
    assumed: Noise, model: Model = LINEAR, val_fraction: float = 0.2, replicate: int = 0, **changes: Any
) -> Problem:
    """`noise` among the changes is the truth, which else follows the assumption."""
    return make_problem(synthetic(assumed, **changes), assumed, model, val_fraction, replicate)


def with_extras(noise: Noise, seed: int, model: Model = LINEAR, **changes: Any) -> Problem:
    """Synthetic rows with an offset, which moves y as it says, and weights between 1/2 and 2."""
    base = synthetic(noise, seed=seed)
    X = base.examples(0).X
    g = torch.Generator().manual_seed(1000 + seed)
    offset = 0.3 * torch.randn(len(X), generator=g, dtype=torch.float64)
    weights = 0.5 + 1.5 * torch.rand(len(X), generator=g, dtype=torch.float64)
    y = base.noise.sample(X @ base.w_true + base.true_intercept + offset, g)
    return make_problem(table(X, y, offset=offset, weights=weights, seed=seed, **changes), noise, model, 0.2, 0)


def member(
    of: Problem,
    make: Any = MinibatchSGD,
    lr: float = 0.05,
    seed: int = 0,
    replicate: int = 0,
    schedule: Schedule = CONSTANT,
    noise: Noise | None = None,
) -> Member:
    return Member(of, of.noise if noise is None else noise, partial(make, lr=lr), schedule, seed, replicate)


def settings(**changes: Any) -> Settings:
    values: dict[str, Any] = {
        "accelerator": "cpu",
        "devices": 1,
        "precision": "64-true",
        "max_epochs": 3,
        "patience": None,
        "min_delta": 0.0,
        "progress_bar": False,
    }
    return Settings(**(values | changes))


def numbers(outcome: Outcome, k: int) -> dict[str, Tensor]:
    """Everything an outcome says about member k; the points of a curve as one tensor, its steps as another."""
    said = {"theta": outcome.theta[k], "coefficients": outcome.coefficients[k]}
    if outcome.scale is not None:
        said["scale"] = outcome.scale[k]
    if outcome.exact is not None:
        said["exact"] = outcome.exact[k]
    if outcome.path is not None:
        said["path"] = outcome.path[:, k]
    said |= {name: values[k] for name, values in outcome.metrics.items()}
    for name, points in outcome.curves.items():
        own = [(step, values[k]) for step, values in points if not values[k].isnan()]
        said[f"curve {name}"] = torch.stack([value for _, value in own])
        said[f"steps of {name}"] = torch.tensor([step for step, _ in own])
    return said


def largest_difference(ours: dict[str, Tensor], theirs: dict[str, Tensor]) -> tuple[float, str]:
    """The largest difference relative to the size of the quantity, and the quantity's name."""
    assert ours.keys() == theirs.keys()
    worst = (0.0, "all are the same")
    for name, value in ours.items():
        other = theirs[name]
        assert value.shape == other.shape, name
        assert torch.equal(value.isnan(), other.isnan()), name
        gap = (value - other).nan_to_num().double().norm() / other.nan_to_num().double().norm().clamp_min(1e-3)
        worst = max(worst, (gap.item(), name))
    return worst


def rows_of(of: Problem) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """D (n, q), y, offset and weights (n,) of the training rows in units of the fit, offset and weights filled in."""
    train = of.parts["train"]
    y, offset = of.in_fit_units(train)
    return (
        train.D,
        y,
        torch.zeros_like(y) if offset is None else offset,
        torch.ones_like(y) if train.weights is None else train.weights,
    )
