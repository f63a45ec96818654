"""How far an exact answer may be from the truth: the covariance of the coefficients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from noiseworks.errors import UserError
from noiseworks.inference.covariance import METHODS, covariance_root
from noiseworks.inference.scores import RowScores
from noiseworks.inference.whitened import ESTIMABLE, Whitened
from noiseworks.noise import Noise
from noiseworks.solvers.design import reduce
from noiseworks.solvers.linear_problem import Array, LinearProblem, LinearProblems
from noiseworks.solvers.solution import Solution, Solutions
from noiseworks.solvers.stationarity import is_perfect

LEVEL = 0.95  # of an interval, unless another is asked for


@dataclass(frozen=True)
class Uncertainty:
    """The covariance of theta (P,), F F', for those of its combinations that the rows can tell.

    factor: F (P, r). span: an orthonormal basis (P, r) of the rows of D / scale; None at full rank.
    method: how it was found (see `uncertainty`). degrees: n - rank for location-scale noise, else infinite; intervals
    are those of Student's t with as many degrees of freedom, as R's confint.
    """

    factor: Array
    span: Array | None
    scale: Array
    method: str
    degrees: float

    @classmethod
    def of(cls, white: Whitened, root: Array, noise: Noise, n: int, method: str) -> Uncertainty:
        """root (r, .): that of the covariance in the columns of `white`; n: the number of rows."""
        degrees = float(n - white.design.rank) if noise.location_scale else np.inf
        return cls(white.theta(root), white.row_space(), white.design.scale, method, degrees)

    def covariance(self, L: Array | None = None) -> Array:
        """L Cov(theta) L' (m, m) for combinations L (m, P), all coefficients by themselves if there is none given; nan
        in the rows and columns of those that are not estimable."""
        L = np.eye(len(self.factor)) if L is None else L
        F, lost = L @ self.factor, np.logical_not(self._estimable(L))
        C = F @ F.T
        C[lost], C[:, lost] = np.nan, np.nan
        return np.asarray(C)

    def standard_errors(self, L: Array | None = None) -> Array:
        """The square roots of the diagonal (m,), without the digits that forming the covariance costs."""
        L = np.eye(len(self.factor)) if L is None else L
        return np.where(self._estimable(L), np.linalg.norm(L @ self.factor, axis=1), np.nan)

    def quantile(self, level: float = LEVEL) -> float:
        """An interval reaches this many standard errors to both sides."""
        return float(stats.t.ppf((1 + level) / 2, self.degrees)) if self.degrees > 0 else np.nan

    def intervals(self, theta: Array, L: Array | None = None, level: float = LEVEL) -> Array:
        """L theta +- quantile(level) standard errors (m, 2), as R's confint of lm and lmtest's coefci; nan for what is
        not estimable."""
        middle = theta if L is None else L @ theta
        reach = self.quantile(level) * self.standard_errors(L)
        return np.column_stack((middle - reach, middle + reach))

    def _estimable(self, L: Array) -> NDArray[np.bool_]:
        """Whether l theta is the same for all theta of the same fit: l is in the row space of D."""
        if self.span is None:
            return np.ones(len(L), dtype=bool)
        scaled = L / self.scale
        outside = scaled - (scaled @ self.span) @ self.span.T if self.span.size else scaled
        return np.asarray(np.linalg.norm(outside, axis=1) <= ESTIMABLE * np.linalg.norm(scaled, axis=1))


def uncertainty(problem: LinearProblem, answer: Solution, method: str = "auto") -> Uncertainty:
    """The covariance of answer.theta.

    iid: errors of one unknown distribution in all rows (M-estimation; for Gaussian noise RSS / (n - p) (X'WX)^-1).
    information: the noise model is right (inverse Fisher information at the answer).
    HC0 ... HC3: nothing but independent rows (sandwich, with a scale that the likelihood finds together with theta).
    auto: as R's lm, rlm, glm and glm.nb iid for location-scale noise, and information for counts; HC0 for Laplace and
    other quantiles (its intervals cover as well where errors have one distribution, far better where they have not).
    """
    if method not in METHODS:
        raise UserError(f"Standard errors are found by {', '.join(METHODS)}; {method} is none of them.")
    method = automatic(problem.noise) if method == "auto" else method
    if method == "iid" and not problem.noise.location_scale:
        raise UserError(
            f"Standard errors by iid need errors that are added to the predictor; {problem.noise.name} noise has none. "
            "information, or HC0 to HC3, would do."
        )
    white = Whitened.of(answer.design or reduce(problem.D, problem.weights))
    r, n = answer.rank, len(problem.y)
    if r < n and is_perfect(problem, answer.theta.numpy(), answer.scale):
        return Uncertainty.of(white, np.zeros((r, r)), problem.noise, n, method)
    root = covariance_root(RowScores.of(problem, answer), white.A[None], method)[0]
    return Uncertainty.of(white, root, problem.noise, n, method)


def batched_standard_errors(problems: LinearProblems, answers: Solutions, method: str) -> Array:
    """(K, P), by one of `METHODS` but auto, for problems of full rank, rows without weights, and columns that are far
    from dependent; nan where a matrix is singular."""
    if not (problems.weights == 1).all():
        raise UserError("Standard errors of many fits at once are not known for weighted rows.")
    errors = []
    for block in problems.blocks():
        rows = RowScores.batched(problems.take(block), answers.take(block))
        A = np.broadcast_to(problems.D if problems.shared else problems.D[block], (len(block), *problems.D.shape[-2:]))
        errors.append(np.linalg.norm(covariance_root(rows, A, method), axis=2))
    return np.concatenate(errors)


def automatic(noise: Noise) -> str:
    if noise.quantile_level is not None:
        return "HC0"
    return "iid" if noise.location_scale else "information"
