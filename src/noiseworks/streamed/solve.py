"""`optimizer=exact` for a table that is larger than memory: the outcome that `solve_exactly` would give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from noiseworks.errors import UserError
from noiseworks.exact import Answer
from noiseworks.exact.stream import Sketch, refuse_noise, solve_stream
from noiseworks.inference import LEVEL
from noiseworks.model import Model
from noiseworks.noise import Gaussian, Noise
from noiseworks.optimizer import Exact
from noiseworks.optimizer.exact import jacobian, ridge_of
from noiseworks.streamed.covariance import check_method, uncertainty
from noiseworks.streamed.density import Density
from noiseworks.streamed.last_pass import Sums, last_pass
from noiseworks.streamed.null import Null, explained
from noiseworks.streamed.problem import StreamedProblem
from noiseworks.trainer.ensemble import Member
from noiseworks.trainer.outcome import Outcome

STATIONARY = 1e-8  # the gradient of an answer that is one


def check_streamable(noise: Noise, model: Model, optimizer: object, replicates: int, source: str) -> None:
    """Refuse, before the rows are read, what a stream cannot give."""
    said = f"{source} is larger than data.memory_mb and would be streamed"
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
    if ridge_of(optimizer):
        raise UserError(f"{said}, without a penalty; optimizer.ridge must be 0, or data.memory_mb larger.")
    refuse_noise(noise)
    check_method(noise, optimizer.standard_errors)


def streamed_outcome(members: Sequence[Member]) -> Outcome | None:
    """None for members whose rows are in memory."""
    member, problem = members[0], members[0].problem
    if not isinstance(problem, StreamedProblem):
        return None
    assert isinstance(member.make_optimizer, Exact)
    return solve_streamed(problem, member.noise, member.make_optimizer.standard_errors)


def solve_streamed(problem: StreamedProblem, noise: Noise, method: str) -> Outcome:
    """`noise` as configured, `method` that of the standard errors."""
    noise = noise.with_scale(None) if noise.separable else noise
    sketch = problem.sketch(noise)
    rows = problem.training_rows(noise)
    answer = solve_stream(noise, rows, sketch)
    scale = None if answer.scale is None else answer.scale * float(problem.scaling.y_spread)
    center, offset = float(problem.scaling.y_center), problem.examples.offset is not None
    null = Null.of(noise, answer, rows, sketch, problem.totals.constant_rate(), center, offset)
    density = None if noise.quantile_level is None else Density.of(noise, rows, sketch.n, answer)
    fits, sums = last_pass(problem, noise, answer, scale, density, null)
    answer = _certified(noise, answer, sums, sketch.n)
    metrics = {key: value for name, fit in fits.items() for key, value in fit.metrics(name).items()}
    metrics |= {"exact/gradient": answer.gradient, "exact/rank": float(answer.rank)}
    if noise.quantile_level is not None:
        metrics["exact/unique"] = float(answer.unique)
    found = _criteria(problem, noise, answer, metrics["train/nll"], sums, sketch.n)
    if noise.location_scale:
        found["deviance_explained"] = explained(noise, answer, rows, sketch)
    metrics |= {f"exact/{key}": value for key, value in found.items()}
    return _outcome(problem, noise, answer, scale, metrics, sums, sketch, method)


def _certified(noise: Noise, answer: Answer, sums: Sums, n: int) -> Answer:
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
    problem: StreamedProblem, noise: Noise, answer: Answer, mean_nll: float, sums: Sums, n: int
) -> dict[str, float]:
    """As `inference.criteria`."""
    totals = problem.totals
    k = answer.rank + (noise.scale_name is not None and noise.scale_value is None)
    likelihood = -mean_nll * (n if noise.location_scale else totals.weight)
    if isinstance(noise, Gaussian):
        likelihood += (totals.log_weight - n * np.log(totals.unit)) / 2
    found = {"log_likelihood": likelihood, "aic": 2 * k - 2 * likelihood, "bic": k * np.log(n) - 2 * likelihood}
    if noise.counts:
        spread = sums.pearson / (n - answer.rank) if n > answer.rank else np.nan
        share = 1 - sums.deviance / sums.null if sums.null > 0 else np.nan
        found |= {"deviance": sums.deviance, "overdispersion": spread, "deviance_explained": share}
    return {name: float(value) for name, value in (found | {"num_parameters": k}).items()}


def _outcome(
    problem: StreamedProblem,
    noise: Noise,
    answer: Answer,
    scale: float | None,
    metrics: dict[str, float],
    sums: Sums,
    sketch: Sketch,
    method: str,
) -> Outcome:
    J, theta = jacobian(problem), answer.theta
    errors = uncertainty(noise, answer, sums, sketch.n, problem.totals.unit, method)
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
