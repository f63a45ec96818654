"""The last pass: the metrics of an answer, and what its uncertainty and criteria are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from noiseworks.exact import Answer
from noiseworks.exact.problem import Array
from noiseworks.exact.stream.rows import Columns
from noiseworks.inference.local import Local
from noiseworks.noise import Noise
from noiseworks.problem import Part
from noiseworks.streamed.density import Density
from noiseworks.streamed.null import Null
from noiseworks.streamed.problem import StreamedProblem

TINY = 1e-300  # the rate that stands for zero, as in `inference.criteria`


@dataclass
class Fit:
    """Sums over the rows of a part, in units of the data: of w, w nll, w |y - prediction| and w (y - prediction)^2."""

    weight: float = 0.0
    nll: float = 0.0
    absolute: float = 0.0
    square: float = 0.0

    def add(self, noise: Noise, eta: Tensor, part: Part) -> None:
        w = torch.ones_like(part.y) if part.weights is None else part.weights
        left = part.y - noise.predict(eta)
        self.weight += float(w.sum())
        self.nll += float(w @ noise.nll(eta, part.y))
        self.absolute += float(w @ left.abs())
        self.square += float(w @ left.square())

    def metrics(self, name: str) -> dict[str, float]:
        means = self.nll / self.weight, self.absolute / self.weight, (self.square / self.weight) ** 0.5
        return {f"{name}/{key}": value for key, value in zip(("nll", "mae", "rmse"), means)}


@dataclass
class Sums:
    """Over the training rows, in units of the fit: sum w s d (P,) of the scores s, sums of c a a' for the `bread` and
    the `meat` (see `inference.covariance.robust`), and, of counts, deviance, that of the constant, Pearson's sum, and
    the derivative by log scale."""

    gradient: Array
    bread: Array
    meat: Array
    deviance: float = 0.0
    null: float = 0.0
    pearson: float = 0.0
    by_log_scale: float = 0.0

    @classmethod
    def zero(cls, P: int, r: int) -> Sums:
        return cls(np.zeros(P), np.zeros((r, r)), np.zeros((r, r)))

    def add(self, local: Local, A: Array, density: Density | None, null: Null, joint: bool) -> None:
        w, score, D = local.weights, local.score(), local.problem.D
        self.gradient += (w * score) @ D
        if density is not None:  # a quantile: s^2 = tau (1 - tau), in the rows that are fitted exactly, too
            level = float(local.noise.quantile_level or 0.5)
            bread, size = w**2 * density(w, A, local.residual()), w * np.sqrt(level * (1 - level))
        else:
            information = local.information()
            assert information is not None
            bread, size = w * information, w * score
        self.bread += A.T @ (bread[:, None] * A)
        self.meat += A.T @ ((size**2)[:, None] * A)
        if local.noise.counts:
            self._add_counts(local, null)
        if joint:
            self.by_log_scale += _by_log_scale(local)

    def _add_counts(self, local: Local, null: Null) -> None:
        noise, y, counted = local.noise, local.y, torch.from_numpy(local.counted)
        best = noise.nll(noise.inverse_mean(y.clamp_min(TINY)), y)
        information = local.information()
        assert information is not None
        self.deviance += 2 * float(counted @ (noise.nll(local.eta, y) - best))
        self.null += 2 * float(counted @ (noise.nll(null.eta(local.problem), y) - best))
        self.pearson += float((local.counted * local.score() ** 2 / information).sum())


def last_pass(
    problem: StreamedProblem, noise: Noise, answer: Answer, scale: float | None, density: Density | None, null: Null
) -> tuple[dict[str, Fit], Sums]:
    """`noise` as the solver took it, `scale` in units of the data."""
    assert answer.design is not None
    columns = Columns.of(answer.design)
    sums = Sums.zero(answer.design.D.shape[1], answer.rank)
    joint = not noise.separable and noise.scale_value is None
    of_data = problem.noise.with_scale(scale)
    fits: dict[str, Fit] = {}
    for name, examples in problem.rows("residuals"):
        part = problem.part(examples)
        fits.setdefault(name, Fit()).add(of_data, problem.eta(answer.theta, part), part)
        if name == "train":
            local = Local.of(problem.exact(noise, part), answer)
            sums.add(local, columns(local.problem.D), density, null, joint)
    return fits, sums


def _by_log_scale(local: Local) -> float:
    assert local.noise.scale_value is not None
    log_scale = torch.tensor([np.log(float(local.noise.scale_value))], requires_grad=True)
    noise = local.problem.noise.with_scale(log_scale.exp())
    total = torch.from_numpy(local.weights) @ noise.nll(local.eta, local.y)
    return float(torch.autograd.grad(total, log_scale)[0])
