from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from noiseworks.exact.design import Design


@dataclass(frozen=True)
class Answer:
    """An exact answer and its certificate.

    theta (P,) float64; among several with the same fitted values the one of least Euclidean norm.
    scale: the maximum-likelihood scale (NegativeBinomial: dispersion), or the one that was given; None: there is none.
    gradient: the largest entry of the gradient of the mean nll at this theta (and log scale, where it is estimated
        jointly), free of units: each column counted in its root mean square, and for a location-scale noise times the
        scale; 0 for a perfect fit, whose scale is only a floor. For Laplace: the relative duality gap.
    rank: the numerical rank of the design.
    kind: "optimum", or "stationary point" where the likelihood is not log-concave in eta (StudentT); or the name of the
        naive method whose word for it this is.
    unique: no other fitted values are as likely. A quantile alone can say no, and then `optimal_range` how far it goes.
    design: the factored design, for what is computed from the answer; None where it was not kept.
    """

    theta: Tensor
    scale: float | None
    gradient: float
    rank: int
    kind: str
    design: Design | None = field(default=None, repr=False, compare=False)
    unique: bool = True
