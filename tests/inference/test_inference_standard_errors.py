"""Standard errors of exact answers against NIST, R and statsmodels."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import statsmodels.api as sm
import torch
from solvers_nist import STANDARD_ERRORS, data
from test_solvers_likelihood_fit import BREAKS, counts, warpbreaks
from torch import Tensor

from noiseworks.inference import Uncertainty, uncertainty
from noiseworks.noise import Gaussian, Huber, Laplace, LogNormal, NegativeBinomial, Noise, Poisson
from noiseworks.solvers.linear_problem import LinearProblem
from noiseworks.solvers.solve import solved
from published_tables import STACKLOSS

T = torch.from_numpy
ROBUST = ["HC0", "HC1", "HC2", "HC3"]


def of(
    noise: Noise,
    D: Tensor,
    y: Tensor,
    method: str = "auto",
    weights: Tensor | None = None,
    offset: Tensor | None = None,
) -> Uncertainty:
    problem = LinearProblem.of(noise, D, y, offset, weights)
    return uncertainty(problem, solved(problem), method)


def stackloss(noise: Noise, method: str, weights: np.ndarray | None = None) -> np.ndarray:
    D = np.column_stack((np.ones(21), STACKLOSS[:, 1:]))
    return of(noise, T(D), T(STACKLOSS[:, 0].copy()), method, None if weights is None else T(weights)).standard_errors()


# Correct digits against NIST, a digit below what was measured: 13.9 13.9 17 15.4 12.3 8.1 14.4 14.4 14.4; those of
# Filip are lost when its powers are rounded to float64.
DIGITS = {
    "norris": 12, "pontius": 12, "noint1": 13, "noint2": 13, "longley": 11, "filip": 7, "wampler3": 13, "wampler4": 13,
    "wampler5": 13,
}  # fmt: skip


@pytest.mark.parametrize("name", DIGITS)
def test_nist_certified_standard_errors(name: str) -> None:
    D, y = data(name)
    found = of(Gaussian(), T(D), T(y.astype(float))).standard_errors()
    np.testing.assert_allclose(found, STANDARD_ERRORS[name], rtol=10.0 ** -DIGITS[name])


@pytest.mark.parametrize("name", ["wampler1", "wampler2"])
def test_a_perfect_fit_has_none(name: str) -> None:
    """NIST certifies zeros."""
    D, y = data(name)
    assert (of(Gaussian(), T(D), T(y)).standard_errors() == 0).all()


def test_filip_as_float64() -> None:
    """(X'X)^-1 of the rounded powers in exact arithmetic, times RSS / (n - p): 9 digits."""
    D, y = data("filip")
    P = D.shape[1]
    rows, eye = [[Fraction(float(v)) for v in row] for row in D], np.eye(P, dtype=int).tolist()
    M = [[sum(r[i] * r[j] for r in rows) for j in range(P)] + [Fraction(v) for v in eye[i]] for i in range(P)]
    for i in range(P):
        M[i] = [v / M[i][i] for v in M[i]]
        for k in range(P):
            if k != i:
                M[k] = [a - M[k][i] * b for a, b in zip(M[k], M[i])]
    problem = LinearProblem.of(Gaussian(), T(D), T(y), None, None)
    answer = solved(problem)
    variance = answer.scale**2 * len(y) / (len(y) - P)
    exact = np.sqrt([variance * float(M[i][P + i]) for i in range(P)])
    np.testing.assert_allclose(uncertainty(problem, answer).standard_errors(), exact, rtol=1e-9)


def test_stackloss_as_r_lm() -> None:
    """R 4, sandwich 3.0: s <- lm(stack.loss ~ ., stackloss, weights = w); sqrt(diag(vcov(s)))

    sqrt(diag(vcovHC(s, type = "HC0"))), ..., without weights and with w <- rep(c(1, 2, 3), 7); lm(log(stack.loss) ~ .).
    """
    plain = {
        "iid": [11.895996850644270, 0.134858185355372, 0.368024265272704, 0.156294043248621],
        "HC0": [6.4116494648401767, 0.1589442605294983, 0.4465276886346058, 0.0864294755695947],
        "HC1": [7.1261499631722121, 0.1766566688540929, 0.4962877788888060, 0.0960609914070811],
        "HC2": [7.557599636247292, 0.183927517380815, 0.511843327721578, 0.101643948466391],
        "HC3": [9.001105108948918, 0.213421198116520, 0.588753796732082, 0.120580229004299],
    }
    weighted = {
        "iid": [13.384645713429254, 0.143759054383785, 0.386869761253322, 0.172468269129210],
        "HC0": [5.9699200355694995, 0.1971227965424219, 0.5167081479355222, 0.0767820102372296],
        "HC3": [8.649216635443738, 0.299112204996213, 0.779891546014177, 0.110120172260060],
    }
    for method, right in plain.items():
        np.testing.assert_allclose(stackloss(Gaussian(), method), right, rtol=1e-10)
    for method, right in weighted.items():
        np.testing.assert_allclose(stackloss(Gaussian(), method, np.tile([1.0, 2, 3], 7)), right, rtol=1e-10)
    log = [0.64772138994675921, 0.00734285090697118, 0.02003843743651131, 0.00851000518951156]
    np.testing.assert_allclose(stackloss(LogNormal(), "iid"), log, rtol=1e-10)


def test_stackloss_as_r_rlm() -> None:
    """MASS 7.3-58.2: h <- rlm(stack.loss ~ ., stackloss, scale.est = "Huber", acc = 1e-14, maxit = 500)

    summary(h)$coefficients[, 2] at the scale h$s.
    """
    right = [10.638935686854728, 0.120607594206284, 0.329134795393478, 0.139778304856437]
    np.testing.assert_allclose(stackloss(Huber(scale=2.85513271973904), "iid"), right, rtol=1e-9)


def test_median_regression_as_r_rq() -> None:
    """quantreg 5.94: qw <- rq(stack.loss ~ ., data = stackloss, weights = rep(c(1, 2, 3), 7)); summary(qw, se = "iid")

    data(engel); qe <- rq(foodexp ~ income, data = engel); summary(qe, se = "iid")
    """
    iid = [9.6427718941157856, 0.0954644883929285, 0.2551629892385400, 0.1230551639276091]
    np.testing.assert_allclose(stackloss(Laplace(), "iid", np.tile([1.0, 2, 3], 7)), iid, rtol=1e-9)
    engel = sm.datasets.engel.load_pandas().data
    D, y = np.column_stack((np.ones(len(engel)), engel.income)), engel.foodexp.to_numpy(copy=True)
    iid = [13.2390797180804327, 0.0119193295292952]
    np.testing.assert_allclose(of(Laplace(), T(D), T(y), "iid").standard_errors(), iid, rtol=1e-8)


def test_warpbreaks_as_r_glm() -> None:
    """R 4, sandwich 3.0, with w <- rep(c(1, 2, 3), 18) and tight <- glm.control(epsilon = 1e-15, maxit = 200):

    m <- glm(breaks ~ wool + tension, poisson, warpbreaks, control = tight); sqrt(diag(vcov(m)))
    sqrt(diag(vcovHC(m, type = "HC0"))), ...; the same with weights = w; vcov of glm.nb(breaks ~ wool + tension,
    warpbreaks), whose vcovHC has the expected information for bread: test_inference_sandwich.py.
    """
    right = {
        "auto": [0.0454107943425578, 0.0515712427835752, 0.0602659166952204, 0.0639595193957469],
        "HC0": [0.116578166841226, 0.104321359158627, 0.128956022686160, 0.124924396332982],
        "HC1": [0.121151584813347, 0.108413936626430, 0.134015029940660, 0.129825240932157],
        "HC2": [0.121648792531371, 0.108568612735947, 0.134236647565155, 0.130053754189499],
        "HC3": [0.126940737940685, 0.112990767992218, 0.139735887172150, 0.135395905884231],
    }
    weighted = {
        "auto": [0.0310468145714144, 0.0358123976898624, 0.0419162766586052, 0.0442267155838794],
        "HC0": [0.113180177916932, 0.103435786487511, 0.123926548711815, 0.130722392720822],
        "HC3": [0.126193129649097, 0.114094985937562, 0.136534714815989, 0.144983373038639],
    }
    dispersed = {"auto": [0.0979030472904469, 0.1009613994288241, 0.1217284968022337, 0.1237398644650355]}
    w = T(np.tile([1.0, 2, 3], 18))
    for noise, table, weights in (
        (Poisson(), right, None),
        (Poisson(), weighted, w),
        (NegativeBinomial(), dispersed, None),
    ):
        for method, numbers in table.items():
            found = of(noise, warpbreaks(), T(BREAKS), method, weights).standard_errors()
            np.testing.assert_allclose(found, numbers, rtol=1e-7)


def test_identity_link_as_r_glm() -> None:
    """x <- 1:10; y <- c(2, 3, 6, 7, 8, 9, 10, 12, 15, 20)

    sqrt(diag(vcov(glm(y ~ x, poisson(link = "identity"), control = tight))))
    """
    D = T(np.column_stack((np.ones(10), np.arange(1.0, 11))))
    y = T(np.array([2.0, 3, 6, 7, 8, 9, 10, 12, 15, 20]))
    right = [1.263600372414019, 0.286295243054857]
    np.testing.assert_allclose(of(Poisson(link="identity"), D, y).standard_errors(), right, rtol=1e-7)


def test_as_statsmodels() -> None:
    """WLS with its sandwiches; Poisson with offset and frequency weights."""
    D, y, offset, w = counts(0)
    for method in ROBUST:
        right = sm.WLS(np.sqrt(y), D, weights=w).fit(cov_type=method).bse
        found = of(Gaussian(), T(D), T(np.sqrt(y)), method, T(w)).standard_errors()
        np.testing.assert_allclose(found, right, rtol=1e-9)
    model = sm.GLM(y, D, family=sm.families.Poisson(), offset=offset, freq_weights=w).fit(tol=1e-14, maxiter=100)
    found = of(Poisson(), T(D), T(y), weights=T(w), offset=T(offset)).standard_errors()
    np.testing.assert_allclose(found, model.bse, rtol=1e-9)
