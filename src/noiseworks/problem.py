"""Where data, noise and model meet: one fit, in the units of the data and in those of the fit."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from noiseworks.data.base import Data, Examples, in_source, split_rows
from noiseworks.data.input_noise import noisy_once
from noiseworks.data.scaling import Scaling, fit_scaling
from noiseworks.data.synthetic import Synthetic
from noiseworks.errors import UserError
from noiseworks.model import Model
from noiseworks.noise import Noise
from noiseworks.noise.lattice import off_grid


def check_target(examples: Examples, noise: Noise, allow_fractions: bool) -> None:
    """Refuse a target that is out of the noise's support; weighted rows may be means of counts, hence fractions."""
    what = f"column '{examples.target}'"
    try:
        noise.check_support(examples.y, what)
    except UserError as error:
        raise in_source(error, examples.rows) from error
    if not noise.counts or allow_fractions or examples.weights is not None:
        return
    step = noise.step
    fractions = (examples.y != examples.y.floor() if step == 1 else off_grid(examples.y, step)).nonzero()
    if len(fractions):
        row = int(fractions[0])
        number = row + 1 if examples.rows is None else int(examples.rows[row])
        needs = "whole numbers" if step == 1 else f"multiples of noise.tick={step:g}"
        raise UserError(
            f"{noise.name} noise needs {needs}; {what} is {examples.y[row].item()} in row {number}. "
            "data.allow_fractions=true takes fractions, as a quasi-likelihood."
        )


@dataclass(frozen=True)
class Part:
    """Features X (n, d), y, offset and weights (n,) in units of the data; the design D (n, q) in those of the fit."""

    X: Tensor
    D: Tensor
    y: Tensor
    offset: Tensor | None
    weights: Tensor | None
    rows: Tensor | None = None  # their numbers in the source, from 1; None: one after the other

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Problem:
    """A data set split, standardized and mapped to its design, for one noise and one model."""

    data: Data
    noise: Noise
    model: Model
    examples: Examples
    scaling: Scaling
    parts: dict[str, Part]  # train, val, test

    @property
    def terms(self) -> list[str]:
        return self.model.terms(self.examples.features)

    def num_rows(self, part: str) -> int:
        return len(self.parts[part])

    def part(self, examples: Examples) -> Part:
        Z = (examples.X - self.scaling.x_center) / self.scaling.x_spread
        return Part(examples.X, self.model.design(Z), examples.y, examples.offset, examples.weights, examples.rows)

    def eta(self, theta: Tensor, part: Part) -> Tensor:
        """The linear predictor in units of the data, (n,), for one member's theta (P,)."""
        eta = self.model.eta(theta.unsqueeze(0), part.D.unsqueeze(0)).squeeze(0)
        eta = self.scaling.y_center + self.scaling.y_spread * eta
        return eta if part.offset is None else eta + part.offset

    def in_fit_units(self, part: Part) -> tuple[Tensor, Tensor | None]:
        """(y', offset') such that p(y' | D theta + offset') is the likelihood of the fit.

        Location-scale noise: y' = (y - y_center) / y_spread (of log y for LogNormal); other noise keeps y and has
        y_center in the offset.
        """
        center, spread = self.scaling.y_center, self.scaling.y_spread
        if self.noise.location_scale:
            y = self.noise.inverse_transform((self.noise.transform(part.y) - center) / spread)
            return y, None if part.offset is None else part.offset / spread
        offset = torch.zeros_like(part.y) if part.offset is None else part.offset
        return part.y, offset + center


def make_problem(data: Data, noise: Noise, model: Model, val_fraction: float, replicate: int) -> Problem:
    """Read, check, split and standardize; every mistake in the data is found here."""
    examples = data.examples(replicate)
    check_target(examples, noise, data.allow_fractions)
    if "intercept" in examples.features:
        raise UserError(f"The column 'intercept' of {examples.source} has the name of the constant; rename it.")
    rows = split_rows(data, len(examples), val_fraction, replicate)
    if data.input_noise > 0 and not data.fresh_noise:
        examples = noisy_once(examples, rows["train"], data, replicate)
    scaling = Scaling.none(len(examples.features))
    if data.standardize:
        scaling = fit_scaling(examples.take(rows["train"]), noise, model.intercept)
    problem = Problem(data, noise, model, examples, scaling, {})
    problem.parts.update({name: problem.part(examples.take(index)) for name, index in rows.items()})
    return problem


class Stream:
    """Fresh synthetic examples for ever, standardized as the problem's own are (data.order=stream)."""

    def __init__(self, problem: Problem, generator: torch.Generator) -> None:
        if not isinstance(problem.data, Synthetic):
            raise UserError(
                f"data.order=stream draws fresh examples, which {problem.examples.source} cannot; it needs "
                "data=synthetic."
            )
        self.problem, self.synthetic, self.generator = problem, problem.data, generator

    def draw(self, n: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """n examples in units of the fit: D (n, q), y (n,), offset (n,) or None."""
        X, y = self.synthetic.draw(n, self.generator, self.generator)
        if self.synthetic.input_noise:
            X = X + self.synthetic.input_noise * torch.randn(X.shape, generator=self.generator, dtype=X.dtype)
        fresh = self.problem.part(replace(self.problem.examples, X=X, y=y))
        return fresh.D, *self.problem.in_fit_units(fresh)
