"""The last pass over the rows: metrics, and sums for uncertainty and criteria; densities at quantiles, null model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from noiseworks.chunked.problem import ChunkedProblem
from noiseworks.inference.covariance import beside, bread, scores
from noiseworks.inference.density import at_the_edge, smoothed, smoothing_root, widths
from noiseworks.inference.scores import RowScores
from noiseworks.inference.whitened import gram
from noiseworks.metrics import METRICS, Metric
from noiseworks.noise import Gaussian, Noise, Poisson
from noiseworks.problem import Part
from noiseworks.solvers.chunked import solve_chunked
from noiseworks.solvers.linear_problem import Array, LinearProblem
from noiseworks.solvers.solution import Solution
from noiseworks.solvers.sufficient_statistics import OrthogonalColumns, Pass, Sketch, Triangle

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

    def eta(self, local: RowScores) -> Tensor:
        return torch.from_numpy(self.constant + local.offset)


def has_constant(sketch: Sketch) -> bool:
    """Whether some theta has D theta = 1."""
    return float(np.linalg.norm(_left(sketch, sketch.ones))) < ONE * np.sqrt(sketch.n)


def compared(noise: Noise, answer: Solution, rows: Pass, sketch: Sketch) -> tuple[float, float]:
    """Of a location-scale noise the deviance, and that of the constant, in some unit: sums of squares; of absolute
    values, in proportion to the scales. nan where all y are equal, or there is no constant for a quantile."""
    if isinstance(noise, Gaussian):
        target, ones = sketch.target, sketch.ones
        worst = target - ones * (ones @ target) / (ones @ ones) if has_constant(sketch) else target
        left = _left(sketch, target)
        return float(left @ left), float(worst @ worst)
    if not has_constant(sketch) or answer.scale is None:
        return np.nan, np.nan
    return answer.scale, solve_chunked(noise, _ones(rows), _constant(sketch)).scale or np.nan


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
    """f_i(0) as `inference.density.row_density`: a pass for the mean size of w |u|, one for each of its steps but the
    last, which is made when the rows are seen for the last time. roots: F (1, r, r) with F F' = V, one a step."""

    unit: Array  # (1, 1); nan: there are too few rows beyond the quantile
    roots: list[Array] = field(default_factory=list)

    @classmethod
    def of(cls, noise: Noise, rows: Pass, size: int, answer: Solution) -> Density:
        assert answer.design is not None
        columns, tau, r = OrthogonalColumns.of(answer.design), float(noise.quantile_level or 0.5), answer.rank
        if at_the_edge(size, r, tau):
            return cls(np.full((1, 1), np.nan))
        total, J = np.zeros((1, 1)), np.zeros((1, r, r))
        for block in rows("spread"):
            local = RowScores.of(block, answer)
            total = total + np.abs(local.weights * local.residual()).sum()
            J += gram(columns(block.D)[None], local.weights**2)
        density = cls(total / size)

        def bread(root: Array) -> Array:
            H = np.zeros_like(J)
            density.roots.append(root)
            for block in rows("density"):
                A, local = columns(block.D)[None], RowScores.of(block, answer)
                H += gram(A, local.weights**2 * density(local, A))
            return H

        density.roots.append(smoothing_root(density.unit, J, tau, bread))
        return density

    def __call__(self, local: RowScores, A: Array) -> Array:
        """(1, n), A (1, n, r)."""
        found, residual = np.full(local.weights.shape, np.nan) if np.isnan(self.unit) else None, local.residual()
        for root in self.roots:
            found = smoothed(found, local.weights * residual, local.weights * widths(A, root), self.unit)
        assert found is not None
        return found


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
    """Over the training rows, in units of the fit: sum w s d (P,) of the scores s; the `bread` (1, k, k) and for a
    sandwich the triangle of the `scores` of `inference.covariance`, k = r, or r + 1 with log scale beside z; and, of
    counts, deviance, that of the constant, Pearson's sum, and the derivative by log scale where that is estimated.
    counting: what the weights are multiplied by."""

    gradient: Array
    bread: Array
    scores: Triangle
    deviance: float = 0.0
    null: float = 0.0
    pearson: float = 0.0
    by_log_scale: float = 0.0
    counting: float = 1.0

    @classmethod
    def zero(cls, P: int, k: int) -> Sums:
        return cls(np.zeros(P), np.zeros((1, k, k)), Triangle(k))

    def add(self, local: RowScores, D: Array, A: Array, method: str, density: Density | None, null: Null) -> None:
        """D (n, P), A (1, n, r)."""
        self.gradient += (local.weights * local.score)[0] @ D
        self.counting = local.counting
        self.bread += bread(local, A, method, None if density is None else density(local, A))
        if method not in ("iid", "information"):
            self.scores.add(scores(local, A, method)[0])
        if local.assumed.joint:
            self.by_log_scale += float((local.weights * local.joint[1]).sum())
        if local.noise.counts:
            self.deviance += float(local.deviance()[0])
            self.null += float(local.deviance(null.eta(local))[0])
            self.pearson += float(local.pearson()[0])


def last_pass(
    problem: ChunkedProblem,
    noise: Noise,
    answer: Solution,
    scale: float | None,
    method: str,
    density: Density | None,
    null: Null,
) -> tuple[dict[str, Fit], Sums]:
    """`noise` as the solver took it, `scale` in units of the data, `method` of the standard errors."""
    assert answer.design is not None
    columns = OrthogonalColumns.of(answer.design)
    sums = Sums.zero(answer.design.D.shape[1], answer.rank + beside(noise, method))
    of_data = problem.noise.with_scale(scale)
    fits: dict[str, Fit] = {}
    for name, examples in problem.rows("residuals"):
        part = problem.part(examples)
        fits.setdefault(name, Fit()).add(of_data, problem.eta(answer.theta, part), part)
        if name == "train":
            block = problem.exact(noise, part)
            local = RowScores.of(block, answer)
            sums.add(local, block.D, columns(block.D)[None], method, density, null)
    return fits, sums
