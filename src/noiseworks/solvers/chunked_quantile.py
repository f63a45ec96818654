"""Quantile regression of a stream: the tortoise (see `exact.quantile.tortoise`), with a pass to choose the rows that
are kept and one to check the signs of the others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray

from noiseworks.errors import UserError
from noiseworks.noise import Noise
from noiseworks.solvers.linear_problem import Array, LinearProblem
from noiseworks.solvers.quantile.check_function import ROUNDING, fit_lines
from noiseworks.solvers.quantile.crossover import GAP, Vertex
from noiseworks.solvers.quantile.preprocessing import REPAIR, kept_rows
from noiseworks.solvers.solution import Solution
from noiseworks.solvers.solve import solved
from noiseworks.solvers.stationarity import PERFECT
from noiseworks.solvers.sufficient_statistics import Gathered, OrthogonalColumns, Pass, Sketch

ROUNDS = 6
BYTES = 64  # that a number of the kept rows takes while they are fitted
MIB = 2**20


@dataclass
class Kept:
    """Rows D (m, P), target and weights (m,), and of those above and below the band the sums: D (2, P), y, w (2,)."""

    D: Array
    y: Array
    w: Array
    sums: Array  # (2, P + 2): of w D, w y, w

    def add(self, D: Array, y: Array, w: Array) -> None:
        self.D, self.y, self.w = np.vstack((self.D, D)), np.append(self.y, y), np.append(self.w, w)

    def fit(self, columns: OrthogonalColumns, tau: float) -> Vertex:
        """With the means of those above and below as two more rows that have all their weight."""
        there = self.sums[self.sums[:, -1] > 0]
        means = there[:, :-1] / there[:, -1:]
        D, y = np.vstack((self.D, means[:, :-1])), np.append(self.y, means[:, -1])
        return fit_lines(columns(D), y, np.append(self.w, there[:, -1]), tau)


@dataclass(frozen=True)
class Band:
    """Rows of |y - A z| <= cutoff |A|, by the z that the sample has."""

    columns: OrthogonalColumns
    z: Array
    cutoff: float

    def sides(self, D: Array, y: Array) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """(in the band, above the fit), (n,) each: the same in every pass, to the last bit."""
        A = self.columns(D)
        left = y - A @ self.z
        return np.abs(left) <= self.cutoff * np.sqrt(np.einsum("ij,ij->i", A, A)), left > 0


def chunked_quantile(noise: Noise, rows: Pass, sketch: Sketch) -> Solution:
    design = sketch.design()
    if not design.rank:
        raise UserError(f"{noise.name} noise: there is nothing to fit; the model must have a column that is not zero.")
    columns, tau = OrthogonalColumns.of(design), float(noise.quantile_level or 0.5)
    sample = replace(sketch.sample, D=columns(sketch.sample.D))
    z, m = solved(sample).theta.numpy(), len(sample.y)
    keep = kept_rows(sketch.n, design.rank, m)
    for _ in range(ROUNDS):
        _check_memory(noise, keep, sketch)
        band = Band(columns, z, _cutoff(sample, z, keep / sketch.n))
        found, check = _repaired(rows, band, tau, keep)
        if found is not None:
            break
        z, keep = check.z, min(2 * keep, sketch.n)
    else:
        raise UserError(f"{noise.name} noise: the rows near the fit were not found; a larger data.memory_mb may help.")
    if not found.gap <= GAP:
        raise UserError(f"{noise.name} noise: the fit is optimal only to a relative duality gap of {found.gap:.1e}.")
    theta = design.theta(found.z) if check.theta is None else design.minimum_norm(check.theta)
    scale = _scale(noise, check, sketch.n)
    unique = bool(found.unique)
    return Solution(torch.from_numpy(theta), scale, max(found.gap, 0.0), design.rank, "optimum", design, unique)


@dataclass
class Check:
    """What a pass at z has found: the rows on the wrong side, the loss sum w rho_tau(y - A z), the largest |y|; and b
    through the points of the basis, where there is one."""

    z: Array
    wrong: NDArray[np.intp]
    loss: float
    largest: float
    theta: Array | None = None


def _repaired(rows: Pass, band: Band, tau: float, keep: int) -> tuple[Vertex | None, Check]:
    """The vertex once the signs of all rows are right; None when too many are wrong."""
    kept = _keep(rows("rows near the fit"), band, keep)
    limit = REPAIR * len(kept.y)
    extra = np.empty(0, dtype=np.intp)
    while True:
        found = kept.fit(band.columns, tau)
        check = _check(rows("signs"), band, found.z, tau, extra, kept)
        if len(check.wrong) > limit or found.zero[len(kept.y) - len(check.wrong) :].any():
            return None, check
        if not len(check.wrong):
            check.theta = _through_points(band.columns, kept, found)
            return found, check
        extra = np.union1d(extra, check.wrong)


def _keep(blocks: Iterator[LinearProblem], band: Band, expected: int) -> Kept:
    P = band.columns.design.D.shape[1]
    inside, sums = Gathered(P + 2, expected), np.zeros((2, P + 2))
    for block in blocks:
        near, above = band.sides(block.D, block.target)
        inside.add(block.D[near], block.target[near], block.weights[near])
        both = np.column_stack((block.D, block.target, np.ones(len(near))))
        w = np.where(near, 0.0, block.weights)
        sums += np.stack((w * above, w * ~above)) @ both
    rows = inside.rows
    return Kept(rows[:, :P], rows[:, P], rows[:, P + 1], sums)


def _check(
    blocks: Iterator[LinearProblem], band: Band, z: Array, tau: float, extra: NDArray[np.intp], kept: Kept
) -> Check:
    """Rows on the wrong side are taken out of the sums and kept."""
    check, start = Check(z, np.empty(0, dtype=np.intp), 0.0, 0.0), 0
    for block in blocks:
        D, y, w = block.D, block.target, block.weights
        near, above = band.sides(D, y)
        left = y - band.columns(D) @ z
        rounding = ROUNDING * (np.abs(y) + np.abs(y - left))
        wrong = ~near & np.where(above, left < -rounding, left > rounding)
        wrong[extra[(extra >= start) & (extra < start + len(y))] - start] = False
        check.loss += float(w @ np.maximum(tau * left, (tau - 1) * left))
        check.largest = max(check.largest, float(np.abs(y).max()))
        for side, mask in enumerate((wrong & above, wrong & ~above)):
            kept.sums[side] -= w[mask] @ np.column_stack((D[mask], y[mask], np.ones(mask.sum())))
        kept.add(D[wrong], y[wrong], w[wrong])
        check.wrong = np.append(check.wrong, start + np.flatnonzero(wrong))
        start += len(y)
    return check


def _through_points(columns: OrthogonalColumns, kept: Kept, found: Vertex) -> Array | None:
    """b (r,) through the points of the basis, from the columns as they are given."""
    design = columns.design
    if len(found.basis) < design.rank or not design.rank:
        return None
    Z = kept.D[found.basis][:, design.pivots] / design.scale[design.pivots]
    return np.asarray(np.linalg.solve(Z, kept.y[found.basis]))


def _cutoff(sample: LinearProblem, z: Array, share: float) -> float:
    """That keeps this share of the rows, as far as the sample knows."""
    if share >= 1:
        return np.inf
    size = np.sqrt(np.einsum("ij,ij->i", sample.D, sample.D))
    return float(np.quantile(np.abs(sample.target - sample.D @ z) / np.maximum(size, np.finfo(float).tiny), share))


def _check_memory(noise: Noise, keep: int, sketch: Sketch) -> None:
    needed = keep * sketch.small.shape[1] * BYTES
    if needed > sketch.memory:
        raise UserError(
            f"{noise.name} noise: {keep} rows near the fit must be held at a time; data.memory_mb must be at least "
            f"{-(-needed // MIB)}."
        )


def _scale(noise: Noise, check: Check, n: int) -> float:
    """The maximum-likelihood one: the mean of nll at scale one, without its constant."""
    if noise.scale_value is not None:
        return float(noise.scale_value)
    zero = torch.zeros(1, dtype=torch.float64)
    unit = noise.with_scale(1.0)
    tau = float(noise.quantile_level or 0.5)
    one = float(unit.nll(zero, zero + 1) - unit.nll(zero, zero)) / tau  # rho_tau(1) = tau: Laplace counts it twice
    return max(one * check.loss / n, PERFECT * check.largest / 1e3)
