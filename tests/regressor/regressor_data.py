"""Small data for the tests of the estimator: R's, and rows drawn from each noise model."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from noiseworks.noise import Noise, Poisson
from noiseworks.regressor.inputs import noise_classes

BREAKS = np.array([
    26, 30, 54, 25, 70, 52, 51, 26, 67, 18, 21, 29, 17, 12, 18, 35, 30, 36, 36, 21, 24, 18, 10, 43, 28, 15, 26,
    27, 14, 29, 19, 29, 31, 41, 20, 44, 42, 26, 19, 16, 39, 28, 21, 39, 29, 20, 21, 24, 17, 13, 15, 15, 16, 28,
], dtype=float)  # fmt: skip
WARP = np.column_stack(  # wool B, tension M, tension H
    (np.arange(54) // 27, np.arange(54) // 9 % 3 == 1, np.arange(54) // 9 % 3 == 2)
).astype(float)

NOISES: dict[str, Noise] = {name: kind() for name, kind in noise_classes().items()}
NOISES |= {f"poisson {link}": Poisson(link=link) for link in ("identity", "softplus")}
NOISES["asymmetric_laplace"] = noise_classes()["asymmetric_laplace"](tau=0.8)


TRUE = np.array([0.5, -0.3, 0.0])


def constant(noise: Noise) -> float:
    """It keeps the rates of the identity link above zero."""
    return 9.0 if getattr(noise, "link", None) == "identity" else 1.0


def drawn(noise: Noise, n: int = 60, seed: int = 0, scale: float = 0.5) -> tuple[Any, Any]:
    """X (n, 3) and y of this noise."""
    g = torch.Generator().manual_seed(seed)
    X = torch.randn(n, 3, generator=g, dtype=torch.float64)
    eta = constant(noise) + X @ torch.from_numpy(TRUE)
    return X.numpy(), noise.with_scale(scale).sample(eta, g).numpy()
