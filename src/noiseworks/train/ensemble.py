"""K members side by side: their problems, scales, learning rates and seeds on one leading axis."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from noiseworks.data.input_noise import FreshNoise
from noiseworks.data.minibatches import TrainingRows
from noiseworks.data.scaling import Scaling
from noiseworks.exact import Found, SolutionCache, cheap
from noiseworks.metrics import PARTS, Metric, metrics_of
from noiseworks.model import Model
from noiseworks.noise import Noise
from noiseworks.noise.base import weighted_mean
from noiseworks.problem import Part, Problem
from noiseworks.solvers.solution import Solution
from noiseworks.streams import generator
from noiseworks.train.optimizers import MakeOptimizer, learning_rate
from noiseworks.train.schedules import Schedule

CHUNK = 2**18  # elements of eta that an evaluation holds at a time: they stay in the cache
HUGE = 1e100  # predictions of a member that diverges are held at it, so that their squares and its scale are numbers


@dataclass(frozen=True)
class Member:
    """One fit: everything in which it may differ from its neighbours."""

    problem: Problem
    noise: Noise  # as the configuration gives it, in units of the data
    make_optimizer: MakeOptimizer
    schedule: Schedule
    seed: int
    replicate: int

    @property
    def lr(self) -> float:
        return learning_rate(self.make_optimizer)


@dataclass(frozen=True)
class StackedPart:
    """The same part of M problems: D (M, n, q) in the dtype of training; y, offset, weights (M, n) in float64."""

    D: Tensor
    y: Tensor
    offset: Tensor | None
    weights: Tensor | None


class Ensemble:
    """The members' problems stacked. Equal problems are kept once: `which` (K,) says whose is whose."""

    def __init__(self, members: Sequence[Member], dtype: torch.dtype, device: torch.device) -> None:
        self.dtype, self.device = dtype, device
        problems: list[Problem] = list({id(m.problem): m.problem for m in members}.values())
        position = {id(problem): i for i, problem in enumerate(problems)}
        self.problems = problems
        self.model: Model = problems[0].model
        self.which = torch.tensor([position[id(m.problem)] for m in members], device=device)
        self.scaling = Scaling.stack([p.scaling for p in problems]).to(device)[self.which]
        self.given_scale = self._given_scale(members)
        self.noise = members[0].noise.with_scale(None)
        self.parts = {name: self._stack([p.parts[name] for p in problems]) for name in PARTS}
        self.num_features = len(problems[0].examples.features)
        self.exact: Tensor | None = None  # see `solve`

    @property
    def names(self) -> list[str]:
        """The parts that have rows."""
        return [name for name, part in self.parts.items() if part.y.shape[1]]

    def rows(self) -> TrainingRows:
        """The training rows in units of the fit, in the dtype of training."""
        units = [p.in_fit_units(p.parts["train"]) for p in self.problems]
        part = self.parts["train"]
        y = torch.stack([y for y, _ in units]).to(self.dtype)
        offset = None if units[0][1] is None else torch.stack([o for _, o in units if o is not None]).to(self.dtype)
        return TrainingRows(part.D, y, offset, None if part.weights is None else part.weights.to(self.dtype))

    def fresh_noise(self, members: Sequence[Member]) -> FreshNoise | None:
        """What data.input_noise_fresh adds to the features, in units of the fit; None where it adds nothing."""
        if not members[0].problem.data.fresh_noise:
            return None
        scales = [p.data.input_noise / p.scaling.x_spread for p in self.problems]
        seeds = [(m.seed, m.replicate) for m in members]
        return FreshNoise(self.model.shifted, torch.stack(scales).to(self.dtype), seeds)

    def initial(self, members: Sequence[Member]) -> Tensor:
        d = self.num_features
        rows = [m.problem.model.initial(d, generator(m.seed, "init", m.replicate)) for m in members]
        return torch.stack(rows).to(self.device, self.dtype)

    def in_fit_units(self, scale: Tensor, members: Tensor) -> Tensor:
        """Scales (K,) of these members in units of the data -> (K, 1) in units of the fit."""
        return (scale / self.scaling.y_spread[members] if self.noise.location_scale else scale).unsqueeze(1)

    def eta(self, theta: Tensor, name: str, members: Tensor) -> Tensor:
        """The linear predictor of a part in units of the data, float64: theta (K, P) -> (K, n)."""
        part, which = self.parts[name], self.which[members]
        theta = theta.to(self.dtype)
        if len(part.D) == 1 and self.model.linear and self.noise.separable:
            eta = (part.D[0] @ theta.T).T.double()  # one product for all
        else:
            # Each product by itself: its rounding must not depend on the other members, for the scale that is fitted to
            # it goes into the training, and LBFGS makes much of little.
            D = part.D.expand(len(theta), -1, -1) if len(part.D) == 1 else part.D[which]
            eta = self.model.eta(theta, D).double()
        scaling = self.scaling[members]
        eta = scaling.y_center.unsqueeze(1) + scaling.y_spread.unsqueeze(1) * eta
        return eta if part.offset is None else eta + part.offset[which]

    def coefficients(self, theta: Tensor, members: Tensor) -> Tensor:
        """theta (K, P) -> (K, number of terms) in units of the data."""
        return self.model.coefficients(theta.double(), self.scaling[members])

    def parameter_error(self, theta: Tensor, members: Tensor) -> dict[str, Tensor]:
        """The distance to the exact answer in units of the data, and that distance over the answer's norm."""
        if self.exact is None:
            return {}
        exact = self.exact[members]
        distance = (self.coefficients(theta, members) - exact).norm(dim=1)
        return {"param/error": distance, "param/relative_error": distance / exact.norm(dim=1)}

    def evaluate(
        self, theta: Tensor, members: Tensor, parts: Mapping[str, Sequence[Metric]]
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """Metrics (K,) of each part, in units of the data, at the maximum-likelihood scale (K,) of the training
        rows (for a noise whose scale is given and not separable: at the given one). `members` (K,) are positions."""
        results = [self._evaluate(theta[chunk], members[chunk], parts) for chunk in self._chunks(len(members), parts)]
        metrics = {key: torch.cat([m[key] for m, _ in results]) for key in results[0][0]}
        scales = [scale for _, scale in results if scale is not None]
        return metrics, torch.cat(scales) if scales else None

    def _evaluate(
        self, theta: Tensor, members: Tensor, parts: Mapping[str, Sequence[Metric]]
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        which = self.which[members]
        eta, part = self.eta(theta, "train", members), self.parts["train"]
        weights = None if part.weights is None else part.weights[which]
        if self.given_scale is not None and not self.noise.separable:
            scale: Tensor | None = self.given_scale[members]
        else:
            held = eta.nan_to_num().clamp(-HUGE, HUGE)
            scale = self.noise.fit_scale(held, part.y[which], weights)
        noise = self.noise.with_scale(None if scale is None else scale.unsqueeze(1))
        metrics: dict[str, Tensor] = {}
        for name, wanted in parts.items():
            part = self.parts[name]
            if name != "train":
                eta = self.eta(theta, name, members)
            weights = None if part.weights is None else part.weights[which]
            residual = part.y[which] - noise.predict(eta)
            metrics |= metrics_of(name, residual, noise.nll(eta, part.y[which]), weights, wanted)
        return metrics, scale

    def _chunks(self, size: int, names: Iterable[str]) -> Iterator[slice]:
        n = max(self.parts[name].y.shape[1] for name in ("train", *names))
        step = max(1, CHUNK // n)
        return (slice(start, start + step) for start in range(0, size, step))

    def loss_shift(self) -> Tensor:
        """(K,): what takes the mean nll of the training rows from the units of the fit to those of the data.

        It is log |dy / dy'|, averaged over the rows: the same at every theta.
        """
        if not self.noise.location_scale:
            return torch.zeros(len(self.which), dtype=torch.float64, device=self.device)
        shifts = []
        for problem in self.problems:
            part, scaling = problem.parts["train"], problem.scaling
            y, _ = problem.in_fit_units(part)
            in_data = self.noise.with_scale(scaling.y_spread).nll(scaling.y_center.expand_as(y), part.y)
            shifts.append(weighted_mean(in_data - self.noise.nll(torch.zeros_like(y), y), part.weights))
        return torch.stack(shifts).to(self.device)[self.which]

    def solve(self, members: Sequence[Member], steps: int = 0) -> dict[int, Found]:
        """The exact answers, by member, of those for which they cost little beside so many steps of training. Kept are
        their coefficients (K, number of terms), in units of the data; nan where there are none."""
        theta = torch.full((len(members), self.model.num_parameters(self.num_features)), math.nan, dtype=torch.float64)
        solved = [k for k, m in enumerate(members) if cheap(m.problem, steps)]
        answers = dict(zip(solved, SolutionCache().of([(members[k].problem, members[k].noise) for k in solved])))
        for k, found in answers.items():
            if isinstance(found, Solution):  # else training goes on without a reference
                theta[k] = found.theta
        if not theta.isnan().all():
            self.exact = self.coefficients(theta.to(self.device), torch.arange(len(members), device=self.device))
        return answers

    def _given_scale(self, members: Sequence[Member]) -> Tensor | None:
        scales = [m.noise.scale_value for m in members]
        if any(scale is None for scale in scales):
            return None
        return torch.tensor([float(s) for s in scales if s is not None], dtype=torch.float64, device=self.device)

    def _stack(self, parts: Sequence[Part]) -> StackedPart:
        def stack(values: list[Tensor | None], dtype: torch.dtype) -> Tensor | None:
            present = [v.to(self.device, dtype) for v in values if v is not None]
            if len(present) == 1:
                return present[0].unsqueeze(0)  # a large table is not copied once more
            return torch.stack(present) if present else None

        D, y = stack([p.D for p in parts], self.dtype), stack([p.y for p in parts], torch.float64)
        assert D is not None
        assert y is not None
        offset = stack([p.offset for p in parts], torch.float64)
        return StackedPart(D, y, offset, stack([p.weights for p in parts], torch.float64))
