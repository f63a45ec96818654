"""One step of K members at once, each with its own learning rate.

theta (K, P) holds a member a row. torch.optim takes no learning rate of shape (K,), but elementwise optimizers are
linear in it: theta_new = theta - lr * u(gradients, theta). They step with lr = 1 on all members together, and each
member takes its own share of the way: theta + lr_k (theta_new - theta).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer


class MinibatchLoss(Protocol):
    """The loss of a minibatch for all members: theta (K, P) -> loss (K,) and gradient (K, P)."""

    def predict(self, theta: Tensor) -> Tensor: ...

    def loss(self, theta: Tensor) -> Tensor: ...

    def gradient(self, theta: Tensor) -> Tensor: ...

    def alone(self, k: int) -> MinibatchLoss: ...


class Stepper:
    """The chapter's update (3.1.10) for all members: it has no state, so no optimizer object needs to be asked."""

    def __init__(self, optimizer: Optimizer) -> None:
        self.optimizers = [optimizer]

    def step(self, theta: Tensor, objective: MinibatchLoss, rate: Tensor) -> Tensor:
        """theta (K, P) and the learning rates (K, 1) -> the new theta, a new tensor."""
        return theta.addcmul(objective.gradient(theta), rate, value=-1)

    def keep(self, members: Tensor, theta: Parameter) -> None:
        """Only these members go on; theta holds their rows."""
        self.optimizers[0].param_groups[0]["params"] = [theta]


class SideBySide(Stepper):
    """All members in one elementwise torch optimizer whose own lr is 1.

    A weight decay or momentum (K, 1) in which the members differ is taken out of the optimizer's hands:
    coupled, the gradient becomes gradient + decay * theta; decoupled, decay * theta is part of the way.
    """

    def __init__(self, optimizer: Optimizer, theta: Parameter, decay: Tensor | None, momentum: Tensor | None) -> None:
        super().__init__(optimizer)
        group = optimizer.param_groups[0]
        self.theta, self.decay, self.momentum = theta, decay, None
        self.decoupled = group.get("decoupled_weight_decay", False)
        self.sign = -1 if group["maximize"] else 1  # the optimizer will turn the gradient, but not torch's own decay
        if decay is not None:
            group["weight_decay"] = 0.0
        if momentum is not None:
            self.momentum = Momentum(momentum, group["dampening"], group["nesterov"])
            group |= {"momentum": 0.0, "dampening": 0.0, "nesterov": False}

    def step(self, theta: Tensor, objective: MinibatchLoss, rate: Tensor) -> Tensor:
        self.theta.data = theta.clone()  # the optimizer writes into it
        self.theta.grad = self._direction(theta, objective.gradient(theta))
        self.optimizers[0].step()
        way = self.theta.detach() - theta
        if self.decay is not None and self.decoupled:
            way.addcmul_(self.decay, theta, value=-1)
        return torch.addcmul(theta, rate, way)

    def _direction(self, theta: Tensor, gradient: Tensor) -> Tensor:
        if self.decay is not None and not self.decoupled:
            gradient = torch.addcmul(gradient, self.decay, theta, value=self.sign)
        return gradient if self.momentum is None else self.momentum.direction(gradient)

    def keep(self, members: Tensor, theta: Parameter) -> None:
        state = self.optimizers[0].state.pop(self.theta, {})
        size = len(self.theta)
        self.optimizers[0].state[theta] = {
            key: value[members] if isinstance(value, Tensor) and value.shape[:1] == (size,) else value
            for key, value in state.items()
        }
        super().keep(members, theta)
        self.theta = theta
        if self.decay is not None:
            self.decay = self.decay[members]
        if self.momentum is not None:
            self.momentum.keep(members)


class Momentum:
    """What torch.optim.SGD makes of the gradients, with a momentum (K, 1) for each member.

    buffer = momentum * buffer + (1 - dampening) * gradient, and the first step's buffer is its gradient.
    """

    def __init__(self, momentum: Tensor, dampening: float, nesterov: bool) -> None:
        self.momentum, self.nesterov = momentum, nesterov
        # torch dampens nothing where there is no momentum
        self.share = torch.ones_like(momentum).where(momentum == 0, 1.0 - dampening)
        self.buffer: Tensor | None = None

    def direction(self, gradient: Tensor) -> Tensor:
        before = self.buffer
        self.buffer = gradient if before is None else torch.addcmul(self.momentum * before, self.share, gradient)
        return torch.addcmul(gradient, self.momentum, self.buffer) if self.nesterov else self.buffer

    def keep(self, members: Tensor) -> None:
        self.momentum, self.share = self.momentum[members], self.share[members]
        if self.buffer is not None:
            self.buffer = self.buffer[members]


class OneByOne(Stepper):
    """An optimizer for each member: for those that couple their parameters, such as LBFGS with its line search."""

    def __init__(self, rows: list[Parameter], optimizers: list[Optimizer]) -> None:
        self.rows, self.optimizers = rows, optimizers

    def step(self, theta: Tensor, objective: MinibatchLoss, rate: Tensor) -> Tensor:
        objective.predict(theta)
        for k, (row, optimizer) in enumerate(zip(self.rows, self.optimizers)):
            row.data = theta[k].clone()
            optimizer.param_groups[0]["lr"] = rate[k].item()
            optimizer.step(_closure(row, objective.alone(k)))  # type: ignore[arg-type]
        return torch.stack([row.detach() for row in self.rows])

    def keep(self, members: Tensor, theta: Parameter) -> None:
        self.rows = [self.rows[k] for k in members.tolist()]
        self.optimizers = [self.optimizers[k] for k in members.tolist()]


def _closure(row: Parameter, objective: MinibatchLoss) -> Callable[[], Tensor]:
    def closure() -> Tensor:
        with torch.no_grad():
            theta = row.detach().unsqueeze(0)
            row.grad = objective.gradient(theta).squeeze(0)
            return objective.loss(theta).squeeze(0)

    return closure
