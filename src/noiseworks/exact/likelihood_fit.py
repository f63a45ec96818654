from __future__ import annotations

import torch

from noiseworks.exact.answer import Answer
from noiseworks.exact.gradient import gradient, log_concave
from noiseworks.exact.least_squares import factored
from noiseworks.exact.location_scale import location_scale
from noiseworks.exact.problem import Problem
from noiseworks.exact.rates import rates

LARGE = 1 << 15  # numbers in a design from which its factor, which only brings the columns to one scale, costs


def likelihood_fit(problem: Problem) -> Answer:
    """Newton's method, jointly with the scale where the best theta depends on it and it is not given."""
    noise = problem.noise
    joint = not noise.separable and noise.scale_name is not None and noise.scale_value is None
    design = factored(problem, LARGE)
    fit = location_scale if noise.location_scale else rates
    theta, scale = fit(problem, design, joint)
    kind = "optimum" if log_concave(noise, problem.y) else "stationary point"
    slope = gradient(problem, design, theta, scale, joint)
    return Answer(torch.from_numpy(theta), scale, slope, design.rank, kind, design)
