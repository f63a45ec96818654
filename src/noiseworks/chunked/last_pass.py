"""The last pass over the rows: metrics, and sums for uncertainty and criteria; densities at quantiles, null model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from noiseworks.chunked.problem import ChunkedProblem
from noiseworks.inference.density import STEPS, at_the_edge, smoothed
from noiseworks.inference.scores import RowScores
from noiseworks.inference.whitened import inverse_root
from noiseworks.metrics import METRICS, Metric
from noiseworks.noise import Gaussian, Noise, Poisson
from noiseworks.problem import Part
from noiseworks.solvers.chunked import solve_chunked
from noiseworks.solvers.linear_problem import Array, LinearProblem
from noiseworks.solvers.solution import Solution
from noiseworks.solvers.sufficient_statistics import OrthogonalColumns, Pass, Sketch

ONE = 1e-8  # how near to 1 a combination of columns must come


@dataclass(frozen=True)
class Null:
    """Counts: eta = constant + offset, in units of the fit."""

    constant: float

    @classmethod
    def of(
        cls, noise: Noise, answer: Solution, rows: Pass, sketch: Sketch, rate: float, center: float, has_offset: bool
    ) -> Null:
        """rate: sum w y / sum w exp(offset). Passes are made only for an offset without the log link of Poisson."""
        if not noise.counts:
            return cls(np.nan)
        if not has_constant(sketch):
            return cls(0.0)
        if has_offset and not (isinstance(noise, Poisson) and noise.link == "log"):
            return cls(float(solve_chunked(noise.with_scale(answer.scale), _ones(rows), _constant(sketch)).theta))
        return cls(float(noise.inverse_mean(torch.tensor(rate, dtype=torch.float64))) - center)

    def eta(self, block: LinearProblem) -> Tensor:
        return torch.from_numpy(self.constant + block.offset)


def has_constant(sketch: Sketch) -> bool:
    """Whether some theta has D theta = 1."""
    return float(np.linalg.norm(_left(sketch, sketch.ones))) < ONE * np.sqrt(sketch.n)


def r_squared(sketch: Sketch) -> float:
    """1 - RSS / RSS0; nan where all y are equal."""
    target, ones = sketch.target, sketch.ones
    worst = target - ones * (ones @ target) / (ones @ ones) if has_constant(sketch) else target
    total, left = float(worst @ worst), _left(sketch, target)
    return 1 - float(left @ left) / total if total > 0 else np.nan


def explained(noise: Noise, answer: Solution, rows: Pass, sketch: Sketch) -> float:
    """1 - D / D0 of a location-scale noise: R-squared, or Koenker and Machado's R1, whose sums are the scales."""
    if isinstance(noise, Gaussian):
        return r_squared(sketch)
    if not has_constant(sketch) or answer.scale is None:
        return np.nan
    worst = solve_chunked(noise, _ones(rows), _constant(sketch)).scale
    return 1 - answer.scale / worst if worst else np.nan


def _ones(rows: Pass) -> Pass:
    def blocks(what: str) -> Iterator[LinearProblem]:
        for block in rows(f"constant, {what}"):
            yield replace(block, D=np.ones((len(block.y), 1)))

    return blocks


def _constant(sketch: Sketch) -> Sketch:
    ones = np.ones((len(sketch.sample.y), 1))
    small = np.column_stack((sketch.ones, sketch.ones, sketch.target))
    return replace(sketch, small=small, sample=replace(sketch.sample, D=ones))


def _left(sketch: Sketch, column: Array) -> Array:
    """What least squares on the columns of D leaves of a column of the triangle."""
    design = sketch.design()
    A = OrthogonalColumns.of(design)(design.D)
    return np.asarray(column - A @ (A.T @ column) / sketch.n)


@dataclass
class Density:
    """f_i(0) as `inference.sparsity.row_density`: a pass for the mean size of w |u|, one for each of its steps but the
    last, which is made when the rows are seen for the last time. roots: F (r, r) with F F' = V, one a step."""

    unit: float  # nan: there are too few rows beyond the quantile
    roots: list[Array] = field(default_factory=list)

    @classmethod
    def of(cls, noise: Noise, rows: Pass, size: int, answer: Solution) -> Density:
        assert answer.design is not None
        columns, tau = OrthogonalColumns.of(answer.design), float(noise.quantile_level or 0.5)
        if at_the_edge(size, answer.rank, tau):
            return cls(np.nan)
        total, J = 0.0, np.zeros((answer.rank, answer.rank))
        for block in rows("spread"):
            local, A = RowScores.of(block, answer), block.weights[:, None] * columns(block.D)
            total, J = total + float(np.abs(block.weights * local.residual()).sum()), J + A.T @ A
        density = cls(total / size)
        density.roots.append(density.unit * inverse_root(J))
        while len(density.roots) < STEPS:
            H = np.zeros_like(J)
            for block in rows("density"):
                local, A = RowScores.of(block, answer), columns(block.D)
                f = density(block.weights, A, local.residual())
                H += A.T @ ((block.weights**2 * f)[:, None] * A)
            half = inverse_root(H)
            density.roots.append(np.sqrt(tau * (1 - tau)) * half @ (half.T @ np.linalg.cholesky(J)))
        return density

    def __call__(self, weights: Array, A: Array, residual: Array) -> Array:
        if np.isnan(self.unit):
            return np.full(len(residual), np.nan)
        found = None
        for root in self.roots:
            width = weights * np.sqrt(2) * np.linalg.norm(A @ root, axis=1)
            found = smoothed(found, weights * residual, width, self.unit)
        assert found is not None
        return found


TINY = 1e-300  # the rate that stands for zero, as in `inference.criteria`


@dataclass
class Fit:
    """Sums over the rows of a part, in units of the data: of w, and of w times the term of each metric."""

    weight: float = 0.0
    sums: dict[Metric, float] = field(default_factory=dict)

    def add(self, noise: Noise, eta: Tensor, part: Part) -> None:
        w = torch.ones_like(part.y) if part.weights is None else part.weights
        left = part.y - noise.predict(eta)
        self.weight += float(w.sum())
        nll = noise.nll(eta, part.y)
        for metric in METRICS:
            if metric.from_sums:
                self.sums[metric] = self.sums.get(metric, 0.0) + float(w @ metric.term(left, nll))

    def metrics(self, name: str) -> dict[str, float]:
        means = {metric: torch.tensor(total / self.weight, dtype=torch.float64) for metric, total in self.sums.items()}
        return {f"{name}/{metric.name}": metric.finish(mean).item() for metric, mean in means.items()}


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

    def add(self, local: RowScores, A: Array, density: Density | None, null: Null, joint: bool) -> None:
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

    def _add_counts(self, local: RowScores, null: Null) -> None:
        noise, y, counted = local.noise, local.y, torch.from_numpy(local.counted)
        best = noise.nll(noise.inverse_mean(y.clamp_min(TINY)), y)
        information = local.information()
        assert information is not None
        self.deviance += 2 * float(counted @ (noise.nll(local.eta, y) - best))
        self.null += 2 * float(counted @ (noise.nll(null.eta(local.problem), y) - best))
        self.pearson += float((local.counted * local.score() ** 2 / information).sum())


def last_pass(
    problem: ChunkedProblem, noise: Noise, answer: Solution, scale: float | None, density: Density | None, null: Null
) -> tuple[dict[str, Fit], Sums]:
    """`noise` as the solver took it, `scale` in units of the data."""
    assert answer.design is not None
    columns = OrthogonalColumns.of(answer.design)
    sums = Sums.zero(answer.design.D.shape[1], answer.rank)
    joint = not noise.separable and noise.scale_value is None
    of_data = problem.noise.with_scale(scale)
    fits: dict[str, Fit] = {}
    for name, examples in problem.rows("residuals"):
        part = problem.part(examples)
        fits.setdefault(name, Fit()).add(of_data, problem.eta(answer.theta, part), part)
        if name == "train":
            local = RowScores.of(problem.exact(noise, part), answer)
            sums.add(local, columns(local.problem.D), density, null, joint)
    return fits, sums


def _by_log_scale(local: RowScores) -> float:
    assert local.noise.scale_value is not None
    log_scale = torch.tensor([np.log(float(local.noise.scale_value))], requires_grad=True)
    noise = local.problem.noise.with_scale(log_scale.exp())
    total = torch.from_numpy(local.weights) @ noise.nll(local.eta, local.y)
    return float(torch.autograd.grad(total, log_scale)[0])
