"""`infer` for many members: those of one shape side by side, where there are formulas for many."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Generator

from noiseworks.exact import STACKED, Exact, Inference, exact_problem, infer, jacobian
from noiseworks.inference import LEVEL
from noiseworks.inference.covariance import leverage
from noiseworks.inference.criteria import batched_criteria
from noiseworks.inference.uncertainty import batched_standard_errors
from noiseworks.inference.whitened import gram
from noiseworks.noise import Gaussian, Noise, Poisson
from noiseworks.problem import Problem
from noiseworks.solvers.batched_least_squares import NEARLY_PERFECT
from noiseworks.solvers.linear_problem import Array, LinearProblem, LinearProblems, tensor
from noiseworks.solvers.solution import Solution, Solutions

FEW = 3  # so few members of one shape are worked out one by one
SOUND = 1e-5  # smallest over largest eigenvalue of X'X in columns of size one: ten digits survive it
LEVERAGE = 1 - 1e-4  # of a row; closer to one, HC2 and HC3 lose digits, and at one they know nothing


@dataclass(frozen=True)
class Wanted:
    """What `infer` is asked."""

    problem: Problem
    noise: Noise
    answer: Solution
    how: Exact
    mean_nll: float
    draw: Generator

    def alone(self) -> Inference:
        return infer(self.problem, self.noise, self.answer, self.how, self.mean_nll, self.draw)

    @property
    def by_formula(self) -> bool:
        """Whether `batched_standard_errors` may know it."""
        n, P = self.problem.parts["train"].D.shape
        known = isinstance(self.noise, Gaussian | Poisson) or self.noise.quantile_level is not None
        plain = self.problem.parts["train"].weights is None and self.how.ridge == 0
        return known and plain and self.how.standard_errors != "bootstrap" and n > P == self.answer.rank > 0


def inferences(wanted: Sequence[Wanted]) -> list[Inference]:
    """Each as if alone, to about 1e-10: those that would lose digits or have none are worked out alone."""
    found: dict[int, Inference] = {}
    for which, exact in _stacks(wanted):
        first = wanted[which[0]].alone()  # it names the method, or refuses it
        together = _together([wanted[k] for k in which], exact, first.method)
        found |= {which[at]: one for at, one in together.items()}
    return [found[k] if k in found else one.alone() for k, one in enumerate(wanted)]


def _stacks(wanted: Sequence[Wanted]) -> Iterator[tuple[list[int], list[LinearProblem]]]:
    """Members of one noise, shape and method, as many as may be in memory once more, and their problems."""
    shapes: dict[object, list[int]] = {}
    for k, one in enumerate(wanted):
        if one.by_formula:
            noise = one.noise.with_scale(None)  # separable, all of them: a given scale is not used
            key = (noise, one.problem.model, one.problem.parts["train"].D.shape, one.how.standard_errors)
            shapes.setdefault(key, []).append(k)
    for members in shapes.values():
        size = max(1, STACKED // wanted[members[0]].problem.parts["train"].D.numel())
        for low in range(0, len(members), size):
            which = members[low : low + size]
            if len(which) > FEW:
                yield which, [exact_problem(wanted[k].problem, wanted[k].noise) for k in which]


def _together(wanted: Sequence[Wanted], exact: Sequence[LinearProblem], method: str) -> dict[int, Inference]:
    """By position in `wanted`; without those that are to be worked out alone."""
    problems, answers, size = _in_data_units(wanted, exact)
    own = np.flatnonzero(_sound(problems, answers, method))
    of = [wanted[k] for k in own.tolist()]
    if not of:
        return {}
    problems, answers = problems.take(own), answers.take(own)
    errors = batched_standard_errors(problems, answers, method) / size[own]
    degrees = float(np.subtract(*problems.D.shape[-2:])) if problems.noise.location_scale else np.inf
    reach = stats.t.ppf((1 + LEVEL) / 2, degrees) * errors
    middle = np.stack([one.problem.model.coefficients(one.answer.theta, one.problem.scaling) for one in of])
    intervals = np.stack((middle - reach, middle + reach), axis=2)
    known = batched_criteria(problems, answers, np.array([one.mean_nll for one in of]))
    criteria = [dict(zip(known, numbers)) for numbers in np.column_stack(list(known.values())).tolist()]
    made = map(Inference, torch.from_numpy(errors), torch.from_numpy(intervals), [method] * len(own), criteria)
    return {k: one for k, one, error in zip(own.tolist(), made, errors) if np.isfinite(error).all()}


def _in_data_units(wanted: Sequence[Wanted], exact: Sequence[LinearProblem]) -> tuple[LinearProblems, Solutions, Array]:
    """The problems in the coefficients of the data, times size (K, P): columns D J^-1 / size, of mean square one.

    Each standard error then is that of one coefficient, times its size.
    """
    J = np.stack([jacobian(one.problem).numpy() for one in wanted])
    D = np.stack([problem.D for problem in exact]) @ np.linalg.inv(J)
    size = np.sqrt((D**2).mean(axis=1))
    size[size == 0] = 1.0
    y, offset = (np.stack([getattr(problem, name) for problem in exact]) for name in ("y", "offset"))
    problems = LinearProblems(exact[0].noise, D / size[:, None, :], y, offset, np.ones_like(y))
    theta = np.stack([one.answer.theta.numpy() for one in wanted])
    answers = Solutions.empty(len(theta), theta.shape[1], wanted[0].answer.kind)
    for k, one in enumerate(wanted):
        answers.put(k, replace(one.answer, theta=torch.from_numpy(J[k] @ theta[k] * size[k])))
    return problems, answers, size


def _sound(problems: LinearProblems, answers: Solutions, method: str) -> NDArray[np.bool_]:
    """Which members (K,) the formulas do not cost digits."""
    D, noise, eta = problems.D, problems.noise, problems.eta(answers.theta)
    found = _independent(D, np.ones_like(eta))
    counted = np.ones_like(eta)
    if noise.location_scale:
        left = np.abs(problems.target + problems.offset - eta).max(axis=1)
        found &= left > NEARLY_PERFECT * np.abs(problems.target + problems.offset).max(axis=1)
    elif (information := noise.information(tensor(eta))) is not None:
        counted = information.numpy()
        found &= _independent(D, counted)
    if method in ("HC2", "HC3"):
        found &= leverage(D, counted).max(axis=1) < LEVERAGE
    return found


def _independent(D: Array, c: Array) -> NDArray[np.bool_]:
    """Whether D'CD, in columns of size one, is far from singular."""
    H = gram(D, c)
    size = np.sqrt(np.diagonal(H, axis1=1, axis2=2))
    usable = np.isfinite(H).all(axis=(1, 2)) & (size > 0).all(axis=1)
    H[~usable], size[~usable] = np.eye(D.shape[2]), 1.0
    eigenvalues = np.linalg.eigvalsh(H / size[:, :, None] / size[:, None, :])
    return np.asarray(usable & (eigenvalues[:, 0] > SOUND * eigenvalues[:, -1]))
