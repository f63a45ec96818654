"""The answer of some of the rows, from which few passes over all of them lead to their answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from noiseworks.exact.blocks import Blocks
from noiseworks.exact.likelihood import Likelihood
from noiseworks.exact.newton import newton
from noiseworks.exact.problem import Array, Problem
from noiseworks.exact.quadratic import Quadratic

MANY = 50_000  # rows, for fewer all are taken from the start
TIMES = 8  # n^(2/3) times this many are drawn: a twelfth of a million
STEPS = 15


def sample_start(
    problem: Problem, A: Blocks, joint: bool, start: Callable[[Problem, Blocks], Array], floor: float
) -> Array | None:
    """v (r,), with the log scale if `joint` (r + 1,); None where it is not likely at all to all rows.

    m rows are off by about sqrt(r / m), which Newton's method squares at each step. Rows drawn are sometimes
    separated where all are not: a penalty of z^2 / (2 m), which costs less than that error, keeps z finite.
    """
    n, r = A.shape
    m = int(TIMES * n ** (2 / 3))
    if n < MANY or m < 20 * r:
        return None
    drawn = np.unique(np.random.default_rng(0).integers(n, size=m))
    weights = problem.weights[drawn]
    rows = Blocks(A.rows(drawn))
    part = replace(
        problem, D=rows.D, y=problem.y[drawn], offset=problem.offset[drawn], weights=weights / weights.mean(), ridge=0.0
    )
    if not part.y.any():
        return None
    penalty = Quadratic(np.eye(r) / np.sqrt(m), np.zeros(r))
    return newton(Likelihood.of(part, rows, joint, penalty), start(part, rows), floor, STEPS).v
