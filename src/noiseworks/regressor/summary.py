"""The text of `LinearRegressor.summary`."""

from __future__ import annotations

import math

import numpy as np
from scipy import stats

from noiseworks.inference import Bootstrap, Uncertainty
from noiseworks.inference.covariance import HOW, SUSPICIOUS
from noiseworks.noise import Gaussian
from noiseworks.regressor.exact_fit import Fitted
from noiseworks.solvers.linear_problem import Array
from noiseworks.text_table import layout

KINDS = {
    "optimum": "exact answer",
    "stationary point": "stationary point of a likelihood that may have others",
    "trained": "trained by stochastic gradient descent",
}
TINIEST = 2e-16  # R's: smaller probabilities are rounding errors


def summary(fitted: Fitted, terms: list[str], level: float) -> str:
    noise, title = fitted.noise, KINDS[fitted.kind]
    title += "" if fitted.epochs is None else f", {fitted.epochs} epochs"
    blocks = [f"{noise.name} noise, {title}; fitted on {fitted.n} rows", _table(fitted, terms, level)]
    notes = _notes(fitted)
    return "\n\n".join(blocks + (["\n".join(notes)] if notes else []))


def _table(fitted: Fitted, terms: list[str], level: float) -> str:
    """The coefficients as text, the intercept first; the noise's own parameter last."""
    order = sorted(range(len(terms)), key=lambda j: terms[j] != "intercept")
    rows = [[terms[j], f"{fitted.theta[j]:.6g}"] for j in order]
    header = ["coefficient", "estimate"]
    if fitted.uncertainty is not None:
        letter = "z" if math.isinf(fitted.uncertainty.degrees) else "t"
        header += ["standard error", letter, "p", f"{100 * level:g} % from", "to"]
        for row, numbers in zip(rows, _numbers(fitted.uncertainty, fitted.theta, level)[order]):
            row += [_number(value) for value in numbers]
            row[3], row[4] = _number(numbers[1], 4), _probability(numbers[2])
    if fitted.scale is not None:
        rows.append([f"{fitted.noise.scale_name} of the noise", f"{fitted.scale:.6g}"])
    return layout([header, *rows])


def _numbers(uncertainty: Uncertainty, theta: Array, level: float) -> Array:
    """Standard error, t or z, p, and interval of each coefficient (P, 5)."""
    errors = uncertainty.standard_errors()
    with np.errstate(divide="ignore", invalid="ignore"):  # a perfect fit: standard errors of zero
        ratio = theta / errors
    degrees = uncertainty.degrees
    p = 2 * stats.t.sf(np.abs(ratio), degrees) if degrees > 0 else np.full_like(ratio, np.nan)
    return np.column_stack((errors, ratio, p, uncertainty.intervals(theta, None, level)))


def _notes(fitted: Fitted) -> list[str]:
    notes, found, by = [*fitted.notes], fitted.criteria, fitted.uncertainty
    if by is not None:
        degrees = by.degrees
        freedom = "" if math.isinf(degrees) else f"; {degrees:g} degrees of freedom"
        notes.append(f"standard errors by {by.method}: {HOW[by.method]}{freedom}")
        if isinstance(by, Bootstrap):
            notes[-1] += f"; {len(by.theta)} replicates"
            notes[-1] += f", {by.failed} more had no answer" if by.failed else ""
    if not fitted.unique:
        notes.append("other coefficients are as likely: the optimum is not unique")
    if fitted.ridge:
        notes.append(
            f"no standard errors: ridge={fitted.ridge:g} draws the coefficients to zero, and the bias is not known"
        )
    if found:
        explained = "R-squared" if isinstance(fitted.noise, Gaussian) else "deviance explained"
        names = {explained: "deviance_explained", "log-likelihood": "log_likelihood", "AIC": "aic", "BIC": "bic"}
        notes.append(", ".join(f"{name} {found[key]:.6g}" for name, key in names.items() if key in found))
    if (times := found.get("overdispersion", 1.0)) > SUSPICIOUS and by is not None and by.method == "information":
        notes.append(
            f"the counts vary {times:.2g} times as much as {fitted.noise.name} noise says: these standard errors are "
            "too small; those of standard_errors='HC3' do not take its word for it"
        )
    return notes


def _number(value: float, digits: int = 6) -> str:
    return "none" if math.isnan(value) else f"{value:.{digits}g}"


def _probability(p: float) -> str:
    return "none" if math.isnan(p) else f"<{TINIEST:g}" if p < TINIEST else f"{p:.3g}"
