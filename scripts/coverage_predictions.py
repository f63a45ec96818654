"""How often a new observation lies in its 90 % prediction interval: the second table of docs/coverage.md."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import torch
from coverage_cases import CASES, Array, Case, draw, features, place, probability
from coverage_coefficients import blocks
from coverage_fits import fits

from noiseworks import LinearRegressor
from noiseworks.inference.covariance import covariance_root
from noiseworks.inference.scores import RowScores
from noiseworks.inference.uncertainty import automatic
from noiseworks.noise import Gaussian
from noiseworks.regressor.prediction import prediction_interval
from noiseworks.solvers.linear_problem import LinearProblems
from noiseworks.solvers.solution import Solutions

LEVEL, SIZES = 0.9, (20, 50, 500)
HEADER = [
    "| noise model | data | data sets | n = 20 | n = 50 | n = 500 | |",
    "|---|---|---|---|---|---|---|",
]
BLOCK, NEW = 100, 10  # data sets at a time, and new rows of each
SLOW = ("negative_binomial", "interval_lognormal")
AVERAGES = ("monotone",)  # cases that say nothing more of predictions than another does


@dataclass(frozen=True)
class Work:
    """One line of the table: a noise model and a truth."""

    table: ClassVar[str] = "predictions"
    kind: ClassVar[str] = "predictions"
    noise: str
    case: str
    datasets: int

    @property
    def key(self) -> tuple[object, ...]:
        return place(self.noise, self.case)

    @property
    def chosen(self) -> Case:
        return CASES[self.noise][self.case]

    def tenth(self) -> Work:
        return replace(self, datasets=self.datasets // 10)

    def lines(self) -> list[str]:
        """One line: the mean over data sets of the probability that the interval holds a new observation."""
        shares, marks = [], []
        for n in SIZES:
            held = self.measure(n)
            known = held[~np.isnan(held)]
            none = [f"{100 - 100 * len(known) / len(held):.1f} % none at {n}"] if len(known) < len(held) else []
            if not len(known):
                shares.append("")
                marks += none
                continue
            share, error = known.mean(), known.std() / np.sqrt(len(known))
            print(f"{self.noise}, {self.case}, n = {n}: {100 * share:.2f} +- {100 * error:.2f}", flush=True)
            shares.append(f"{100 * share:.1f}")
            marks += [f"low at {n}"] if share < LEVEL - 0.02 else [f"high at {n}"] if share > LEVEL + 0.02 else []
            marks += none
        return ["| " + " | ".join([self.noise, self.case, str(self.datasets), *shares, ", ".join(marks)]) + " |"]

    def measure(self, n: int) -> Array:
        """(data sets,): the mean of that probability over new rows; nan where there is no interval."""
        held = []
        for low in range(0, self.datasets, BLOCK):
            K, rng = min(BLOCK, self.datasets - low), np.random.default_rng(n + 1_000_000 * (low + 1))
            D, new = features(rng, (K, n)), features(rng, (K, NEW))
            y = draw(self.noise, self.case, D, K, seed=n + 1000 + low)
            ends = self.intervals(D, y, new)
            if low == 0:
                self.check(D[0], y[0], new[0], ends[0])
            held.append(probability(self.chosen, new, ends[..., 0], ends[..., 1]).mean(axis=1))
        return np.concatenate(held)

    def intervals(self, D: Array, y: Array, new: Array) -> Array:
        """(K, NEW, 2), for D (K, n, P), y (K, n) and new rows (K, NEW, P)."""
        problems = LinearProblems.of(self.chosen.noise, torch.from_numpy(D), torch.from_numpy(y), None, None)
        answers = fits(problems)
        ends = np.full((*new.shape[:2], 2), np.nan)
        for some in blocks(problems.noise, np.flatnonzero(np.isfinite(answers.theta[:, 0])), D.shape[1]):
            ends[some] = predicted(problems.take(some), answers.take(some), new[some])
        return ends

    def check(self, D: Array, y: Array, new: Array, ends: Array) -> None:
        """Against `LinearRegressor`, for one data set."""
        try:
            one = LinearRegressor(self.chosen.noise).fit(D[:, 1:], y).predict_interval(new[:, 1:], LEVEL)
        except ValueError:
            assert np.isnan(ends).all()
        else:
            np.testing.assert_allclose(ends, one, rtol=1e-5, atol=1e-5)


def predicted(problems: LinearProblems, answers: Solutions, new: Array) -> Array:
    """(K, m, 2) for new rows (K, m, P), each fit with the standard errors of `auto`.

    Errors that are added to eta: all at once, in units of each scale.
    """
    noise, n, P = problems.noise, problems.y.shape[1], new.shape[2]
    root = covariance_root(RowScores.batched(problems, answers), problems.D, automatic(noise))
    eta = (new @ answers.theta[..., None])[..., 0]
    errors, inflate = np.linalg.norm(new @ root, axis=2), float(np.sqrt(n / (n - P)))
    if noise.location_scale and not isinstance(noise, Gaussian):
        scale = (inflate * answers.scale)[:, None]
        ratio = (errors / scale).ravel()
        ends = prediction_interval(noise.with_scale(1.0), np.zeros_like(ratio), ratio, float(n - P), 1.0, LEVEL)
        return eta[..., None] + scale[..., None] * ends.reshape(*eta.shape, 2)
    return np.stack(
        [
            prediction_interval(
                noise.with_scale(float(answers.scale[k])), eta[k], errors[k], float(n - P), inflate, LEVEL
            )
            for k in range(len(eta))
        ]
    )


def key_of_cells(cells: list[str]) -> tuple[object, ...]:
    return place(cells[0], cells[1])


def plan() -> list[Work]:
    return [
        Work(noise, case, 100 if noise in SLOW else 400)
        for noise, cases in CASES.items()
        for case, chosen in cases.items()
        if case not in AVERAGES and not chosen.total
    ]
