"""Train or solve K members: the same Outcome either way."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from noiseworks.data.blocks import Blocks
from noiseworks.errors import UserError
from noiseworks.exact import Answer
from noiseworks.optimizer.exact import Exact, Inference, infer
from noiseworks.optimizer.members import takes_all_rows
from noiseworks.problem import Stream
from noiseworks.streams import generator
from noiseworks.trainer.ensemble import Ensemble, Member
from noiseworks.trainer.monitor import Bar, Monitor, Points, Prune
from noiseworks.trainer.outcome import Curve, Outcome
from noiseworks.trainer.regression import LinearRegression
from noiseworks.trainer.settings import Settings


def check_trainable(member: Member, settings: Settings) -> None:
    """Refuse, before anything is trained, what the data cannot give."""
    data, n = member.problem.data, len(member.problem.parts["train"])
    if data.batch_size > n and not takes_all_rows(member.make_optimizer):
        raise UserError(
            f"data.batch_size={data.batch_size} is larger than the {n} training rows of "
            f"{member.problem.examples.source}; it must be at most {n}."
        )
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
    live: Callable[[Points], None] | None = None,
    bar: Bar | None = None,
    prune: Prune | None = None,
) -> Outcome:
    """Train members that share shapes, batch size, order and what `shared_settings` says, in one Lightning fit."""
    data = members[0].problem.data
    monitor = Monitor(settings, curve_points, live, bar, prune)
    lightning = settings.lightning([monitor])
    ensemble = Ensemble(members, settings.dtype, lightning.strategy.root_device)
    ensemble.solve(members)
    rows = ensemble.rows()
    batch_size = rows.y.shape[1] if takes_all_rows(members[0].make_optimizer) else data.batch_size
    streams = [Stream(m.problem, generator(m.seed, "order", m.replicate)) for m in members if data.order == "stream"]
    blocks = Blocks(rows, ensemble.which, [(m.seed, m.replicate) for m in members], batch_size, data.order, streams)
    module = LinearRegression(ensemble, members, settings.max_epochs * blocks.steps_per_epoch, keep_path)
    lightning.fit(module, datamodule=blocks)
    everyone = torch.arange(len(members), device=ensemble.device)
    metrics, theta = monitor.metrics, monitor.theta.to(ensemble.device)
    if ensemble.parts["test"].y.shape[1]:
        metrics |= ensemble.evaluate(theta, everyone, ["test"])[0]
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
    outcome.steps, outcome.pruned = monitor.steps, monitor.pruned
    outcome.path = torch.cat(monitor.path) if keep_path else None
    return outcome


def solve_exactly(members: Sequence[Member], answers: Sequence[Answer]) -> Outcome:
    """`optimizer=exact`: the outcome of members whose answers are these."""
    theta = torch.stack([answer.theta for answer in answers])
    ensemble = Ensemble(members, torch.float64, torch.device("cpu"))
    names = [name for name in ("train", "val", "test") if ensemble.parts[name].y.shape[1]]
    metrics, scale = ensemble.evaluate(theta, torch.arange(len(members)), names)
    inferences = _inferences(members, answers, metrics["train/nll"])
    metrics["exact/gradient"] = torch.tensor([answer.gradient for answer in answers], dtype=torch.float64)
    metrics["exact/rank"] = torch.tensor([float(answer.rank) for answer in answers])
    for name in inferences[0].criteria:
        values = [inference.criteria[name] for inference in inferences]
        metrics[f"exact/{name}"] = torch.tensor(values, dtype=torch.float64)
    outcome = _outcome(ensemble, theta, metrics, scale)
    outcome.kind = answers[0].kind
    outcome.standard_errors = torch.stack([inference.standard_errors for inference in inferences])
    outcome.errors_by = inferences[0].method
    return outcome


def _inferences(members: Sequence[Member], answers: Sequence[Answer], mean_nll: Tensor) -> list[Inference]:
    """Once for members that share problem and answer."""
    known: dict[tuple[int, int, str], Inference] = {}
    found = []
    for member, answer, nll in zip(members, answers, mean_nll.tolist()):
        exact = member.make_optimizer
        method = exact.standard_errors if isinstance(exact, Exact) else "auto"
        key = id(member.problem), id(answer), method
        if key not in known:
            known[key] = infer(member.problem, member.noise, answer, method, nll)
        found.append(known[key])
    return found


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
