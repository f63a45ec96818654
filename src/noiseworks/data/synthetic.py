"""Synthetic data: y ~ noise(X w + b) with known w and b; with a column of ones (D2L 3.1, ex. 2); with a quadratic form
(ex. 3)."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from noiseworks.data.base import Column, Data, Examples, Shape
from noiseworks.errors import UserError
from noiseworks.streams import generator

if TYPE_CHECKING:
    from noiseworks.noise import Noise


@dataclass(frozen=True, kw_only=True)
class Synthetic(Data):
    """Normal features of mean 0, variance 1 and pairwise correlation `correlation`; y drawn from `noise`.

    With `rank` r < num_features, columns r, r + 1, ... are sums of two of the first r, scaled to variance 1 where these
    are independent. `true_weights` null: w_j = (-1)^j c / (1 + j), c such that |w| = `signal`.
    """

    random: ClassVar[bool] = True
    num_examples: int
    num_features: int
    correlation: float
    rank: int | None
    true_weights: Sequence[float] | None
    true_intercept: float
    signal: float
    noise: Noise

    def __post_init__(self) -> None:
        super().__post_init__()
        for key in ("num_examples", "num_features"):
            if getattr(self, key) < 1:
                raise UserError(f"data.{key}={getattr(self, key)} is too few; it must be at least 1.")
        if not 0 <= self.correlation < 1:
            raise UserError(f"data.correlation={self.correlation} is out of range; it must be at least 0 and below 1.")
        if self.rank is not None and not 1 <= self.rank <= self.num_features:
            raise UserError(f"data.rank={self.rank} is no rank of {self.num_features} features (data.num_features).")
        if self.true_weights is not None and len(self.true_weights) != self.num_features:
            raise UserError(
                f"data.true_weights has {len(self.true_weights)} values, but data.num_features={self.num_features}."
            )

    @property
    def w_true(self) -> Tensor:
        if self.true_weights is not None:
            return torch.tensor(list(self.true_weights), dtype=torch.float64)
        j = torch.arange(self.num_features, dtype=torch.float64)
        w = torch.cos(math.pi * j) / (1 + j)
        return self.signal * w / w.norm()

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f"x{j}" for j in range(self.num_features))

    def shape(self) -> Shape:
        return Shape(self.num_examples, len(self.names), has_offset=False, has_weights=False)

    def examples(self, replicate: int) -> Examples:
        x_generator = generator(self.seed, "data", replicate)
        X, y = self.draw(self.num_examples, x_generator, generator(self.seed, "noise", replicate))
        digest = hashlib.sha256(X.numpy().tobytes() + y.numpy().tobytes()).hexdigest()[:16]
        columns = tuple(Column(name) for name in self.names)
        return Examples(X, y, self.names, "y", columns, source=f"synthetic, data.seed={self.seed}", digest=digest)

    def draw(self, n: int, x_generator: torch.Generator, noise_generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """X (n, d) and y (n,): fresh examples."""
        X = torch.randn(n, self.num_features, generator=x_generator, dtype=torch.float64)
        if self.correlation:
            common = torch.randn(n, 1, generator=x_generator, dtype=torch.float64)
            X = math.sqrt(1 - self.correlation) * X + math.sqrt(self.correlation) * common
        if self.rank is not None:
            for j in range(self.rank, self.num_features):
                X[:, j] = (X[:, j % self.rank] + X[:, (j + 1) % self.rank]) / math.sqrt(2)
        return X, self.noise.sample(self.truth(X), noise_generator)

    def truth(self, X: Tensor) -> Tensor:
        """The predictor (n,) at which y is drawn."""
        return X @ self.w_true + self.true_intercept


class Ones(Synthetic):
    """(x, 1) in place of x, with the same x and y as data=synthetic: the last feature is called `one`.

    Its weight is the intercept of a model without one of its own (model.intercept=false).
    """

    @property
    def names(self) -> tuple[str, ...]:
        return (*super().names, "one")

    def draw(self, n: int, x_generator: torch.Generator, noise_generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """(x, 1) (n, d + 1) and y (n,)."""
        X, y = super().draw(n, x_generator, noise_generator)
        return torch.cat([X, torch.ones_like(X[:, :1])], dim=1), y


@dataclass(frozen=True, kw_only=True)
class QuadraticForm(Synthetic):
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
