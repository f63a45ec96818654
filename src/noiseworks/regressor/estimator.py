"""The scikit-learn estimator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data
from torch import Tensor

from noiseworks.errors import UserError
from noiseworks.inference import HypothesisTest, wald_test
from noiseworks.inference.uncertainty import LEVEL
from noiseworks.noise import Noise
from noiseworks.regressor.exact_fit import Errors, Fitted, fit_exactly
from noiseworks.regressor.inputs import EstimatorRows, as_value_error, make_noise, needs_positive, vector, with_ones
from noiseworks.regressor.prediction import deviance_explained, prediction_interval
from noiseworks.regressor.summary import summary
from noiseworks.solvers.linear_problem import Array
from noiseworks.streams import generator


class LinearRegressor(RegressorMixin, BaseEstimator):  # type: ignore[misc]
    """Linear regression by maximum likelihood: y ~ noise(eta), eta = X @ coef_ + intercept_ + offset.

    noise: gaussian, laplace, poisson, lognormal, student_t, negative_binomial, huber, asymmetric_laplace (quantile
        regression), contaminated, interval_lognormal, or a `noiseworks.noise.Noise`. noise_params: its parameters, such
        as {"df": 3} or {"tau": 0.9}.
    solver: "exact", or "sgd", which trains with the options below on standardized columns.
    standard_errors: see `noiseworks.inference.uncertainty`; bootstrap, with so many replicates as `bootstrap` says; or
        None: they are not computed (sgd: never).
    ridge: adds ridge / 2 times the sum of the squared coef_ to the mean nll (Gaussian: to half the mean squared error),
        in units of the data; alpha of PoissonRegressor, alpha / n of Ridge. Such answers have no standard errors.
    optimizer: minibatch_sgd, sgd, adam, adagrad, lbfgs (conf/optimizer), or a class of torch.optim; its learning rate
        falls as a cosine.

    weight_kind: what sample_weight of `fit` is. precision: a row of weight w has the variance scale^2 / w (R's
        weights), or is the mean of w counts; frequency: w rows that are alike were counted, and all that is said is
        what the table written out would give.

    Counts may be any y >= 0 (quasi-likelihood). Rows of weight zero are left out. Of several coefficients that fit as
    well those of least norm are taken, the intercept counted, or for sgd found.

    After `fit`: coef_ (d,), intercept_, scale_ (of maximum likelihood; the dispersion for negative_binomial; None for
    poisson), standard_errors_ by name (`intercept`; the columns, or x0, x1 ...) or None, criteria_ (log_likelihood,
    aic, bic, deviance_explained ...; exact only), n_features_in_, feature_names_in_, n_iter_ (epochs; sgd only). The
    rows of an exact fit are kept for `likelihood_ratio_test`, but not by copies and pickles.
    """

    def __init__(
        self,
        noise: str | Noise = "gaussian",
        *,
        noise_params: Mapping[str, Any] | None = None,
        solver: str = "exact",
        fit_intercept: bool = True,
        standard_errors: str | None = "auto",
        bootstrap: int = 1000,
        ridge: float = 0.0,
        weight_kind: str = "precision",
        lr: float = 0.03,
        max_epochs: int = 50,
        batch_size: int = 32,
        optimizer: str | Callable[..., Any] = "minibatch_sgd",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.noise = noise
        self.noise_params = noise_params
        self.solver = solver
        self.fit_intercept = fit_intercept
        self.standard_errors = standard_errors
        self.bootstrap = bootstrap
        self.ridge = ridge
        self.weight_kind = weight_kind
        self.lr = lr
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.optimizer = optimizer
        self.random_state = random_state

    def fit(self, X: Any, y: Any, sample_weight: ArrayLike | None = None, offset: ArrayLike | None = None) -> Self:
        """X (n, d), y (n,), sample_weight (n,) of at least 0, offset (n,) in units of eta (for exposures their log)."""
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True)
        with as_value_error():
            rows = EstimatorRows.of(X, y, offset, sample_weight)
            if self.weight_kind not in ("precision", "frequency"):
                raise UserError(f"weight_kind={self.weight_kind!r} is unknown; it must be precision or frequency.")
            rows = rows.written_out() if self.weight_kind == "frequency" else rows
            noise = make_noise(self.noise, self.noise_params)
            self._check_names()
            fitted = self._fitted = self._solve(rows, noise)
        self.coef_, self.intercept_ = fitted.theta, 0.0
        if self.fit_intercept:
            self.coef_, self.intercept_ = fitted.theta[:-1], float(fitted.theta[-1])
        self.scale_, self.criteria_ = fitted.scale, fitted.criteria
        errors = None if fitted.uncertainty is None else fitted.uncertainty.standard_errors().tolist()
        self.standard_errors_ = None if errors is None else dict(zip(self._terms(), errors))
        self.__dict__.pop("n_iter_", None)
        if fitted.epochs is not None:
            self.n_iter_ = fitted.epochs
        return self

    def _solve(self, rows: EstimatorRows, noise: Noise) -> Fitted:
        seed = int(check_random_state(self.random_state).randint(np.iinfo(np.int32).max))
        if self.solver == "exact":
            errors = Errors(self.standard_errors, self.bootstrap, generator(seed, "bootstrap"))
            return fit_exactly(rows, noise, self.fit_intercept, errors, self.ridge)
        if self.solver != "sgd":
            raise UserError(f"solver={self.solver!r} is unknown; it must be exact or sgd.")
        if self.ridge:
            raise UserError(f"ridge={self.ridge} needs solver='exact'; solver='sgd' has none.")
        from noiseworks.regressor.trained import Training, fit_by_sgd  # Lightning takes seconds to import

        training = Training(self.lr, self.max_epochs, self.batch_size, self.optimizer, seed)
        return fit_by_sgd(rows, noise, self.fit_intercept, training)

    def predict(self, X: Any, offset: ArrayLike | None = None) -> Array:
        """E[y | x] (n,); for asymmetric_laplace the quantile. Without an offset: that of an offset of zero."""
        D = self._design(X)
        return np.asarray(self._fitted.noise.predict(torch.from_numpy(self._eta(D, offset))).numpy())

    def predict_interval(self, X: Any, level: float = LEVEL, offset: ArrayLike | None = None) -> Array:
        """(n, 2): where one new observation (of the mean weight) lies with this probability.

        Gaussian: exact, as R's predict(interval = "prediction"); see `prediction_interval` for the others. nan where X
        asks for coefficients that the rows could not tell. Without standard errors only the noise is counted.
        """
        D = self._design(X)
        fitted, by = self._fitted, self._fitted.uncertainty
        with as_value_error():
            _check_level(level)
            errors = np.zeros(len(D)) if by is None else by.standard_errors(D)
            left = fitted.n - (fitted.rank or 0)
            inflate = np.sqrt(fitted.n / left) if left > 0 else np.nan
            degrees = np.inf if fitted.rank is None else float(left)
            return prediction_interval(fitted.noise, self._eta(D, offset), errors, degrees, inflate, level)

    def score(self, X: Any, y: Any, sample_weight: ArrayLike | None = None, offset: ArrayLike | None = None) -> float:
        """The deviance explained: R-squared for Gaussian noise (see `deviance_explained`). It compares models of one
        noise; `mean_log_likelihood` also those of several."""
        with as_value_error():
            eta, rows = self._held_out(X, y, sample_weight, offset)
            return deviance_explained(self._fitted.noise, eta, rows)

    def mean_log_likelihood(
        self, X: Any, y: Any, sample_weight: ArrayLike | None = None, offset: ArrayLike | None = None
    ) -> float:
        """The mean over rows of log p(y | x), in the units of the data. GridSearchCV chooses among noise models by
        scoring=LinearRegressor.mean_log_likelihood: densities among themselves, or counts."""
        with as_value_error():
            eta, rows = self._held_out(X, y, sample_weight, offset)
            y = torch.from_numpy(rows.y)
            self._fitted.noise.check_support(y)
            return -float(np.average(self._fitted.noise.nll(eta, y).numpy(), weights=rows.weights))

    def conf_int(self, level: float = LEVEL) -> dict[str, tuple[float, float]]:
        """The interval of each coefficient, by name; nan for one that the rows could not tell."""
        with as_value_error():
            _check_level(level)
            ends = self._uncertainty().intervals(self._fitted.theta, None, level).tolist()
        return {name: (low, high) for name, (low, high) in zip(self._terms(), ends)}

    def wald_test(self, L: ArrayLike | list[str], value: ArrayLike = 0.0) -> HypothesisTest:
        """H0: L theta = value; a row of L has a number for each column of X, then one for the intercept. A list of
        names: these coefficients have the values."""
        with as_value_error():
            by, terms = self._uncertainty(), self._terms()
            if isinstance(L, list) and L and all(isinstance(name, str) for name in L):
                unknown = [name for name in L if name not in terms]
                if unknown:
                    raise UserError(f"There is no coefficient {unknown[0]}; there are {', '.join(terms)}.")
                L = np.eye(len(terms))[[terms.index(name) for name in L]]
            return wald_test(by, self._fitted.theta, L, value)

    def summary(self, level: float = LEVEL) -> str:
        check_is_fitted(self)
        return summary(self._fitted, self._terms(), level)

    def _terms(self) -> list[str]:
        """The names of theta; the intercept last."""
        names = getattr(self, "feature_names_in_", None)
        terms = [f"x{j}" for j in range(self.n_features_in_)] if names is None else [str(name) for name in names]
        return [*terms, "intercept"] if self.fit_intercept else terms

    def _check_names(self) -> None:
        if self.fit_intercept and "intercept" in self._terms()[:-1]:
            raise UserError("A column of X has the name of the constant, intercept; rename it.")

    def _uncertainty(self) -> Any:
        check_is_fitted(self)
        if self._fitted.uncertainty is None:
            raise UserError(
                f"There are no standard errors with solver={self.solver!r}, standard_errors={self.standard_errors!r}, "
                f"ridge={self.ridge}; solver='exact', standard_errors='auto', ridge=0 has them."
            )
        return self._fitted.uncertainty

    def _design(self, X: Any) -> Array:
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        return with_ones(X) if self.fit_intercept else X

    def _held_out(
        self, X: Any, y: Any, sample_weight: ArrayLike | None, offset: ArrayLike | None
    ) -> tuple[Tensor, EstimatorRows]:
        """eta (n,) of the rows, and the rows."""
        check_is_fitted(self)
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, reset=False)
        rows = EstimatorRows.of(X, y, offset, sample_weight)
        return torch.from_numpy(self._eta(with_ones(X) if self.fit_intercept else X, rows.offset)), rows

    def _eta(self, D: Array, offset: ArrayLike | None) -> Array:
        with as_value_error():
            shift = vector(offset, len(D), "offset")
        eta = D @ self._fitted.theta
        return np.asarray(eta if shift is None else eta + shift)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        try:
            tags.target_tags.positive_only = needs_positive(make_noise(self.noise, self.noise_params))
        except UserError:  # `fit` will say it
            tags.target_tags.positive_only = False
        draws = self.solver == "sgd" or self.standard_errors == "bootstrap"
        tags.non_deterministic = draws and self.random_state is None
        return tags


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise UserError(f"level={level} is no probability of an interval; it must be above 0 and below 1.")
