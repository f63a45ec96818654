"""`optimizer=exact` for a table that is larger than memory: the outcome that `solve_exactly` would give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from noiseworks.chunked.last_pass import Density, Null, Sums, compared, last_pass
from noiseworks.chunked.problem import ChunkedProblem
from noiseworks.errors import UserError
from noiseworks.exact import Exact, jacobian
from noiseworks.inference import LEVEL, Uncertainty
from noiseworks.inference.covariance import error_scale_from_sums, root_from_sums
from noiseworks.inference.criteria import criteria_from_sums
from noiseworks.inference.whitened import Whitened
from noiseworks.model import Model
from noiseworks.noise import Gaussian, Noise
from noiseworks.outcome import Outcome
from noiseworks.solvers.chunked import check_chunkable_noise, solve_chunked
from noiseworks.solvers.solution import Solution
from noiseworks.solvers.sufficient_statistics import Pass, Sketch
from noiseworks.train.ensemble import Member


def methods(noise: Noise) -> tuple[str, ...]:
    """Those that a table in chunks has, the first of them that of `auto`."""
    if isinstance(noise, Gaussian):
        return "iid", "information", "HC0", "HC1"
    return ("HC0", "HC1") if noise.quantile_level is not None else ("information", "HC0", "HC1")


def check_method(noise: Noise, method: str) -> None:
    if method != "auto" and method not in methods(noise):
        raise UserError(
            f"optimizer.standard_errors={method} is not computed for {noise.name} noise from a table larger than "
            f"data.memory_mb; it must be auto, or one of {', '.join(methods(noise))}."
        )


def uncertainty(noise: Noise, answer: Solution, sums: Sums, n: int, method: str) -> Uncertainty:
    """As `inference.uncertainty`, of sums over n rows."""
    assert answer.design is not None
    r, spread = answer.rank, sums.scores.R.numpy()[None]
    if r == n and noise.location_scale:
        return Uncertainty.of(Whitened.of(answer.design), np.full((r, r), np.nan), noise, n, method)
    if method == "iid":  # Gaussian: s = u / scale^2
        square = np.array([answer.scale or 1.0]) ** 2
        spread = error_scale_from_sums(n, r, n / square, 1 / square, np.zeros(1))
    elif method == "information":
        spread = np.array([sums.counting**-0.5])
    root = root_from_sums(method, n, r, sums.bread, spread)[0]
    return Uncertainty.of(Whitened.of(answer.design), root, noise, n, method)


STATIONARY = 1e-8  # the gradient of an answer that is one


def check_chunkable(noise: Noise, model: Model, optimizer: object, replicates: int, source: str) -> None:
    """Refuse, before the rows are read, what chunks cannot give."""
    said = f"{source} is larger than data.memory_mb and would be read in chunks"
    if not isinstance(optimizer, Exact):
        raise UserError(f"{said}, which training cannot do; optimizer=exact can, or a larger data.memory_mb.")
    if not model.linear:
        raise UserError(f"{said}, for models that are linear in their parameters; model={model.name} is not.")
    if replicates > 1:
        raise UserError(f"{said}, which replicates={replicates} would do over and over; it must be 1.")
    if optimizer.ridge > 0:
        raise UserError(
            f"{said}, which optimizer.ridge={optimizer.ridge:g} cannot be; a larger data.memory_mb would do."
        )
    if optimizer.method != "auto":
        raise UserError(f"{said}, which optimizer.method={optimizer.method} cannot be; it must be auto.")
    check_chunkable_noise(noise)
    check_method(noise, optimizer.standard_errors)


def chunked_outcome(members: Sequence[Member]) -> Outcome | None:
    """None for members whose rows are in memory."""
    member, problem = members[0], members[0].problem
    if not isinstance(problem, ChunkedProblem):
        return None
    assert isinstance(member.make_optimizer, Exact)
    return fit_chunked(problem, member.noise, member.make_optimizer.standard_errors)


def fit_chunked(problem: ChunkedProblem, noise: Noise, method: str) -> Outcome:
    """`noise` as configured, `method` that of the standard errors."""
    noise = noise.with_scale(None) if noise.separable else noise
    sketch = problem.sketch(noise)
    rows = problem.training_rows(noise)
    answer = solve_chunked(noise, rows, sketch)
    scale = None if answer.scale is None else answer.scale * float(problem.scaling.y_spread)
    center, offset = float(problem.scaling.y_center), problem.examples.offset is not None
    null = Null.of(noise, answer, rows, sketch, problem.totals.constant_rate(), center, offset)
    density = None if noise.quantile_level is None else Density.of(noise, rows, sketch.n, answer)
    method = methods(noise)[0] if method == "auto" else method
    fits, sums = last_pass(problem, noise, answer, scale, method, density, null)
    answer = _certified(noise, answer, sums, sketch.n)
    metrics = {key: value for name, fit in fits.items() for key, value in fit.metrics(name).items()}
    metrics |= {"exact/gradient": answer.gradient, "exact/rank": float(answer.rank)}
    if noise.quantile_level is not None:
        metrics["exact/unique"] = float(answer.unique)
    found = _criteria(problem, noise, answer, metrics["train/nll"], sums, rows, sketch)
    metrics |= {f"exact/{key}": value for key, value in found.items()}
    return _outcome(problem, noise, answer, scale, metrics, sums, sketch, method)


def _certified(noise: Noise, answer: Solution, sums: Sums, n: int) -> Solution:
    """With the gradient as `exact.gradient` has it; that of a quantile is its duality gap."""
    if noise.quantile_level is not None or answer.design is None:
        return answer
    design, unit = answer.design, answer.scale if noise.location_scale and answer.scale is not None else 1.0
    slope = sums.gradient[design.pivots] / design.scale[design.pivots] * unit / n
    largest = max(float(np.abs(slope).max(initial=0.0)), abs(sums.by_log_scale) / n)
    if noise.counts and not largest <= STATIONARY * max(1.0, float(np.abs(sums.bread).max(initial=0.0)) / n):
        raise UserError(
            f"{noise.name} noise: Newton's method stopped short of an optimum, at a gradient of {largest:.1e}."
        )
    return replace(answer, gradient=largest)


def _criteria(
    problem: ChunkedProblem, noise: Noise, answer: Solution, mean_nll: float, sums: Sums, rows: Pass, sketch: Sketch
) -> dict[str, float]:
    """As `inference.criteria`."""
    totals, n = problem.totals, sketch.n
    likelihood = -mean_nll * n * sums.counting
    if isinstance(noise, Gaussian):
        likelihood += (totals.log_weight - n * np.log(totals.unit)) / 2
    deviance, null = (sums.deviance, sums.null) if noise.counts else compared(noise, answer, rows, sketch)
    of_rows = (np.array([value]) for value in (likelihood, deviance, null, sums.pearson))
    return {name: float(value[0]) for name, value in criteria_from_sums(noise, n, answer.rank, *of_rows).items()}


def _outcome(
    problem: ChunkedProblem,
    noise: Noise,
    answer: Solution,
    scale: float | None,
    metrics: dict[str, float],
    sums: Sums,
    sketch: Sketch,
    method: str,
) -> Outcome:
    J, theta = jacobian(problem), answer.theta
    errors = uncertainty(noise, answer, sums, sketch.n, method)
    coefficients = problem.model.coefficients(theta, problem.scaling)
    shift = coefficients - J @ theta
    intervals = torch.from_numpy(errors.intervals(theta.numpy(), J.numpy(), LEVEL)) + shift.unsqueeze(1)
    return Outcome(
        theta=theta.unsqueeze(0),
        coefficients=coefficients.unsqueeze(0),
        exact=None,
        scale=None if scale is None else _one(scale),
        metrics={name: _one(value) for name, value in metrics.items()},
        failures={},
        kind=answer.kind,
        standard_errors=torch.from_numpy(errors.standard_errors(J.numpy())).unsqueeze(0),
        intervals=intervals.unsqueeze(0),
        errors_by=errors.method,
    )


def _one(value: float) -> Tensor:
    return torch.tensor([value], dtype=torch.float64)
