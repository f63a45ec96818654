from __future__ import annotations

import math
from dataclasses import dataclass

from scipy import stats


@dataclass(frozen=True)
class HypothesisTest:
    """statistic: F with (degrees, residual_degrees) degrees of freedom; chi-squared with `degrees`, if the other are
    infinite. p: the probability of a larger one if the hypothesis is true."""

    statistic: float
    degrees: int
    residual_degrees: float = math.inf

    @property
    def law(self) -> str:
        return "chi2" if math.isinf(self.residual_degrees) else "F"

    @property
    def p(self) -> float:
        if self.law == "chi2":
            return float(stats.chi2.sf(self.statistic, self.degrees))
        return float(stats.f.sf(self.statistic, self.degrees, self.residual_degrees))
