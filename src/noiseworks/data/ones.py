"""The synthetic examples with a column of ones among the features (D2L 3.1, ex. 2)."""

from __future__ import annotations

import torch
from torch import Tensor

from noiseworks.data.synthetic import Synthetic


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
