"""Which noise is solved how, when the rows are read a block at a time."""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import solve_triangular

from noiseworks.errors import UserError
from noiseworks.noise import Gaussian, Noise
from noiseworks.solvers.chunked_glm import chunked_glm
from noiseworks.solvers.chunked_quantile import chunked_quantile
from noiseworks.solvers.solution import Solution
from noiseworks.solvers.stationarity import PERFECT
from noiseworks.solvers.sufficient_statistics import Pass, Sketch


def check_chunkable_noise(noise: Noise) -> None:
    if not (isinstance(noise, Gaussian) or noise.counts or noise.quantile_level is not None):
        raise UserError(
            f"noise={noise.name} is not solved for a table larger than data.memory_mb; gaussian, lognormal, laplace, "
            "poisson and negative_binomial are. A larger data.memory_mb would do, if there is so much memory."
        )


def solve_chunked(noise: Noise, rows: Pass, sketch: Sketch) -> Solution:
    """As `exact.solve`, to the same digits; `gradient` is left to whoever makes the last pass, where it is no duality
    gap."""
    check_chunkable_noise(noise)
    if isinstance(noise, Gaussian):
        return least_squares(noise, sketch)
    return (
        chunked_quantile(noise, rows, sketch) if noise.quantile_level is not None else chunked_glm(noise, rows, sketch)
    )


def least_squares(noise: Gaussian, sketch: Sketch) -> Solution:
    """No pass at all: the triangle has all that the normal equations have, at the condition of the design itself."""
    design = sketch.design()
    theta = design.minimum_norm(solve_triangular(design.R, design.target) if design.rank else design.target)
    left = sketch.target - design.D @ theta
    scale = float(np.linalg.norm(left) / np.sqrt(sketch.n))
    size = float(np.linalg.norm(sketch.target) / np.sqrt(sketch.n))
    floor = PERFECT * size or float(np.finfo(float).eps)
    if noise.scale_value is not None:
        scale = float(noise.scale_value)
    return Solution(torch.from_numpy(theta), max(scale, floor), np.nan, design.rank, "optimum", design)
