"""What scripts/bench_exact.py compares: data, the fits of each library, and how wrong their answers are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

COLUMNS = 20
BLOCK = 100_000  # rows of the design that are in extended precision at a time
Fit = Callable[[np.ndarray, np.ndarray], np.ndarray]


def data(work: str, n: int) -> tuple[np.ndarray, np.ndarray]:
    """A constant and 19 normal columns; Laplace errors, normal errors, or counts with a log link."""
    rng = np.random.default_rng(0)
    D = np.column_stack((np.ones(n), rng.normal(size=(n, COLUMNS - 1))))
    if work == "lad":
        return D, D.sum(axis=1) + rng.laplace(size=n)
    if work == "gaussian":
        return D, D.sum(axis=1) + rng.normal(size=n)
    return D, rng.poisson(np.exp(D @ np.r_[0.5, 0.1 * (-1.0) ** np.arange(COLUMNS - 1)])).astype(float)


def noiseworks(kind: str) -> Fit:
    def fit(D: np.ndarray, y: np.ndarray) -> np.ndarray:
        import torch

        from noiseworks import noise
        from noiseworks.solvers.solve import solve

        return solve(getattr(noise, kind)(), torch.from_numpy(D), torch.from_numpy(y)).theta.numpy()

    return fit


def lad_statsmodels(D: np.ndarray, y: np.ndarray) -> np.ndarray:
    from statsmodels.regression.quantile_regression import QuantReg

    return QuantReg(y, D).fit(q=0.5).params


def lad_sklearn(D: np.ndarray, y: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import QuantileRegressor

    return QuantileRegressor(alpha=0, fit_intercept=False, solver="highs").fit(D, y).coef_


def gaussian_numpy(D: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.linalg.lstsq(D, y)[0]


def gaussian_sklearn(D: np.ndarray, y: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import LinearRegression

    return LinearRegression(fit_intercept=False).fit(D, y).coef_


def gaussian_statsmodels(D: np.ndarray, y: np.ndarray) -> np.ndarray:
    from statsmodels.api import OLS

    return OLS(y, D).fit().params


def gaussian_glum(D: np.ndarray, y: np.ndarray) -> np.ndarray:
    from glum import GeneralizedLinearRegressor

    return GeneralizedLinearRegressor(family="normal", alpha=0, fit_intercept=False).fit(D, y).coef_


def poisson_sklearn(D: np.ndarray, y: np.ndarray) -> np.ndarray:
    from sklearn.linear_model import PoissonRegressor

    return PoissonRegressor(alpha=0, fit_intercept=False, solver="newton-cholesky", tol=1e-8).fit(D, y).coef_


def poisson_statsmodels(D: np.ndarray, y: np.ndarray) -> np.ndarray:
    from statsmodels.api import GLM, families

    return GLM(y, D, family=families.Poisson()).fit().params


def poisson_glum(D: np.ndarray, y: np.ndarray) -> np.ndarray:
    from glum import GeneralizedLinearRegressor

    model = GeneralizedLinearRegressor(family="poisson", alpha=0, fit_intercept=False, gradient_tol=1e-8)
    return model.fit(D, y).coef_


PYTHON: dict[str, dict[str, Fit]] = {
    "lad": {"noiseworks": noiseworks("Laplace"), "statsmodels": lad_statsmodels, "sklearn": lad_sklearn},
    "gaussian": {
        "noiseworks": noiseworks("Gaussian"),
        "glum": gaussian_glum,
        "numpy lstsq": gaussian_numpy,
        "sklearn": gaussian_sklearn,
        "statsmodels": gaussian_statsmodels,
    },
    "poisson": {
        "noiseworks": noiseworks("Poisson"),
        "sklearn": poisson_sklearn,
        "glum": poisson_glum,
        "statsmodels": poisson_statsmodels,
    },
}
# The part of each R function that fits, without that which makes a matrix of a formula.
R: dict[str, dict[str, str]] = {
    "lad": {
        "R quantreg pfn": "quantreg::rq.fit.pfn(D, y, tau = 0.5)",
        "R quantreg fnb": "quantreg::rq.fit.fnb(D, y, tau = 0.5)",
    },
    "gaussian": {"R lm": "lm.fit(D, y)"},
    "poisson": {"R glm": "glm.fit(D, y, family = poisson())"},
}
MODULE = {"statsmodels": "statsmodels", "sklearn": "sklearn", "glum": "glum", "numpy lstsq": "numpy"}


def errors(work: str, n: int, answers: dict[str, np.ndarray]) -> dict[str, float]:
    """LAD: the relative distance of sum |y - D theta| to the lowest that any of them found. Gaussian and Poisson: the
    largest relative distance of a coefficient to the root of the likelihood's gradient in extended precision."""
    D, y = data(work, n)
    if work == "lad":
        loss = {who: float(np.abs(y - D @ theta).sum()) for who, theta in answers.items()}
        return {who: value / min(loss.values()) - 1 for who, value in loss.items()}
    right = refined(work, D, y, answers["noiseworks"])
    return {who: float(np.abs(theta / right - 1).max()) for who, theta in answers.items()}


def refined(work: str, D: np.ndarray, y: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """Newton steps with the gradient in extended precision, by blocks of rows."""
    best = theta.astype(np.longdouble)
    for _ in range(3):
        gradient = np.zeros(D.shape[1], dtype=np.longdouble)
        hessian = np.zeros((D.shape[1], D.shape[1]))
        for rows in blocks(len(y)):
            X = D[rows].astype(np.longdouble)
            eta = X @ best
            mu = eta if work == "gaussian" else np.exp(eta)
            gradient += (mu - y[rows]) @ X
            slope = np.ones(len(mu)) if work == "gaussian" else mu.astype(float)
            hessian += D[rows].T @ (slope[:, None] * D[rows])
        best = best - np.linalg.solve(hessian, gradient.astype(float))
    return best


def blocks(n: int) -> Iterator[slice]:
    return (slice(low, low + BLOCK) for low in range(0, n, BLOCK))
