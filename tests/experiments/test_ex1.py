"""Exercise 1: its theory against known numbers, and theories that are wrong and lie far enough from it."""

import math

import numpy as np
import pytest

from noiseworks_experiments.parts import ex1_measure, ex1_theory


@pytest.mark.parametrize(("noise", "n", "known"), [("normal", 5, 0.28683 * 5), ("laplace", 101, 0.5827)])
def test_variance_of_the_median(noise, n, known):
    """Of five normal numbers: tables of order statistics, 0.28683."""
    assert ex1_theory.median_variance(noise, n) == pytest.approx(known, abs=1e-4)


@pytest.mark.parametrize("noise", ex1_measure.NOISES)
def test_for_many_observations_the_median_is_at_its_limit(noise):
    assert ex1_theory.median_variance(noise, 100_001) == pytest.approx(ex1_theory.limit(noise), rel=1e-2)


def test_information():
    """Student's t with nu degrees of freedom: (nu + 1) / (nu + 3), its variance nu / (nu - 2)."""
    assert ex1_theory.bound_ratio("normal") == pytest.approx(1)
    assert ex1_theory.bound_ratio("laplace") == pytest.approx(2)
    assert ex1_theory.bound_ratio("student_t") == pytest.approx(6 / 8 * 5 / 3)


@pytest.mark.parametrize("noise", ex1_measure.NOISES)
def test_draws_have_the_variance_that_theory_takes(noise):
    x = ex1_measure.draw(noise, (200_000, 1), np.random.default_rng(0))
    assert abs(x.var() - ex1_theory.VARIANCES[noise]) < 6 * (x**2).std() / math.sqrt(200_000)


@pytest.mark.parametrize("noise", ex1_measure.NOISES)
def test_wrong_theories_lie_beyond_two_margins(noise):
    times = ex1_theory.bound_ratio(noise)
    assert all(abs(wrong - 1) > 2 * 0.04 for wrong in ex1_theory.wrong_variances(noise, 5).values())
    assert all(abs(wrong - times) > 2 * 0.04 * times for wrong in ex1_theory.wrong_bounds(noise).values())
    for n in (5, 101):
        known = ex1_theory.median_variance(noise, n)
        far = [abs(wrong - known) for wrong in ex1_theory.wrong_ratios(noise, n).values()]
        assert min(far) > 0.09 * known  # of which 0.05 are the margin
