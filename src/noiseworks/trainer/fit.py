"""Train or solve K members: the same Outcome either way."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch

from noiseworks.data.blocks import Blocks
from noiseworks.errors import UserError
from noiseworks.optimizer.exact import solve_problem
from noiseworks.optimizer.members import takes_all_rows
from noiseworks.problem import Stream
from noiseworks.streams import generator
from noiseworks.trainer.ensemble import Ensemble, Member
from noiseworks.trainer.monitor import Monitor, Points
from noiseworks.trainer.outcome import Outcome
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
) -> Outcome:
    """Train members that share shapes, batch size, order, optimizer class and settings, in one Lightning fit."""
    data = members[0].problem.data
    monitor = Monitor(settings, curve_points, live)
    lightning = settings.lightning([monitor])
    ensemble = Ensemble(members, settings.dtype, lightning.strategy.root_device)
    rows = ensemble.rows()
    batch_size = rows.y.shape[1] if takes_all_rows(members[0].make_optimizer) else data.batch_size
    streams = [Stream(m.problem, generator(m.seed, "order", m.replicate)) for m in members if data.order == "stream"]
    blocks = Blocks(rows, ensemble.which, [(m.seed, m.replicate) for m in members], batch_size, data.order, streams)
    module = LinearRegression(ensemble, members, settings.max_epochs * blocks.steps_per_epoch, keep_path)
    lightning.fit(module, datamodule=blocks)
    failed = torch.zeros(len(members), dtype=torch.bool)
    failed[list(monitor.failures)] = True
    outcome = _outcome(ensemble, monitor.theta, failed)
    outcome.failures, outcome.curves = monitor.failures, monitor.curves
    outcome.path = torch.cat(monitor.path) if keep_path else None
    outcome.metrics["trainer/epochs"], outcome.metrics["trainer/steps"] = monitor.epochs, monitor.steps
    outcome.metrics["trainer/world_size"] = torch.full((len(members),), float(lightning.world_size))
    return outcome


def solve_exactly(members: Sequence[Member]) -> Outcome:
    """`optimizer=exact` for each member."""
    answers = [solve_problem(m.problem, m.noise) for m in members]
    theta = torch.stack([answer.theta for answer in answers])
    outcome = _outcome(Ensemble(members, torch.float64, torch.device("cpu")), theta, torch.zeros(len(members)).bool())
    outcome.kind = answers[0].kind
    outcome.metrics["exact/gradient"] = torch.tensor([answer.gradient for answer in answers])
    outcome.metrics["exact/rank"] = torch.tensor([float(answer.rank) for answer in answers])
    return outcome


def _outcome(ensemble: Ensemble, theta: torch.Tensor, failed: torch.Tensor) -> Outcome:
    """Evaluate final parameters theta (K, P) on every part that has rows."""
    everyone = torch.arange(len(theta), device=theta.device)
    names = [name for name in ("train", "val", "test") if ensemble.parts[name].y.shape[1]]
    metrics, scale = ensemble.evaluate(theta, everyone, names)
    metrics |= ensemble.parameter_error(theta, everyone)
    metrics = {name: values.cpu().masked_fill(failed, math.nan) for name, values in metrics.items()}
    return Outcome(
        theta=theta.double().cpu(),
        coefficients=ensemble.coefficients(theta, everyone).cpu(),
        exact=None if ensemble.exact is None else ensemble.exact.cpu(),
        scale=None if scale is None else scale.cpu(),
        metrics=metrics,
        failures={},
    )
