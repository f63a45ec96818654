"""The Lightning module: K linear regressions trained side by side, a block of minibatches a Lightning step."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor
from torch.nn import Parameter

from noiseworks.data.minibatches import MinibatchBlock
from noiseworks.model import Model
from noiseworks.noise import Noise
from noiseworks.noise.base import weighted_mean
from noiseworks.train.ensemble import Ensemble, Member
from noiseworks.train.optimizers import make_stepper


class Minibatch:
    """D (K, B, q), y (K, B), offset and weights (K, B) or None. Member k's loss is factor_k * sum_i w_i nll_i.

    For models that are linear in their parameters the gradient is factor * D'score(eta, y), for Gaussian noise the
    chapter's (3.1.11); for the others autograd takes it.
    """

    __slots__ = ("D", "eta", "factor", "model", "noise", "offset", "weights", "y")

    def __init__(
        self,
        model: Model,
        noise: Noise,
        factor: Tensor,
        D: Tensor,
        y: Tensor,
        offset: Tensor | None,
        weights: Tensor | None,
    ) -> None:
        self.model, self.noise, self.factor = model, noise, factor
        self.D, self.y, self.offset, self.weights = D, y, offset, weights
        self.eta: Tensor | None = None  # of the latest theta, for the record of losses

    def predict(self, theta: Tensor) -> Tensor:
        eta = self.model.eta(theta, self.D)
        self.eta = eta if self.offset is None else eta + self.offset
        return self.eta

    def loss(self, theta: Tensor) -> Tensor:
        nll = self.noise.nll(self.predict(theta), self.y)
        return self.factor.squeeze(1) * (nll if self.weights is None else nll * self.weights).sum(1)

    def gradient(self, theta: Tensor) -> Tensor:
        """(K, P)."""
        if not self.model.linear:
            return self._gradient_by_autograd(theta)
        score = self.noise.score(self.predict(theta), self.y)
        if self.weights is not None:
            score = score * self.weights
        return torch.bmm(score.unsqueeze(1), self.D).squeeze(1) * self.factor

    def _gradient_by_autograd(self, theta: Tensor) -> Tensor:
        with torch.enable_grad():
            leaf = theta.detach().requires_grad_()
            (gradient,) = torch.autograd.grad(self.loss(leaf).sum(), leaf)
        assert self.eta is not None
        self.eta = self.eta.detach()
        return gradient

    def alone(self, k: int) -> Minibatch:
        """The minibatch of member k only."""
        own = slice(k, k + 1)
        noise, scale = self.noise, self.noise.scale_value
        if isinstance(scale, Tensor):
            noise = noise.with_scale(scale[own])
        offset = None if self.offset is None else self.offset[own]
        weights = None if self.weights is None else self.weights[own]
        return Minibatch(self.model, noise, self.factor[own], self.D[own], self.y[own], offset, weights)


class LinearRegression(pl.LightningModule):
    """theta (K, P), one member a row, K = 1 for a single job.

    The walk through a block keeps the path theta took; losses, iterate averages and the detection of divergence are
    then computed for the whole block at once, and nothing waits for the device before the epoch ends.
    """

    def __init__(self, ensemble: Ensemble, members: Sequence[Member], total_steps: int, keep_path: bool) -> None:
        super().__init__()
        self.automatic_optimization = False
        self.ensemble, self.total_steps, self.keep_path = ensemble, total_steps, keep_path
        self.make_optimizers = [m.make_optimizer for m in members]
        self.schedules = [m.schedule for m in members]
        self.theta = Parameter(ensemble.initial(members))
        device, dtype = ensemble.device, ensemble.dtype
        K = len(members)
        self.active = torch.arange(K, device=device)  # positions, in the ensemble, of the members still trained
        self.lr = torch.tensor([[m.lr] for m in members], device=device, dtype=dtype)
        self.average = torch.zeros(self.theta.shape, device=device, dtype=torch.float64)
        self.averaged = torch.zeros(K, 1, device=device)  # how many iterates are in the average
        self.alive = torch.ones(K, dtype=torch.bool, device=device)
        self.failed_step = torch.full((K,), -1, device=device)
        self.failed_loss = torch.zeros(K, dtype=torch.bool, device=device)  # it was the loss that failed
        self.steps_done = 0
        self.losses: list[Tensor] = []  # (S, K) for each block of this epoch
        self.path: list[Tensor] = []  # (S, K, P) likewise
        self.noise, self.per_step = ensemble.noise, torch.ones(K, 1, device=device, dtype=dtype)

    def configure_optimizers(self) -> Any:
        self.stepper = make_stepper(self.make_optimizers, self.theta)
        return self.stepper.optimizers

    def on_fit_start(self) -> None:
        self.set_scale(self.ensemble.given_scale)
        if self.ensemble.given_scale is None and not self.ensemble.noise.separable:
            self.set_scale(self.ensemble.evaluate(self.theta.detach(), self.active, {})[1])

    @torch.no_grad()
    def set_scale(self, scale: Tensor | None) -> None:
        """The scale of the loss, in units of the data and for the active members, and the unit of the step.

        With standardization the loss of a noise that is not a separable location-scale one is divided by its Fisher
        information at the constant fit, so that a learning rate means the same for counts of 1 and of 1,000.
        """
        ensemble = self.ensemble
        self.noise = ensemble.noise
        if scale is not None:
            self.noise = self.noise.with_scale(ensemble.in_fit_units(scale, self.active).to(ensemble.dtype))
        self.per_step = torch.ones_like(self.lr)
        if ensemble.problems[0].data.standardize and not (self.noise.location_scale and self.noise.separable):
            center = torch.zeros_like(self.lr)
            if not self.noise.location_scale:
                center = ensemble.scaling[self.active].y_center.unsqueeze(1).to(ensemble.dtype)
            information = self.noise.information(center)
            if information is not None:
                self.per_step = 1 / information

    @torch.no_grad()
    def training_step(self, block: MinibatchBlock, index: int) -> None:
        start, theta = self.theta.detach(), self.theta.detach()
        steps = torch.arange(self.steps_done, self.steps_done + block.y.shape[1])
        rates = self._rates(steps)  # (S, K, 1)
        path, minibatches = [], self._minibatches(block)
        for minibatch, rate in zip(minibatches, rates):
            theta = self.stepper.step(theta, minibatch, rate)
            path.append(theta)
        self._after_block(start, torch.stack(path), self._losses(block, minibatches), steps)

    def on_train_batch_end(self, outputs: Any, batch: MinibatchBlock, batch_idx: int) -> None:
        if self.device.type == "xla":
            import torch_xla

            torch_xla.sync()  # run what was traced; otherwise the program to compile grows with every block

    def _minibatches(self, block: MinibatchBlock) -> list[Minibatch]:
        S, B = block.y.shape[1:]
        none, factor = [None] * S, [self.per_step / B] * S
        if block.weights is not None:
            factor = list((self.per_step.unsqueeze(1) / block.weights.sum(2, keepdim=True)).unbind(1))
        offsets = none if block.offset is None else block.offset.unbind(1)
        weights = none if block.weights is None else block.weights.unbind(1)
        parts = zip(factor, block.D.unbind(1), block.y.unbind(1), offsets, weights)
        return [Minibatch(self.ensemble.model, self.noise, *part) for part in parts]

    def _rates(self, steps: Tensor) -> Tensor:
        factors = {id(s): s.factor(steps, self.total_steps) for s in self.schedules}
        factor = torch.stack([factors[id(s)] for s in self.schedules], dim=1).to(self.lr)
        return factor.unsqueeze(2) * self.lr

    def _losses(self, block: MinibatchBlock, minibatches: list[Minibatch]) -> Tensor:
        """Mean nll of every minibatch before its step, (S, K), at the scale and in the units of the fit."""
        eta = torch.stack([m.eta for m in minibatches if m.eta is not None])  # (S, K, B)
        weights = None if block.weights is None else block.weights.transpose(0, 1)
        return weighted_mean(self.noise.nll(eta, block.y.transpose(0, 1)), weights)

    def _after_block(self, start: Tensor, path: Tensor, losses: Tensor, steps: Tensor) -> None:
        """Freeze members at their last finite state, add up the averages, keep the losses."""
        finite = torch.isfinite(path).all(-1) & torch.isfinite(losses)  # (S, K)
        good = finite.cumprod(0).sum(0)  # steps before the first failure
        fails = self.alive & (good < len(steps))
        at = good.clamp_max(len(steps) - 1).unsqueeze(0)
        first = steps[:1].to(good.device)  # a tensor: XLA would compile a program for every number
        self.failed_step = torch.where(fails, first + good, self.failed_step)
        self.failed_loss = torch.where(fails, ~torch.isfinite(losses.gather(0, at)[0]), self.failed_loss)
        states = torch.cat([start.unsqueeze(0), path])  # (S + 1, K, P)
        last = states.gather(0, good.view(1, -1, 1).expand(1, -1, path.shape[-1]))[0]
        self.theta.data = torch.where(self.alive.unsqueeze(1), last, start)
        walked = torch.arange(len(steps), device=good.device).unsqueeze(1) < torch.where(self.alive, good, 0)  # (S, K)
        self.alive = self.alive & ~fails
        self._add_to_average(path, steps, walked)
        self.losses.append(losses.where(walked, math.nan))
        if self.keep_path:
            self.path.append(path.where(walked.unsqueeze(2), math.nan))
        self.steps_done += len(steps)

    def _add_to_average(self, path: Tensor, steps: Tensor, walked: Tensor) -> None:
        if any(s.averaging for s in self.schedules):
            starts = [s.averaging_start * self.total_steps if s.averaging else self.total_steps for s in self.schedules]
            counted = (steps.unsqueeze(1) >= torch.tensor(starts)).to(path.device) & walked  # (S, K)
            self.average += torch.where(counted.unsqueeze(2), path.double(), 0.0).sum(0)
            self.averaged += counted.sum(0).unsqueeze(1)

    def answer(self) -> Tensor:
        """theta (K, P) of the active members: the average of the iterates where one is taken."""
        mean = (self.average / self.averaged.clamp_min(1)).to(self.theta.dtype)
        return torch.where(self.averaged > 0, mean, self.theta.detach())

    def keep(self, members: Tensor) -> None:
        """Only these of the active members go on; the others leave every tensor."""
        theta = Parameter(self.theta.detach()[members])
        self.stepper.keep(members, theta)
        self.theta = theta
        for name in ("active", "lr", "average", "averaged", "alive", "failed_step", "failed_loss", "per_step"):
            setattr(self, name, getattr(self, name)[members])
        self.schedules = [self.schedules[k] for k in members.tolist()]
        if isinstance(self.noise.scale_value, Tensor):
            self.noise = self.noise.with_scale(self.noise.scale_value[members])
