"""Metrics and curves, recomputed by SciPy from the reported coefficients and scale, in units of the data."""

import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from train_helpers import NOISES, largest_difference, member, numbers, problem, settings, with_extras

from noiseworks.exact import solve_problem
from noiseworks.fit import solve_exactly, train
from noiseworks.model import Linear
from noiseworks.noise import Gaussian, Huber
from noiseworks.streams import generator
from noiseworks.train.monitor import Watch


def huber(eta, y, scale, delta=1.345):
    def rho(u):
        return np.where(np.abs(u) <= delta, u**2 / 2, delta * np.abs(u) - delta**2 / 2)

    Z = 2 * (quad(lambda u: np.exp(-rho(u)), 0, delta)[0] + quad(lambda u: np.exp(-rho(u)), delta, np.inf)[0])
    return rho((y - eta) / scale) + math.log(Z * scale)


NLL = {
    "gaussian": lambda eta, y, s: -stats.norm.logpdf(y, eta, s),
    "laplace": lambda eta, y, s: -stats.laplace.logpdf(y, eta, s),
    "lognormal": lambda eta, y, s: -stats.lognorm.logpdf(y, s, scale=np.exp(eta)),
    "student_t": lambda eta, y, s: -stats.t.logpdf(y, 4, eta, s),
    "huber": huber,
    "negative_binomial": lambda eta, y, a: -stats.nbinom.logpmf(y, 1 / a, 1 / (1 + a * np.exp(eta))),
    "poisson": lambda eta, y, _: -stats.poisson.logpmf(y, np.exp(eta)),
    "poisson identity": lambda eta, y, _: -stats.poisson.logpmf(y, eta),
    "poisson softplus": lambda eta, y, _: -stats.poisson.logpmf(y, np.logaddexp(0, eta)),
}


def rounded_mean(eta, s):
    """sum of P(price > k - 1/2), by Black and Scholes's formula from K = 20,000 on."""
    K = 20_000
    near = stats.norm.sf((np.log(np.arange(K) + 0.5) - eta[:, None]) / s).sum(1)
    return (
        near
        + np.exp(eta + s**2 / 2) * stats.norm.cdf((eta + s**2 - np.log(K)) / s)
        - K * stats.norm.cdf((eta - np.log(K)) / s)
    )


MEAN = {
    "interval_lognormal": rounded_mean,
    "lognormal": lambda eta, s: np.exp(eta + s**2 / 2),
    "negative_binomial": lambda eta, _: np.exp(eta),
    "poisson": lambda eta, _: np.exp(eta),
    "poisson softplus": lambda eta, _: np.logaddexp(0, eta),
}


def nll_of(name):
    """By SciPy; a noise that is not in the table by its own `nll`, which the tests of noise compare with its law."""

    def own(eta, y, s):
        return NOISES[name].with_scale(s).nll(torch.from_numpy(eta), torch.from_numpy(y)).numpy()

    return NLL.get(name, own)


def mean_of(name):
    return MEAN.get(name, lambda eta, _: eta)


def raw(of, part, coefficients):
    """eta, y and weights by numpy: raw features times coefficients, intercept last, plus offset."""
    part = of.parts[part]
    eta = part.X.numpy() @ coefficients[:-1] + coefficients[-1]
    eta = eta if part.offset is None else eta + part.offset.numpy()
    return eta, part.y.numpy(), np.ones(len(part)) if part.weights is None else part.weights.numpy()


def assert_metrics(name, outcome, k, of, parts, given=None):
    coefficients = outcome.coefficients[k].numpy()
    scale = None if outcome.scale is None else outcome.scale[k].item()
    eta, y, w = raw(of, "train", coefficients)
    if given is not None:
        assert scale == given
    elif scale is not None:  # no other scale makes the training rows likelier; flat at the optimum, hence 1e-6
        best = minimize_scalar(
            lambda t: np.average(nll_of(name)(eta, y, math.exp(t)), weights=w),
            bounds=(math.log(scale) - 1, math.log(scale) + 1),
            method="bounded",
            options={"xatol": 1e-10},
        )
        assert math.exp(best.x) == pytest.approx(scale, rel=1e-6)
    for part in parts:
        eta, y, w = raw(of, part, coefficients)
        residual = y - mean_of(name)(eta, scale)
        expected = {
            "nll": np.average(nll_of(name)(eta, y, scale), weights=w),
            "mae": np.average(np.abs(residual), weights=w),
            "rmse": math.sqrt(np.average(residual**2, weights=w)),
        }
        for metric, value in expected.items():
            assert outcome.metrics[f"{part}/{metric}"][k].item() == pytest.approx(value, rel=1e-9), (part, metric)


RAW = [name for name in NOISES if name != "poisson identity"]  # whose domain does not hold the origin


@pytest.mark.parametrize(("name", "standardize"), [*((n, True) for n in NOISES), *((n, False) for n in RAW)])
def test_metrics_by_scipy(name, standardize):
    """Three members, training, validation and test rows."""
    model = Linear(intercept=True, init_scale=0.1)
    problems = [problem(NOISES[name], model, seed=s, standardize=standardize, test_fraction=0.2) for s in range(2)]
    members = [member(problems[k % 2], lr=0.01 * (k + 1), seed=k) for k in range(3)]
    outcome = train(members, settings(max_epochs=4))
    for k, one in enumerate(members):
        assert_metrics(name, outcome, k, one.problem, ("train", "val", "test"))


@pytest.mark.parametrize("name", NOISES)
def test_metrics_with_weights_and_offsets(name):
    """The loss shift and the scale are weighted too."""
    of = with_extras(NOISES[name], 2, test_fraction=0.2)
    outcome = train([member(of, lr=0.05)], settings(max_epochs=3))
    assert_metrics(name, outcome, 0, of, ("train", "val", "test"))


@pytest.mark.parametrize("name", [n for n, noise in NOISES.items() if noise.scale_name])
def test_a_given_scale_is_reported_only_where_it_bends_the_fit(name):
    """Separable: the maximum-likelihood scale is reported whatever the loss used; else the one given."""
    noise = NOISES[name]
    of = problem(noise, test_fraction=0.2)
    members = [member(of, noise=noise.with_scale(s)) for s in (0.3, 1.2)]
    outcome = train(members, settings())
    for k, scale in enumerate((0.3, 1.2)):
        assert_metrics(name, outcome, k, of, ("train", "val", "test"), None if noise.separable else scale)


@pytest.mark.parametrize("extras", [True, False], ids=["weights and offset", "plain"])
@pytest.mark.parametrize("given", [True, False], ids=["scale given", "no scale"])
@pytest.mark.parametrize("name", NOISES)
def test_the_loss_curve_is_in_units_of_the_data(name, given, extras):
    """Point t is the nll of minibatch t before its step, at the working scale: the one given; else y_spread (1 in
    units of the fit), or the estimate at the start of the epoch. For LogNormal minibatches are only shifted by the
    mean of log y over all rows, so there all rows are one minibatch."""
    noise, batch_size = NOISES[name], 40 if name == "lognormal" else 9
    model = Linear(intercept=True, init_scale=0.1)
    of = with_extras(noise, 1, model, batch_size=batch_size) if extras else problem(noise, model, batch_size=batch_size)
    working = noise.with_scale(0.8) if given else noise
    outcome = train([member(of, lr=0.05, seed=6, noise=working)], settings(max_epochs=1), keep_path=True)
    start = of.model.coefficients(of.model.initial(3, generator(6, "init")), of.scaling)
    path = torch.cat([start.unsqueeze(0), outcome.path[:, 0]]).numpy()
    eta, y, w = raw(of, "train", path[0])
    if given and noise.scale_name:
        scale = 0.8
    elif noise.location_scale and noise.separable:
        scale = of.scaling.y_spread.item()
    else:
        scale = noise.fit_scale(torch.from_numpy(eta), torch.from_numpy(y), torch.from_numpy(w))
        scale = None if scale is None else scale.item()
    order = torch.randperm(40, generator=generator(6, "order")).split(batch_size)
    points = outcome.curves["train/loss"]
    assert [step for step, _ in points] == list(range(len(order)))
    for (step, value), rows in zip(points, order):
        eta, y, w = (v[rows.numpy()] for v in raw(of, "train", path[step]))
        expected = np.average(nll_of(name)(eta, y, scale), weights=w)
        assert value[0].item() == pytest.approx(expected, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("standardize", [True, False])
def test_distance_to_the_exact_answer(standardize):
    """Weighted least squares by numpy, in units of the data; relative to the norm of all coefficients."""
    of = with_extras(Gaussian(), 3, standardize=standardize)
    outcome = train([member(of, lr=0.05)], settings())
    part = of.parts["train"]
    root = part.weights.sqrt().numpy()[:, None]
    A = np.c_[part.X.numpy(), np.ones(len(part))]
    exact = np.linalg.lstsq(root * A, root[:, 0] * (part.y - part.offset).numpy(), rcond=None)[0]
    np.testing.assert_allclose(outcome.exact[0].numpy(), exact, rtol=1e-9)
    distance = np.linalg.norm(outcome.coefficients[0].numpy() - exact)
    assert outcome.metrics["param/error"].item() == pytest.approx(distance, rel=1e-9)
    assert outcome.metrics["param/relative_error"].item() == pytest.approx(distance / np.linalg.norm(exact), rel=1e-9)
    for step, values in list(outcome.curves["param/error"])[-1:]:
        assert (step, values[0].item()) == (14, pytest.approx(distance, rel=1e-9))


@pytest.mark.parametrize("name", NOISES)
def test_the_exact_answer_has_the_same_metrics_as_a_trained_one(name):
    """evaluate() at the exact answer, and no training nll below it."""
    noise = NOISES[name]
    of = problem(noise, test_fraction=0.1)
    exact = solve_exactly([member(of)], [solve_problem(of, of.noise)])
    assert_metrics(name, exact, 0, of, ("train", "val", "test"))
    trained = train([member(of, lr=0.05)], settings(max_epochs=30))
    assert exact.metrics["train/nll"].item() <= trained.metrics["train/nll"].item() + 1e-9
    torch.testing.assert_close(trained.exact, exact.coefficients, rtol=1e-6, atol=1e-8)


def test_world_size_steps_and_epochs():
    outcome = train([member(problem(Gaussian(), batch_size=9))], settings(max_epochs=3))
    said = {name: value.item() for name, value in outcome.metrics.items() if name.startswith("trainer/")}
    assert said == {"trainer/world_size": 1, "trainer/steps": 15, "trainer/epochs": 3}


def test_live_points_are_the_curves():
    shown = []
    outcome = train([member(problem(Gaussian()), seed=s) for s in (0, 1)], settings(), watch=Watch(live=shown.append))
    assert len(shown) == 3
    for name, points in outcome.curves.items():
        seen = [(step, values) for new in shown for step, values in new.get(name, [])]
        assert [step for step, _ in seen] == [step for step, _ in points]
        assert all(torch.equal(a, b) for (_, a), (_, b) in zip(seen, points))


def test_the_progress_bar_changes_nothing(capsys):
    of = problem(Gaussian())
    quiet, loud = (train([member(of)], settings(progress_bar=bar)) for bar in (False, True))
    assert largest_difference(numbers(quiet, 0), numbers(loud, 0))[0] == 0
    assert "val/nll" in capsys.readouterr().err


def test_huber_is_trained_at_its_robust_scale():
    """To the exact answer, with one value far away."""
    noise = Huber()
    of = problem(noise, num_examples=100)
    of.parts["train"].y[7] += 30
    outcome = train([member(of, torch.optim.LBFGS, 1.0)], settings(max_epochs=60))
    exact = solve_problem(of, noise)
    torch.testing.assert_close(outcome.theta[0], exact.theta, rtol=1e-3, atol=1e-3)
    scale = exact.scale * of.scaling.y_spread.item()
    assert outcome.scale.item() == pytest.approx(scale, rel=1e-3)
