"""The chapter's optimizer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch


class MinibatchSGD(torch.optim.Optimizer):
    """theta <- theta - lr * gradient of the mean loss over the minibatch (D2L 3.1, (3.1.10))."""

    def __init__(self, params: Any, lr: float) -> None:
        if lr < 0:
            raise ValueError(f"Invalid learning rate: {lr}")
        super().__init__(params, {"lr": lr})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for theta in group["params"]:
                if theta.grad is not None:
                    theta.sub_(group["lr"] * theta.grad)
        return loss
