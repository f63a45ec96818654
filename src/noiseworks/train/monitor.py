"""After each epoch: evaluate, keep the curves, stop members, show the progress."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import pytorch_lightning as pl
import torch
from torch import Tensor
from tqdm import tqdm

from noiseworks.metrics import EACH_EPOCH
from noiseworks.train.module import LinearRegression
from noiseworks.train.settings import Settings

Points = dict[str, list[tuple[int, Tensor]]]
# For the A members trained in this epoch: metrics (A,), positions (A,), which have not diverged in it (A,); the epoch,
# from 1. The answer: which of them are to stop (A,).
Prune = Callable[[dict[str, Tensor], Tensor, Tensor, int], Tensor]


class Bar(Protocol):
    def update(self, n: float) -> object: ...


@dataclass(frozen=True)
class Watch:
    """Who is asked and told after each epoch.

    live: shown its new points. bar: that of a sweep, which counts members; without one the fit has its own, which
    counts epochs. prune: asked which members are not worth another epoch. check: raises if the command is to stop.
    """

    live: Callable[[Points], None] | None = None
    bar: Bar | None = None
    prune: Prune | None = None
    check: Callable[[], None] = lambda: None


class Monitor(pl.Callback):
    """Keeps for each of K members its answer, its curves, thinned to about `curve_points`, and how it ended."""

    def __init__(self, settings: Settings, curve_points: int, watch: Watch) -> None:
        self.settings, self.curve_points, self.watch = settings, curve_points, watch
        self.pruned: dict[int, int] = {}  # member -> the epoch, from 1, after which it was stopped
        self.curves: Points = defaultdict(list)
        self.failures: dict[int, str] = {}
        self.path: list[Tensor] = []
        self.bar = tqdm(disable=True)  # an exception may come before there is one

    def on_fit_start(self, trainer: pl.Trainer, module: LinearRegression) -> None:  # type: ignore[override]
        K = len(module.theta)
        self.active = torch.arange(K)  # positions of the members that are still trained
        self.theta = module.theta.detach().cpu().clone()  # the answer of each member, filled when it ends
        self.best = torch.full((K,), math.inf, dtype=torch.float64)
        self.since_best = torch.zeros(K, dtype=torch.long)
        self.epochs, self.steps = torch.zeros(K), torch.zeros(K)
        self.metrics: dict[str, Tensor] = {}  # of each member's answer, (K,)
        self.scale: Tensor | None = None  # likewise
        self.shift = module.ensemble.loss_shift().cpu()
        self.names = [name for name in module.ensemble.names if name != "test"]
        self.bar = tqdm(
            total=self.settings.max_epochs,
            desc="training" if K == 1 else f"training {K} members",
            unit="epoch",
            disable=self.watch.bar is not None or not self.settings.progress_bar,
            dynamic_ncols=True,
        )

    def on_train_epoch_end(self, trainer: pl.Trainer, module: LinearRegression) -> None:  # type: ignore[override]
        """All that is counted is counted on the CPU: here, once an epoch, the device is waited for."""
        self.watch.check()
        ensemble, answer = module.ensemble, module.answer()
        on_device, scale = ensemble.evaluate(answer, module.active, dict.fromkeys(self.names, EACH_EPOCH))
        on_device |= ensemble.parameter_error(answer, module.active)
        if ensemble.given_scale is None and not ensemble.noise.separable:
            module.set_scale(scale)
        values = torch.stack([v.double() for v in on_device.values()]).cpu()
        metrics = dict(zip(on_device, values))
        points: Points = {"train/loss": self._loss_points(module)}
        if self._is_kept(trainer.current_epoch):
            points |= {name: [(module.steps_done - 1, self._spread(v))] for name, v in metrics.items()}
        for name, new in points.items():
            self.curves[name] += new
        if module.keep_path:
            self.path.append(self._path(module))
        self._keep_answers(answer.cpu(), metrics, None if scale is None else scale.cpu())
        before = len(self.active)
        gone = self._stop_members(trainer, module, metrics)
        self._show(metrics)
        if self.watch.bar is not None:
            left = self.settings.max_epochs - trainer.current_epoch - 1
            self.watch.bar.update((before + gone * left) / self.settings.max_epochs)
        if self.watch.live:
            self.watch.live(points)

    def on_fit_end(self, trainer: pl.Trainer, module: LinearRegression) -> None:  # type: ignore[override]
        self.bar.close()

    def on_exception(self, trainer: pl.Trainer, module: pl.LightningModule, exception: BaseException) -> None:
        self.bar.close()

    def _keep_answers(self, theta: Tensor, metrics: dict[str, Tensor], scale: Tensor | None) -> None:
        better = self._improved(metrics)
        members = self.active[better]
        self.theta[members] = theta[better]
        for name, values in metrics.items():
            self.metrics.setdefault(name, torch.full_like(self.best, math.nan))[members] = values[better]
        if scale is not None:
            self.scale = torch.full_like(self.best, math.nan) if self.scale is None else self.scale
            self.scale[members] = scale[better]

    def _improved(self, metrics: dict[str, Tensor]) -> Tensor:
        """Which of the active members have their answer in this epoch: with patience those that are at their best."""
        if self.settings.patience is None:
            return torch.ones_like(self.active, dtype=torch.bool)
        value, active = metrics["val/nll"], self.active
        better = value < self.best[active] - self.settings.min_delta
        self.best[active] = torch.where(better, value, self.best[active])
        self.since_best[active] = torch.where(better, 0, self.since_best[active] + 1)
        return better

    def _is_kept(self, epoch: int) -> bool:
        last = self.settings.max_epochs - 1
        return epoch == last or epoch % math.ceil(self.settings.max_epochs / self.curve_points) == 0

    def _stop_members(self, trainer: pl.Trainer, module: LinearRegression, metrics: dict[str, Tensor]) -> int:
        """Members that diverged, no longer improve or are pruned leave the tensors. Says how many."""
        alive = module.alive.cpu()
        self.epochs[self.active] += 1
        self.steps[self.active] = module.steps_done
        stay = alive.clone()
        if self.settings.patience is not None:
            stay &= self.since_best[self.active] < self.settings.patience
        for k in (~alive).nonzero().flatten().tolist():
            what = "train/loss" if module.failed_loss[k] else "the parameters"
            self.failures[int(self.active[k])] = (
                f"{what} stopped being finite at step {int(module.failed_step[k])}; a smaller optimizer.lr may help"
            )
        if self.watch.prune is not None:
            epoch = trainer.current_epoch + 1
            unwanted = self.watch.prune(metrics, self.active, alive, epoch)
            if epoch < self.settings.max_epochs:
                self.pruned |= dict.fromkeys(self.active[stay & unwanted].tolist(), epoch)
                stay &= ~unwanted
        if not stay.any():
            trainer.should_stop = True
        elif not stay.all():
            members = stay.nonzero().flatten()
            self.active = self.active[members]
            module.keep(members.to(module.active.device))
            trainer.datamodule.keep(members)  # type: ignore[attr-defined]
        return int((~stay).sum())

    def _loss_points(self, module: LinearRegression) -> list[tuple[int, Tensor]]:
        losses = torch.cat(module.losses).cpu()  # (steps of this epoch, active)
        first = module.steps_done - len(losses)
        stride = max(1, math.ceil(module.total_steps / self.curve_points))
        wanted = [t for t in range(first, module.steps_done) if t % stride == 0 or t == module.total_steps - 1]
        picked = losses[[t - first for t in wanted]].double() + self.shift[self.active]
        module.losses.clear()
        return [(t, self._spread(values)) for t, values in zip(wanted, picked)]

    def _path(self, module: LinearRegression) -> Tensor:
        """(steps of this epoch, K, number of terms), in units of the data."""
        path = module.ensemble.coefficients(torch.cat(module.path), module.active)
        module.path.clear()
        full = torch.full((len(path), len(self.theta), path.shape[2]), math.nan, dtype=path.dtype)
        full[:, self.active] = path.cpu()
        return full

    def _spread(self, values: Tensor) -> Tensor:
        """Values of the active members -> of all K, nan for the others."""
        full = torch.full((len(self.theta),), math.nan, dtype=torch.float64)
        full[self.active] = values
        return full

    def _show(self, metrics: dict[str, Tensor]) -> None:
        if not self.bar.disable:
            name = f"{self.names[-1]}/nll"
            self.bar.set_postfix_str(f"{name} {metrics[name].nanmean().item():.5g}", refresh=False)
        self.bar.update()
