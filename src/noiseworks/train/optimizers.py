"""The chapter's optimizer, and which optimizers of K members can step side by side.

Members of one ensemble share the optimizer's class and settings, but each has its own learning rate, weight decay and,
with torch.optim.SGD, momentum. Optimizers that must be built for each member anyway may differ in everything."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter
from torch.optim import Optimizer

from noiseworks.train.steppers import OneByOne, SideBySide, Stepper


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

MakeOptimizer = Callable[..., Optimizer]


def make_stepper(makes: Sequence[MakeOptimizer], theta: Parameter) -> Stepper:
    """The way in which these optimizers, one a member, can move K members. The same maker is asked only once."""
    if len(makes) != len(theta):
        raise ValueError(f"There are {len(makes)} makers of optimizers for {len(theta)} members.")
    probes = {key: _probe(make) for key, make in {id(make): make for make in makes}.items()}
    _check_shared([_shared(probe) for probe in probes.values()])
    kind = type(probes[id(makes[0])])
    if kind is MinibatchSGD:
        return Stepper(makes[0]([theta]))
    if kind not in LINEAR_IN_LR:
        rows = [Parameter(row.detach().clone()) for row in theta]
        return OneByOne(rows, [make([row]) for make, row in zip(makes, rows)])
    settings = [probes[id(make)].param_groups[0] for make in makes]
    momentum = _own("momentum", settings, theta) if kind is torch.optim.SGD else None
    # The gradient is decayed before the momentum takes it, so the decay cannot stay behind with torch.
    decay = _own("weight_decay", settings, theta, even_if_shared=momentum is not None)
    return SideBySide(makes[0]([theta], lr=1.0), theta, decay, momentum)


def shared_settings(make: MakeOptimizer) -> tuple[Hashable, ...]:
    """What members trained side by side have in common: makers with equal answers can go into one ensemble."""
    return _shared(_probe(make))


def takes_all_rows(make: MakeOptimizer) -> bool:
    """LBFGS measures curvature between steps, which needs the same loss in both: its minibatch is the whole set."""
    return isinstance(_probe(make), torch.optim.LBFGS)


@lru_cache(maxsize=2**14)
def _probe(make: MakeOptimizer) -> Optimizer:
    """One to look at. A sweep asks each of its thousands of makers several times."""
    return make([Parameter(torch.zeros(1))])


def learning_rate(make: MakeOptimizer) -> float:
    return float(_probe(make).param_groups[0]["lr"])


def _shared(probe: Optimizer) -> tuple[Hashable, ...]:
    """The class, then (name, value) of the settings."""
    kind: Any = type(probe)  # mypy finds no __hash__ in type[Optimizer]
    if kind is not MinibatchSGD and kind not in LINEAR_IN_LR:
        return kind, ("takes_all_rows", isinstance(probe, torch.optim.LBFGS))  # each member has an optimizer of its own
    free = {"params", "lr", "weight_decay"} | ({"momentum"} if kind is torch.optim.SGD else set())
    return kind, *((name, _hashable(value)) for name, value in probe.param_groups[0].items() if name not in free)


def _hashable(value: Any) -> Hashable:
    """A list of a YAML file as the tuple it stands for: equal settings must be equal, and keys of a dict."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(_hashable(v) for v in value)
    return value


def _check_shared(settings: Sequence[tuple[Hashable, ...]]) -> None:
    first = settings[0]
    for other in settings[1:]:
        if other != first:
            ours, theirs = [part for part in first if part not in other], [part for part in other if part not in first]
            raise ValueError(f"Members with {ours} and members with {theirs} cannot be trained side by side.")


def _own(name: str, settings: Sequence[dict[str, Any]], theta: Tensor, even_if_shared: bool = False) -> Tensor | None:
    """A setting of the members (K, 1), or None where all agree and torch's optimizer can have it."""
    values = [float(one[name]) for one in settings]
    return theta.new_tensor(values).unsqueeze(1) if even_if_shared or len(set(values)) > 1 else None
