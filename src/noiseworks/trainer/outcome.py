"""What a fit of K members leaves, on the CPU and in the units of the data."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class Outcome:
    """theta (K, P) is in the units of the fit; everything else in those of the data."""

    theta: Tensor
    coefficients: Tensor  # (K, number of terms)
    exact: Tensor | None  # likewise; None where it was not computed
    scale: Tensor | None  # (K,)
    metrics: dict[str, Tensor]  # name -> (K,); nan for a member that failed
    failures: dict[int, str]  # member -> why
    curves: dict[str, list[tuple[int, Tensor]]] = field(default_factory=dict)  # name -> (step, (K,)), nan: no value
    path: Tensor | None = None  # (steps, K, number of terms), if it was asked for
    kind: str = "trained"  # or "optimum", "stationary point"
