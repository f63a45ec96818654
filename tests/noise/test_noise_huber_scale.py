"""Huber's scale: robust, as R's rlm (MASS 7.3; acc = 1e-13, maxit = 5000), in exact fits and in training."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from noiseworks.errors import UserError
from noiseworks.inference import criteria, uncertainty
from noiseworks.noise import Huber
from noiseworks.noise.base import weighted_median
from noiseworks.solvers.linear_problem import LinearProblem
from noiseworks.solvers.solve import solved
from published_tables import STACKLOSS

CALLS = [4.4, 4.7, 4.7, 5.9, 6.6, 7.3, 8.1, 8.8, 10.6, 12, 13.5, 14.9, 16.1, 21.2, 119, 124, 142, 159, 182, 212, 43, 24]
PHONES = np.column_stack((np.arange(50, 74.0), [*CALLS, 27, 29]))
RLM = {  # coefficients, standard errors, scale
    ("stackloss", "mad"): (
        [-41.0264854, 0.8293858, 0.9260594, -0.1278463], [9.8068723, 0.1111750, 0.3033934, 0.1288463], 2.440489,
    ),
    ("stackloss", "proposal2"): (
        [-41.1408784, 0.8167324, 0.9837944, -0.1314333], [10.6389357, 0.1206076, 0.3291348, 0.1397783], 2.855133,
    ),
    ("phones", "mad"): ([-102.52963811816, 2.03960046572], [26.5461608, 0.4289364], 9.009028),
}  # fmt: skip
LOSS = np.roll(STACKLOSS, -1, axis=1)  # y last
DATA = {"stackloss": LOSS, "phones": PHONES}


def problem(table: np.ndarray, noise: Huber, weights: np.ndarray | None = None) -> LinearProblem:
    D = torch.from_numpy(np.column_stack((np.ones(len(table)), table[:, :-1])))
    y = torch.from_numpy(table[:, -1].copy())
    return LinearProblem.of(noise, D, y, None, None if weights is None else torch.from_numpy(weights))


@pytest.mark.parametrize(("data", "estimator"), RLM)
def test_as_rlm(data: str, estimator: str) -> None:
    """The digits that R printed."""
    coefficients, errors, scale = RLM[data, estimator]
    of = problem(DATA[data], Huber(scale_estimator=estimator))
    answer = solved(of)
    np.testing.assert_allclose(answer.theta, coefficients, rtol=6e-7)
    assert answer.scale == pytest.approx(scale, rel=6e-7)
    np.testing.assert_allclose(uncertainty(of, answer).standard_errors(), errors, rtol=6e-7)
    assert answer.gradient < 1e-12


@pytest.mark.parametrize("estimator", ["mad", "proposal2"])
def test_far_off_does_not_matter_how_far(estimator: str) -> None:
    """Residuals beyond delta scales count by their sign alone."""
    table, answers = LOSS.copy(), []
    for value in (1e3, 1e6, 1e9):
        table[4, -1] = value
        answers.append(solved(problem(table, Huber(scale_estimator=estimator))).theta.numpy())
    np.testing.assert_allclose(answers[0], answers[1], rtol=1e-6)
    np.testing.assert_allclose(answers[0], answers[2], rtol=1e-4)  # a billion costs ten digits of the others


def test_weights_are_repeated_rows() -> None:
    """But for proposal2, which counts the coefficients against the rows."""
    copies = np.array([1, 3, 2] * 7)
    for estimator in ("mad", "likelihood"):
        noise = Huber(scale_estimator=estimator)
        weighted = solved(problem(LOSS, noise, copies.astype(float)))
        repeated = solved(problem(LOSS.repeat(copies, axis=0), noise))
        np.testing.assert_allclose(weighted.theta, repeated.theta, rtol=1e-9)
        assert weighted.scale == pytest.approx(repeated.scale, rel=1e-9)


def test_no_criteria_without_a_maximised_likelihood() -> None:
    for noise, there in ((Huber(), False), (Huber(scale_estimator="likelihood"), True), (Huber(scale=2.0), True)):
        of = problem(LOSS, noise)
        found = criteria(of, solved(of), 1.0)
        assert ("aic" in found, "log_likelihood" in found) == (there, there)
        assert found["deviance_explained"] > 0.7


def test_rows_fitted_exactly_have_no_median_residual() -> None:
    x = np.arange(9.0)
    table = np.column_stack((x, 2 * x))
    table[3, -1] = 100.0
    with pytest.raises(UserError, match="more than half of the rows are fitted exactly"):
        solved(problem(table, Huber()))


def test_an_estimator_that_there_is_not() -> None:
    with pytest.raises(UserError, match=r"noise\.scale_estimator=median is unknown; it must be one of mad, proposal2"):
        Huber(scale_estimator="median")


def test_weighted_median_is_that_of_the_repeated() -> None:
    generator = np.random.default_rng(0)
    for n in (1, 2, 5, 8):
        values, copies = generator.normal(size=(3, n)), generator.integers(1, 4, size=n)
        found = weighted_median(torch.from_numpy(values), torch.from_numpy(copies.astype(float)))
        np.testing.assert_allclose(found, np.median(values.repeat(copies, axis=1), axis=1), rtol=1e-15)
        np.testing.assert_allclose(weighted_median(torch.from_numpy(values)), np.median(values, axis=1), rtol=1e-15)
