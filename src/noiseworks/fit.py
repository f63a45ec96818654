"""Train or solve K members: the same Outcome either way."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

from noiseworks.data.minibatches import MinibatchBlocks
from noiseworks.errors import UserError
from noiseworks.exact import Exact, Inference, SolutionCache, method_of, ridge_of, standard_errors
from noiseworks.exact_inference import Wanted, inferences
from noiseworks.metrics import METRICS, OF_ANSWERS
from noiseworks.outcome import Curve, Distance, Outcome
from noiseworks.problem import Stream
from noiseworks.solvers.naive import METHODS as NAIVE
from noiseworks.solvers.solution import Solution
from noiseworks.streams import generator
from noiseworks.train.ensemble import Ensemble, Member
from noiseworks.train.module import LinearRegression
from noiseworks.train.monitor import Monitor, Watch
from noiseworks.train.optimizers import takes_all_rows
from noiseworks.train.settings import Settings


def check_trainable(member: Member, settings: Settings) -> None:
    """Refuse, before anything is trained, what the data cannot give."""
    data = member.problem.data
    if settings.patience is not None and not len(member.problem.parts["val"]):
        raise UserError(
            f"trainer.patience={settings.patience} watches the validation rows, and there are none: "
            "data.val_fraction must be above 0."
        )
    if data.order == "stream":
        Stream(member.problem, generator(0, "order"))


def train(
    members: Sequence[Member],
    settings: Settings,
    curve_points: int = 1000,
    keep_path: bool = False,
    watch: Watch | None = None,
) -> Outcome:
    """Train members that share shapes, batch size, order and what `shared_settings` says, in one Lightning fit."""
    data = members[0].problem.data
    monitor = Monitor(settings, curve_points, watch or Watch())
    lightning = settings.lightning([monitor])
    ensemble = Ensemble(members, settings.dtype, lightning.strategy.root_device)
    rows = ensemble.rows()
    n = rows.y.shape[1]
    batch_size = n if takes_all_rows(members[0].make_optimizer) else min(data.batch_size, n)
    answer = ensemble.solve(members, settings.max_epochs * -(-n // batch_size)).get(0)
    streams = [Stream(m.problem, generator(m.seed, "order", m.replicate)) for m in members if data.order == "stream"]
    seeds, fresh = [(m.seed, m.replicate) for m in members], ensemble.fresh_noise(members)
    blocks = MinibatchBlocks(rows, ensemble.which, seeds, batch_size, data.order, streams, fresh)
    module = LinearRegression(ensemble, members, settings.max_epochs * blocks.steps_per_epoch, keep_path)
    lightning.fit(module, datamodule=blocks)
    everyone = torch.arange(len(members), device=ensemble.device)
    metrics, theta = monitor.metrics, monitor.theta.to(ensemble.device)
    held_out = {name: METRICS if name == "test" else OF_ANSWERS for name in ensemble.names if name != "train"}
    metrics |= ensemble.evaluate(theta, everyone, held_out)[0] if held_out else {}
    metrics |= {"trainer/epochs": monitor.epochs, "trainer/steps": monitor.steps}
    metrics["trainer/world_size"] = torch.full((len(members),), float(lightning.world_size))
    outcome = _outcome(ensemble, theta, metrics, monitor.scale)
    for k, reason in monitor.failures.items():
        outcome.failures[k] = reason
        for values in outcome.metrics.values():
            values[k] = math.nan
        if outcome.scale is not None:
            outcome.scale[k] = math.nan
    for name, points in monitor.curves.items():
        outcome.curves[name] = Curve([step for step, _ in points], torch.stack([values for _, values in points], 1))
    if len(members) == 1:
        outcome.distance = _distance(members[0], answer, outcome)
    outcome.steps, outcome.pruned = monitor.steps, monitor.pruned
    outcome.path = torch.cat(monitor.path) if keep_path else None
    return outcome


def _distance(member: Member, answer: Solution | UserError | None, outcome: Outcome) -> Distance:
    """What the exact answer says of trained coefficients."""
    if answer is None or outcome.exact is None:
        return Distance(no_optimum=str(answer) if isinstance(answer, UserError) else None)
    assert isinstance(answer, Solution)
    errors = standard_errors(member.problem, member.noise, answer)
    away = (outcome.coefficients[0] - outcome.exact[0]).abs() / errors
    return Distance(away=away.where(errors > 0, torch.nan))


def solutions(members: Sequence[Member]) -> list[Solution | UserError]:
    """The exact answer of each member, as its optimizer asks for it, or why there is none."""
    optimizers = [m.make_optimizer for m in members]
    ridges, methods = [ridge_of(o) for o in optimizers], [method_of(o) for o in optimizers]
    return SolutionCache().of([(m.problem, m.noise) for m in members], ridges, methods)


def solve_exactly(members: Sequence[Member], answers: Sequence[Solution | UserError]) -> Outcome:
    """`optimizer=exact`: the outcome of members whose answers are these, or why there is none; raised if all failed."""
    found = {k: answer for k, answer in enumerate(answers) if isinstance(answer, Solution)}
    if not found:
        raise next(error for error in answers if isinstance(error, UserError))
    first = next(iter(found.values()))
    theta = torch.full((len(members), *first.theta.shape), math.nan, dtype=torch.float64)
    theta[list(found)] = torch.stack([answer.theta for answer in found.values()])
    ensemble = Ensemble(members, torch.float64, torch.device("cpu"))
    wanted = dict.fromkeys(ensemble.names, METRICS)
    metrics, scale = ensemble.evaluate(theta, torch.arange(len(members)), wanted)
    if first.kind in NAIVE:
        ensemble.solve(members)
        metrics |= ensemble.parameter_error(theta, torch.arange(len(members)))
    inferences = _inferences(members, found, metrics["train/nll"])

    def spread(values: list[Any]) -> Tensor:
        """Those of the members with an answer, nan for the others."""
        own = torch.stack(values) if isinstance(values[0], Tensor) else torch.tensor(values, dtype=torch.float64)
        return torch.full((len(members), *own.shape[1:]), math.nan, dtype=torch.float64).index_copy(0, at, own)

    at = torch.tensor(list(found))
    metrics["exact/gradient"] = spread([answer.gradient for answer in found.values()])
    metrics["exact/rank"] = spread([float(answer.rank) for answer in found.values()])
    if members[0].noise.quantile_level is not None:
        metrics["exact/unique"] = spread([float(answer.unique) for answer in found.values()])
    for name in inferences[0].criteria:
        metrics[f"exact/{name}"] = spread([inference.criteria[name] for inference in inferences])
    outcome = _outcome(ensemble, theta, metrics, scale)
    outcome.failures = {k: str(error) for k, error in enumerate(answers) if not isinstance(error, Solution)}
    outcome.kind = first.kind
    outcome.standard_errors = spread([inference.standard_errors for inference in inferences])
    outcome.intervals = spread([inference.intervals for inference in inferences])
    outcome.errors_by = inferences[0].method
    return outcome


def _inferences(members: Sequence[Member], answers: dict[int, Solution], mean_nll: Tensor) -> list[Inference]:
    """Once for members that share problem and answer."""
    wanted: dict[Hashable, Wanted] = {}
    keys: list[Hashable] = []
    for k, answer in answers.items():
        member, nll = members[k], float(mean_nll[k])
        how = member.make_optimizer if isinstance(member.make_optimizer, Exact) else Exact()
        drawn = (member.seed, member.replicate) if how.standard_errors == "bootstrap" else None
        keys.append((id(member.problem), id(answer), how, drawn))
        if keys[-1] not in wanted:
            draw = generator(member.seed, "bootstrap", member.replicate)
            wanted[keys[-1]] = Wanted(member.problem, member.noise, answer, how, nll, draw)
    found = dict(zip(wanted, inferences(list(wanted.values()))))
    return [found[key] for key in keys]


def _outcome(ensemble: Ensemble, theta: Tensor, metrics: dict[str, Tensor], scale: Tensor | None) -> Outcome:
    everyone = torch.arange(len(theta), device=theta.device)
    return Outcome(
        theta=theta.double().cpu(),
        coefficients=ensemble.coefficients(theta, everyone).cpu(),
        exact=None if ensemble.exact is None else ensemble.exact.cpu(),
        scale=None if scale is None else scale.cpu(),
        metrics={name: values.double().cpu() for name, values in metrics.items()},
        failures={},
    )
