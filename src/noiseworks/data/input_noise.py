"""Gaussian noise on the features of the training rows (D2L 3.1, ex. 4.2): x_ij + sigma e_ij, e_ij standard normal.

Noise that is drawn once makes another data set. Noise that is fresh in every step makes another objective: on average
over the noise, |y - X w|^2 becomes |y - X w|^2 + n sigma^2 |w|^2. Metrics, the scale of the noise in y, standardization
and the exact answer are then those of the rows without it; the rows of validation and test have none either way.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from noiseworks.streams import generator

if TYPE_CHECKING:
    from noiseworks.data.base import Data, Examples

Shift = Callable[[Tensor, Tensor], Tensor]  # D of Z, and e: D of Z + e; see `Model.shifted`


def noisy_once(examples: Examples, train: Tensor, data: Data, replicate: int) -> Examples:
    """All rows, noise of standard deviation data.input_noise on the features of those in `train`."""
    X, draw = examples.X.clone(), generator(data.seed, "input", replicate)
    X[train] += data.input_noise * torch.randn(len(train), X.shape[1], generator=draw, dtype=X.dtype)
    digest = hashlib.sha256(X.numpy().tobytes() + examples.y.numpy().tobytes()).hexdigest()[:16]
    return replace(examples, X=X, digest=digest)


class FreshNoise:
    """For K members, each from a stream of its own: `scale` (M, d) is that of the features of M data sets, in units of
    the fit. An epoch is drawn at a time, so that nothing depends on how its steps are cut into blocks."""

    def __init__(self, shift: Shift, scale: Tensor, seeds: Sequence[tuple[int, int]]) -> None:
        self.shift, self.scale, self.seeds = shift, scale, list(seeds)

    def setup(self, device: torch.device) -> None:
        self.generators = [generator(seed, "input", replicate, device) for seed, replicate in self.seeds]
        self.scale = self.scale.to(device)

    def keep(self, members: Tensor) -> None:
        self.generators = [self.generators[k] for k in members.tolist()]

    def epoch(self, n: int, which: Tensor) -> Tensor:
        """The noise of an epoch (K, n, d)."""
        scale = self.scale
        size, dtype, device = (n, scale.shape[1]), scale.dtype, scale.device
        drawn = [torch.randn(size, generator=g, dtype=dtype, device=device) for g in self.generators]
        return torch.stack(drawn) * scale[which].unsqueeze(1)
