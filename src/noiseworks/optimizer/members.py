"""One step of K members at once, each with its own learning rate.

theta (K, P) holds a member a row. torch.optim takes no learning rate of shape (K,), but the elementwise optimizers
below are linear in it: theta_new = theta - lr * u(gradients, theta). They step with lr = 1 on all members together, and
each member takes its own share of the way: theta + lr_k (theta_new - theta).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import Parameter

from noiseworks.optimizer.minibatch_sgd import MinibatchSGD

LINEAR_IN_LR = (
    torch.optim.SGD,
    torch.optim.Adam,
    torch.optim.AdamW,
    torch.optim.NAdam,
    torch.optim.RAdam,
    torch.optim.Adamax,
    torch.optim.Adagrad,
    torch.optim.Adadelta,
    torch.optim.RMSprop,
)

MakeOptimizer = Callable[..., torch.optim.Optimizer]


class Objective(Protocol):
    """The loss of a minibatch for all members: theta (K, P) -> loss (K,) and gradient (K, P)."""

    def predict(self, theta: Tensor) -> Tensor: ...

    def loss(self, theta: Tensor) -> Tensor: ...

    def gradient(self, theta: Tensor) -> Tensor: ...

    def alone(self, k: int) -> Objective: ...


def make_stepper(make: MakeOptimizer, theta: Parameter) -> Stepper:
    """The way in which this optimizer can move K members."""
    kind = type(make([Parameter(theta[:1].detach().clone())]))
    if kind is MinibatchSGD:
        return Stepper(make, theta)
    return SideBySide(make, theta) if kind in LINEAR_IN_LR else OneByOne(make, theta)


def takes_all_rows(make: MakeOptimizer) -> bool:
    """LBFGS measures curvature between steps, which needs the same loss in both: its minibatch is the whole set."""
    return isinstance(make([Parameter(torch.zeros(1))]), torch.optim.LBFGS)


class Stepper:
    """The chapter's update (3.1.10) for all members: it has no state, so no optimizer object needs to be asked."""

    def __init__(self, make: MakeOptimizer, theta: Parameter) -> None:
        self.optimizers = [make([theta])]

    def step(self, theta: Tensor, objective: Objective, rate: Tensor) -> Tensor:
        """theta (K, P) and the learning rates (K, 1) -> the new theta, a new tensor."""
        return theta.addcmul(objective.gradient(theta), rate, value=-1)

    def keep(self, members: Tensor, theta: Parameter) -> None:
        """Only these members go on; theta holds their rows."""
        self.optimizers[0].param_groups[0]["params"] = [theta]


class SideBySide(Stepper):
    """All members in one elementwise torch optimizer whose own lr is 1."""

    def __init__(self, make: MakeOptimizer, theta: Parameter) -> None:
        self.theta = theta
        self.optimizers = [make([theta], lr=1.0)]

    def step(self, theta: Tensor, objective: Objective, rate: Tensor) -> Tensor:
        self.theta.data = theta.clone()  # the optimizer writes into it
        self.theta.grad = objective.gradient(theta)
        self.optimizers[0].step()
        return torch.addcmul(theta, rate, self.theta.detach() - theta)

    def keep(self, members: Tensor, theta: Parameter) -> None:
        state = self.optimizers[0].state.pop(self.theta, {})
        size = len(self.theta)
        self.optimizers[0].state[theta] = {
            key: value[members] if isinstance(value, Tensor) and value.shape[:1] == (size,) else value
            for key, value in state.items()
        }
        super().keep(members, theta)
        self.theta = theta


class OneByOne(Stepper):
    """An optimizer for each member: for those that couple their parameters, such as LBFGS with its line search."""

    def __init__(self, make: MakeOptimizer, theta: Parameter) -> None:
        self.rows = [Parameter(row.detach().clone()) for row in theta]
        self.optimizers = [make([row]) for row in self.rows]

    def step(self, theta: Tensor, objective: Objective, rate: Tensor) -> Tensor:
        objective.predict(theta)
        for k, (row, optimizer) in enumerate(zip(self.rows, self.optimizers)):
            row.data = theta[k].clone()
            optimizer.param_groups[0]["lr"] = rate[k].item()
            optimizer.step(_closure(row, objective.alone(k)))  # type: ignore[arg-type]
        return torch.stack([row.detach() for row in self.rows])

    def keep(self, members: Tensor, theta: Parameter) -> None:
        self.rows = [self.rows[k] for k in members.tolist()]
        self.optimizers = [self.optimizers[k] for k in members.tolist()]


def _closure(row: Parameter, objective: Objective) -> Callable[[], Tensor]:
    def closure() -> Tensor:
        with torch.no_grad():
            theta = row.detach().unsqueeze(0)
            row.grad = objective.gradient(theta).squeeze(0)
            return objective.loss(theta).squeeze(0)

    return closure
