"""y ~ noise(a quadratic form in x of known rank, plus X w + b) (D2L 3.1, ex. 3)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from noiseworks.data.examples import Examples
from noiseworks.data.synthetic import Synthetic
from noiseworks.errors import UserError


@dataclass(frozen=True, kw_only=True)
class Quadratic(Synthetic):
    """The synthetic examples with x'Q x added to the predictor.

    Q = sum_{k < r} s_k u_k u_k' has rank r = `form_rank`; its eigenvectors are those of the discrete cosine transform,
    u_0 = (1, ..., 1) / sqrt(d), u_kj = sqrt(2 / d) cos(pi k (j + 1/2) / d), its eigenvalues s_k = (-1)^k c / sqrt(r)
    with c = `curvature`, Q's Frobenius norm: for independent features the form has mean tr Q and variance 2 c^2.

    Replicates share `samples` samples, if that is given: replicate r has sample r mod `samples`, and an initial value
    of its own.
    """

    form_rank: int
    curvature: float
    samples: int | None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.form_rank <= self.num_features:
            raise UserError(
                f"data.form_rank={self.form_rank} is no rank of a quadratic form in {self.num_features} features "
                "(data.num_features)."
            )

        if self.samples is not None and self.samples < 1:
            raise UserError(f"data.samples={self.samples} is too few; it must be at least 1, or null.")

    @property
    def Q(self) -> Tensor:
        """(d, d), symmetric."""
        d, r = self.num_features, self.form_rank
        if r == 0:
            return torch.zeros(d, d, dtype=torch.float64)
        k = torch.arange(r, dtype=torch.float64)
        U = math.sqrt(2 / d) * torch.cos(math.pi * k * (torch.arange(d).unsqueeze(1) + 0.5) / d)  # (d, r)
        U[:, 0] = 1 / math.sqrt(d)
        return (U * (torch.cos(math.pi * k) * self.curvature / math.sqrt(r))) @ U.T

    def examples(self, replicate: int) -> Examples:
        return super().examples(replicate if self.samples is None else replicate % self.samples)

    def truth(self, X: Tensor) -> Tensor:
        return super().truth(X) + ((X @ self.Q) * X).sum(1)
