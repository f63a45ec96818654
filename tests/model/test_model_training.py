"""Coefficients in units of the data, and the designs behind them."""

import numpy as np
import pytest
import torch
from train_helpers import member, problem, settings, synthetic

from noiseworks.data.scaling import Scaling
from noiseworks.errors import UserError
from noiseworks.fit import train
from noiseworks.model import Constant, Linear, Quadratic, TwoLayer
from noiseworks.noise import Gaussian, Poisson
from noiseworks.problem import make_problem

MODELS = {
    "linear": lambda intercept: Linear(intercept=intercept, init_scale=1.0),
    "constant": lambda intercept: Constant(intercept=intercept, init_scale=1.0),
    "quadratic": lambda intercept: Quadratic(intercept=intercept, init_scale=1.0),
    "two_layer": lambda intercept: TwoLayer(intercept=intercept, init_scale=1.0, width=3, activation=None),
    "squares": lambda intercept: TwoLayer(intercept=intercept, init_scale=0.3, width=3, activation="square"),
}
N, K = 20, 3


def scaling_of(d, g, centered=True):
    """Without an intercept nothing is centred."""
    centers = torch.randn((K, d + 1), generator=g, dtype=torch.float64) * (5.0 if centered else 0.0)
    spreads = 0.2 + 3 * torch.rand((K, d + 1), generator=g, dtype=torch.float64)
    return Scaling(centers[:, :d], spreads[:, :d], centers[:, d], spreads[:, d])


def value_of(term, X):
    """The column that a term's name promises, by numpy: x1, x0*x2, x1^2, intercept."""
    if term == "intercept":
        return np.ones(len(X))
    if term.endswith("^2"):
        return X[:, int(term[1:-2])] ** 2
    return np.prod([X[:, int(name[1:])] for name in term.split("*")], axis=0)


@pytest.mark.parametrize("d", [1, 2, 3, 4])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("name", MODELS)
def test_coefficients_predict_from_raw_features(name, intercept, d):
    """sum of coefficient * term at raw x = y_center + y_spread * eta'(z): members stacked, and each alone."""
    g, model = torch.Generator().manual_seed(d), MODELS[name](intercept)
    scaling = scaling_of(d, g, centered=intercept)
    X = 3 * torch.randn((N, d), generator=g, dtype=torch.float64)
    theta = torch.randn((K, model.num_parameters(d)), generator=g, dtype=torch.float64)
    Z = (X - scaling.x_center.unsqueeze(1)) / scaling.x_spread.unsqueeze(1)
    eta = scaling.y_center.unsqueeze(1) + scaling.y_spread.unsqueeze(1) * model.eta(theta, model.design(Z))
    terms = model.terms([f"x{j}" for j in range(d)])
    columns = np.stack([value_of(term, X.numpy()) for term in terms], axis=1)
    stacked = model.coefficients(theta, scaling)
    assert stacked.shape == (K, len(terms))
    for k in range(K):
        alone = model.coefficients(theta[k], scaling[torch.tensor(k)])
        torch.testing.assert_close(alone, stacked[k], rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(columns @ alone.numpy(), eta[k].numpy(), rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("d", [1, 2, 3, 4])
def test_quadratic_columns_one_by_one(d, intercept):
    Z = torch.randn((N, d), generator=torch.Generator().manual_seed(d), dtype=torch.float64)
    model = Quadratic(intercept=intercept, init_scale=0.0)
    terms, design = model.terms([f"x{j}" for j in range(d)]), model.design(Z)
    assert len(terms) == model.num_parameters(d) == design.shape[1] == (d + 1) * (d + 2) // 2 - (not intercept)
    assert len(set(terms)) == len(terms)
    for column, term in enumerate(terms):
        np.testing.assert_allclose(design[:, column].numpy(), value_of(term, Z.numpy()), rtol=1e-15)


def test_names_of_quadratic_terms():
    terms = Quadratic(intercept=True, init_scale=0.0).terms(["area", "age"])
    assert terms == ["area", "age", "area^2", "area*age", "age^2", "intercept"]


def test_features_of_no_columns():
    Z = torch.zeros(5, 0, dtype=torch.float64)
    assert torch.equal(Linear(intercept=True, init_scale=0.0).design(Z), torch.ones(5, 1, dtype=torch.float64))
    assert torch.equal(Constant(intercept=True, init_scale=0.0).design(Z), torch.ones(5, 1, dtype=torch.float64))


@pytest.mark.parametrize("name", MODELS)
def test_without_standardization_theta_is_the_answer(name):
    """The literal path: for models whose parameters are the coefficients, nothing is converted."""
    model = MODELS[name](True)
    of = problem(Gaussian(), model, standardize=False)
    X, y = of.parts["train"].X, of.parts["train"].y
    torch.testing.assert_close(of.parts["train"].D, model.design(X), rtol=0, atol=0)
    assert torch.equal(of.in_fit_units(of.parts["train"])[0], y)
    outcome = train([member(of, lr=0.01)], settings())
    if name not in ("two_layer", "squares"):
        assert torch.equal(outcome.coefficients, outcome.theta)


def test_two_layers_without_activation_are_one():
    """coefficients: w = W'u and u'a + b."""
    model, theta = MODELS["two_layer"](True), torch.arange(1.0, 14.0, dtype=torch.float64)
    W, u, a, b = theta[:6].reshape(3, 2).numpy(), theta[6:9].numpy(), theta[9:12].numpy(), 13.0
    expected = [*(W.T @ u), u @ a + b]
    np.testing.assert_allclose(model.coefficients(theta, Scaling.none(2)).numpy(), expected, rtol=1e-15)


@pytest.mark.parametrize("activation", ["relu", "square", "tanh"])
def test_two_layers_with_activation_by_hand(activation):
    g = {"relu": lambda h: np.maximum(h, 0), "square": np.square, "tanh": np.tanh}[activation]
    model = TwoLayer(intercept=True, init_scale=1.0, width=2, activation=activation)
    t = np.array([1.0, -2.0, 0.5, 0.3, 2.0, -1.0, 0.1, 0.2, 0.7])
    Z = np.random.default_rng(1).normal(size=(6, 2))
    expected = g(Z @ t[:4].reshape(2, 2).T + t[6:8]) @ t[4:6] + t[8]
    theta = torch.from_numpy(t).unsqueeze(0)
    np.testing.assert_allclose(model.eta(theta, torch.from_numpy(Z).unsqueeze(0))[0].numpy(), expected, rtol=1e-13)
    if activation != "square":  # squares are a quadratic function, whose coefficients are known
        assert model.terms(["x0", "x1"]) == []
        assert model.coefficients(theta, Scaling.none(2)).shape == (1, 0)


def test_two_layers_from_zeros_never_move_their_weights():
    """0 is a saddle point: only the last bias learns (conf/model/two_layer.yaml warns of it)."""
    model = TwoLayer(intercept=True, init_scale=0.0, width=3, activation=None)
    outcome = train([member(problem(Gaussian(), model), lr=0.1)], settings())
    assert torch.equal(outcome.theta[0, :-1], torch.zeros(3 * 3 + 3 + 3, dtype=torch.float64))


@pytest.mark.parametrize(("model", "what"), [("linear", "init_scale"), ("two_layer", "width"), ("two_layer", "g")])
def test_impossible_models_are_refused(model, what):
    arguments = {"init_scale": {"init_scale": -1.0}, "width": {"width": 0}, "g": {"activation": "sine"}}[what]
    arguments = {"intercept": True, "init_scale": 1.0} | arguments
    kind = Linear if model == "linear" else TwoLayer
    if kind is TwoLayer:
        arguments = {"width": 2, "activation": None} | arguments
    with pytest.raises(UserError, match=r"model\.(init_scale=-1|width=0|activation=sine)"):
        kind(**arguments)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("standardize", [True, False])
def test_a_fit_reports_what_it_predicts(name, standardize):
    """The whole way: the mean of a trained Poisson member from its coefficients and raw features."""
    data = synthetic(Poisson(), num_features=2, standardize=standardize)
    of = make_problem(data, Poisson(), MODELS[name](True), 0.2, 0)
    outcome = train([member(of, lr=0.05)], settings())
    part = of.parts["val"]
    eta = sum(c * value_of(t, part.X.numpy()) for t, c in zip(of.terms, outcome.coefficients[0].numpy()))
    np.testing.assert_allclose(of.eta(outcome.theta[0], part).numpy(), eta, rtol=1e-9, atol=1e-12)
    assert outcome.metrics["val/rmse"].item() == pytest.approx(np.sqrt(np.mean((part.y.numpy() - np.exp(eta)) ** 2)))
