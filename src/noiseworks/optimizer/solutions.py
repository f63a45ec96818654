"""The exact answers of many members: each computed once, those of one shape side by side."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

import numpy as np
import torch

from noiseworks.errors import UserError
from noiseworks.exact import Answer, solved
from noiseworks.exact import Problem as ExactProblem
from noiseworks.exact.many import solve_many
from noiseworks.noise import Noise
from noiseworks.optimizer.exact import exact_problem
from noiseworks.problem import Problem

STACKED = 1 << 23  # numbers in the designs that are stacked at a time

Found = Answer | UserError
Key = tuple[int, Noise, float, str]  # of a problem, its noise, its ridge and its method


class Solutions:
    """Jobs of a sweep that differ in seed or learning rate only share their answer."""

    def __init__(self) -> None:
        self.known: dict[Key, tuple[Problem, Found]] = {}  # it is held, so that its id stays its own

    def of(
        self, wanted: Sequence[tuple[Problem, Noise]], ridges: Sequence[float] = (), methods: Sequence[str] = ()
    ) -> list[Found]:
        """For each its answer, or why there is none. ridges, methods: as many, or none at all."""
        K = len(wanted)
        how = zip(wanted, ridges or [0.0] * K, methods or ["auto"] * K)
        keys = [(id(of), n.with_scale(None) if n.separable else n, ridge, method) for (of, n), ridge, method in how]
        new = {key: problem for key, (problem, _) in zip(keys, wanted) if key not in self.known}
        exact: dict[Key, ExactProblem] = {}
        for key, problem in new.items():
            try:
                exact[key] = exact_problem(problem, *key[1:])
            except UserError as error:
                self.known[key] = problem, error
        for together in _stacks(exact):
            for key, found in zip(together, _solved([exact[key] for key in together])):
                self.known[key] = new[key], found
        return [self.known[key][1] for key in keys]


def _stacks(exact: dict[Key, ExactProblem]) -> Iterator[list[Key]]:
    """Problems of one shape and one noise, as many as may be in memory once more."""
    shapes: dict[Hashable, list[Key]] = {}
    for key, problem in exact.items():
        shapes.setdefault((problem.noise, problem.D.shape, problem.ridge, problem.method), []).append(key)
    for keys in shapes.values():
        first = exact[keys[0]]
        size = max(1, STACKED // max(first.D.size, 1)) if first.ridge == 0 and first.method == "auto" else 1
        yield from (keys[low : low + size] for low in range(0, len(keys), size))


def _solved(problems: Sequence[ExactProblem]) -> list[Found]:
    if len(problems) == 1:
        try:
            return [solved(problems[0])]
        except UserError as error:
            return [error]
    stacked = (torch.from_numpy(np.stack(rows)) for rows in zip(*((p.D, p.y, p.offset, p.weights) for p in problems)))
    answers = solve_many(problems[0].noise, *stacked)
    return [answers.one(k) or UserError(answers.failures[k]) for k in range(len(answers))]
