"""solver="sgd": one member through the Lightning module that the command trains."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf

from noiseworks.data.base import Column, Data, Examples
from noiseworks.errors import FitFailed, UserError
from noiseworks.fit import train
from noiseworks.model import Linear
from noiseworks.noise import Noise
from noiseworks.outcome import Outcome
from noiseworks.paths import conf_folder
from noiseworks.problem import Problem, make_problem
from noiseworks.regressor.exact_fit import Fitted
from noiseworks.regressor.inputs import EstimatorRows
from noiseworks.train.ensemble import Member
from noiseworks.train.optimizers import takes_all_rows
from noiseworks.train.schedules import Cosine
from noiseworks.train.settings import Settings

OWN = {"lbfgs": {"history_size": 100}}  # where the estimator differs from the command's YAML: torch's default


@cache
def optimizers() -> dict[str, Callable[..., Any]]:
    """name -> maker with the settings of conf/optimizer/NAME.yaml, of all but `exact`, which trains nothing."""
    files = sorted((conf_folder() / "optimizer").glob("*.yaml"))
    nodes: dict[str, Any] = {file.stem: OmegaConf.load(file) for file in files}
    makers = {name: instantiate(node, _convert_="all") for name, node in nodes.items() if node.get("_partial_")}
    return {name: partial(make, **OWN.get(name, {})) for name, make in makers.items()}


@dataclass(frozen=True, kw_only=True)
class InMemory(Data):
    given: Examples

    def examples(self, replicate: int) -> Examples:
        return self.given


@dataclass(frozen=True)
class Training:
    """The settings of a training, as the estimator has them."""

    lr: float
    max_epochs: int
    batch_size: int
    optimizer: str | Callable[..., Any]
    seed: int

    def maker(self) -> Callable[..., Any]:
        if not 0 < self.lr < float("inf"):
            raise UserError(f"lr={self.lr} is no step size; it must be a number above 0.")
        if callable(self.optimizer):
            return partial(self.optimizer, lr=self.lr)
        if self.optimizer not in optimizers():
            raise UserError(
                f"optimizer={self.optimizer!r} is unknown; it must be one of {', '.join(optimizers())}, or a class of "
                "torch.optim."
            )
        return partial(optimizers()[self.optimizer], lr=self.lr)


def fit_by_sgd(rows: EstimatorRows, noise: Noise, intercept: bool, training: Training) -> Fitted:
    """As data.standardize=true schedule=cosine; all rows train. A diverging fit is a FitFailed."""
    data = _data(rows, training)
    problem = make_problem(data, noise, Linear(intercept=intercept, init_scale=0.0), 0.0, 0)
    schedule = Cosine(averaging=False, averaging_start=0.5)
    member = Member(problem, noise, training.maker(), schedule, training.seed, 0)
    outcome = train([member], _settings(training.max_epochs))
    if outcome.failed is not None:
        raise FitFailed(outcome.failed.replace("optimizer.lr", "lr"))
    scale = None if outcome.scale is None else outcome.scale[0].item()
    return Fitted(
        theta=outcome.coefficients[0].numpy(),
        noise=noise.with_scale(scale),
        kind="trained",
        n=len(data.given),
        epochs=int(outcome.metrics["trainer/epochs"][0]),
        notes=tuple(_notes(rows, problem, outcome, training)),
    )


def _notes(rows: EstimatorRows, problem: Problem, outcome: Outcome, training: Training) -> Iterator[str]:
    n = problem.num_rows("train")
    if training.batch_size > n and not takes_all_rows(training.maker()):
        yield f"batch_size={training.batch_size} is more than the {n} rows: each step takes all of them"
    if rows.weights is not None:
        yield "weights are precisions"
    if outcome.distance is not None:
        said = outcome.distance.said(problem.terms, lr="lr", exact="solver='exact'")
        if said is not None:
            yield said


def _data(rows: EstimatorRows, training: Training) -> InMemory:
    """A row of weight zero is no row."""
    D, y, offset, weights = rows.tensors(intercept=False)
    names = tuple(f"x{j}" for j in range(D.shape[1]))
    given = Examples(D, y, names, "y", tuple(map(Column, names)), "the rows given", "", offset, None, weights)
    if weights is not None:
        given = given.take(torch.nonzero(weights).squeeze(1))
    return InMemory(
        given=given,
        seed=training.seed,
        batch_size=training.batch_size,
        order="shuffle",
        val_fraction=0.0,
        test_fraction=0.0,
        standardize=True,
        allow_fractions=True,
    )


def _settings(max_epochs: int) -> Settings:
    return Settings(
        accelerator="cpu",
        devices=1,
        precision="64-true",
        max_epochs=max_epochs,
        patience=None,
        min_delta=0.0,
        progress_bar=False,
    )
