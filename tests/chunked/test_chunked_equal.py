"""A streamed fit is that of the same rows in memory."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from chunked_fits import LINEAR, columns, drawn, held, streamed, table, write

from noiseworks.chunked.problem import Passes
from noiseworks.model import Constant, Linear, Quadratic
from noiseworks.noise import (
    AsymmetricLaplace,
    Gaussian,
    IntervalLogNormal,
    Laplace,
    LogNormal,
    NegativeBinomial,
    Poisson,
)
from soaked import every, only

PLAIN = ["a", "b", "year", "children", "town"]
NOISES = {
    "gaussian": Gaussian(),
    "lognormal": LogNormal(scale=0.4),
    "laplace": Laplace(),
    "asymmetric_laplace": AsymmetricLaplace(tau=0.3),
    "poisson": Poisson(link="log"),
    "softplus": Poisson(link="softplus"),
    "negative_binomial": NegativeBinomial(dispersion=0.5),
}
SETTINGS = {
    "plain": {},
    "offset": {"offset": "log_exposure"},
    "weights": {"weights": "weight"},
    "both": {"offset": "log_exposure", "weights": "weight"},
    "test": {"test_fraction": 0.2, "val_fraction": 0.1},
    "raw": {"standardize": False},
}


def size(noise) -> tuple[int, int]:
    """Rows, and the memory that is too little for them: the tortoise must have room for the rows near the fit."""
    return (20_000, 4) if noise.quantile_level is not None else (4_000, 1)


def assert_equal(kept, stream, errors=1e-7) -> None:
    """1e-9 of the largest coefficient, as is asked for; nothing else that is computed the same way may differ more."""
    assert torch.equal(stream.theta.isfinite(), torch.ones_like(stream.theta, dtype=torch.bool))
    torch.testing.assert_close(stream.coefficients, kept.coefficients, rtol=1e-9, atol=1e-9 * largest(kept))
    assert stream.kind == kept.kind
    assert stream.errors_by == kept.errors_by
    torch.testing.assert_close(stream.standard_errors, kept.standard_errors, rtol=errors, atol=0.0)
    torch.testing.assert_close(stream.intervals, kept.intervals, rtol=10 * errors, atol=10 * errors * largest(kept))
    if kept.scale is None:
        assert stream.scale is None
    else:
        torch.testing.assert_close(stream.scale, kept.scale, rtol=1e-9, atol=0.0)
    for name, values in stream.metrics.items():
        if name == "exact/gradient":
            assert values.item() < 1e-8
        else:
            torch.testing.assert_close(values, kept.metrics[name].double(), rtol=1e-7, atol=1e-12, msg=name)


def largest(outcome) -> float:
    return outcome.coefficients.abs().max().item()


@pytest.mark.parametrize(
    "settings", only(SETTINGS.values(), *map(SETTINGS.get, ("plain", "both", "test"))), ids=SETTINGS
)
@pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)
def test_every_noise_model(tmp_path, noise, settings):
    n, memory_mb = size(noise)
    path = write(tmp_path / "t.parquet", drawn(noise, n, exposure=0.4 if "offset" in settings else 0.0))
    # A level of five rows has no density at its quantile: standard errors of 1e18, in memory as here.
    settings = settings | {"features": PLAIN[:4] if noise.quantile_level is not None else PLAIN}
    kept = held(path, noise, **settings)
    stream = streamed(path, noise, memory_mb=memory_mb, **settings)
    assert_equal(kept, stream)
    assert {name for name in kept.metrics if not name.endswith("/median_ae")} == set(stream.metrics)


@pytest.mark.parametrize("method", ["iid", "information", "HC0", "HC1"])
@pytest.mark.parametrize("name", ["gaussian", "poisson", "softplus", "negative_binomial"])
def test_standard_errors(tmp_path, name, method):
    noise = NOISES[name]
    if method == "iid" and noise.counts:
        pytest.skip("counts have no errors of one law")
    given = drawn(noise, 4_000)
    path = write(tmp_path / "t.parquet", given)
    settings = {"features": PLAIN, "weights": "weight", "method": method}
    assert_equal(held(path, noise, **settings), streamed(path, noise, **settings), errors=1e-8)
    free = noise.with_scale(None)  # a dispersion is estimated with the coefficients
    assert_equal(held(path, free, **settings), streamed(path, free, **settings), errors=1e-8)


@pytest.mark.parametrize("method", every(3, ["HC0", "information", "HC1"]))
def test_standard_errors_of_rounded_prices(tmp_path, method):
    """What they say of the coefficients and of the scale is correlated, also by the model."""
    noise = IntervalLogNormal()
    path = write(tmp_path / "t.parquet", drawn(noise, 4_000))
    kept, stream = (fit(path, noise, features=PLAIN, weights="weight", method=method) for fit in (held, streamed))
    torch.testing.assert_close(stream.standard_errors, kept.standard_errors, rtol=1e-8, atol=0.0)


@pytest.mark.parametrize("noise", [Gaussian(), Poisson(link="log")], ids=lambda n: n.name)
@pytest.mark.parametrize(
    "model",
    [
        Constant(intercept=True, init_scale=0.0),
        Quadratic(intercept=True, init_scale=0.0),
        Quadratic(intercept=False, init_scale=0.0),
        Linear(intercept=False, init_scale=0.0),
    ],
    ids=lambda m: f"{m.name}-{m.intercept}",
)
def test_every_linear_model(tmp_path, model, noise):
    path = write(tmp_path / "t.parquet", drawn(noise, 8_000))
    settings = {"features": ["a", "b", "children"], "model": model}
    assert_equal(held(path, noise, **settings), streamed(path, noise, **settings))


@pytest.mark.parametrize("noise", [Gaussian(), Poisson(link="log")], ids=lambda n: n.name)
def test_dependent_columns_have_the_same_minimum_norm(tmp_path, noise):
    given = drawn(noise, 4_000)
    given["sum"] = given["a"] + 2 * given["b"]
    path = write(tmp_path / "t.parquet", given)
    settings = {"features": [*PLAIN, "sum"]}
    kept, stream = held(path, noise, **settings), streamed(path, noise, **settings)
    assert stream.metrics["exact/rank"] == kept.metrics["exact/rank"] == 8
    torch.testing.assert_close(stream.coefficients, kept.coefficients, rtol=1e-9, atol=1e-9 * largest(kept))
    assert torch.equal(stream.standard_errors.isnan(), kept.standard_errors.isnan())
    assert stream.standard_errors.isnan().sum() == 3


def test_rows_that_lack_a_value_are_left_out_with_their_levels(tmp_path):
    rng = np.random.default_rng(5)
    given = {name: values.tolist() for name, values in drawn(Gaussian(), 6_000).items()}
    for name in ("a", "town", "y"):
        for row in rng.choice(6_000, 300, replace=False):
            given[name][row] = None
    given["b"][17] = float("nan")
    given["town"][18], given["a"][18] = "nowhere", None  # a level of a row that does not stay
    path = write(tmp_path / "folder", given, files=3)
    settings = {"features": PLAIN, "missing": "drop", "test_fraction": 0.3}
    assert_equal(held(path, Gaussian(), **settings), streamed(path, Gaussian(), **settings))
    tables = [table(path, memory, **settings) for memory in (None, 1)]
    whole, head = tables[0].examples(0), tables[1].chunks(Passes(6_000, quiet=True)).head
    assert (whole.lacking, whole.vanished) == (head.lacking, head.vanished)
    assert whole.vanished == ("town=nowhere",)
    assert whole.lacks == head.lacks
    assert whole.lacks["town"] == 300


def test_numbers_that_are_levels(tmp_path):
    """In the order of their size, whichever come first."""
    given = drawn(Gaussian(), 6_000)
    given["children"] = np.where(np.arange(6_000) < 3_000, given["children"] + 9, given["children"])
    path = write(tmp_path / "folder", given, files=3)
    settings = {"features": PLAIN, "categorical": ["children"]}
    kept, stream = held(path, Gaussian(), **settings), streamed(path, Gaussian(), **settings)
    assert_equal(kept, stream)
    levels = table(path, None, **settings).examples(0).columns[PLAIN.index("children")].levels
    assert levels == tuple(map(str, sorted(map(int, levels))))
    assert levels == table(path, 1, **settings).chunks(Passes(6_000, quiet=True)).head.columns[3].levels


def test_a_folder_is_its_files_one_after_the_other(tmp_path):
    given = drawn(Poisson(link="log"), 5_000)
    alone, folder = write(tmp_path / "t.parquet", given), write(tmp_path / "folder", given, files=4)
    settings = {"features": PLAIN, "test_fraction": 0.25}
    one, several = (streamed(path, Poisson(link="log"), **settings) for path in (alone, folder))
    assert_equal(held(folder, Poisson(link="log"), **settings), several)
    torch.testing.assert_close(one.coefficients, several.coefficients, rtol=1e-12, atol=1e-12)


def test_a_perfect_fit(tmp_path):
    given = columns(4_000)
    path = write(tmp_path / "t.parquet", given | {"y": 3.0 + 2.0 * given["a"]})
    kept, stream = held(path, Gaussian()), streamed(path, Gaussian())
    torch.testing.assert_close(stream.coefficients, kept.coefficients, rtol=1e-9, atol=1e-9)
    assert stream.scale.item() < 1e-9


def test_columns_in_order_of_size_far_from_zero(tmp_path):
    """The first block, whose mean and spread are the provisional units, is like no other."""
    rng = np.random.default_rng(0)
    n = 8_000
    time = 1e6 + np.arange(n, dtype=float) ** 2
    late = np.where(np.arange(n) < 3_000, 5.0, rng.normal(size=n) + 100)
    given = {"time": time, "late": late, "y": 1e-6 * time + late + rng.normal(size=n)}
    path = write(tmp_path / "t.parquet", given)
    assert_equal(held(path, Gaussian(), LINEAR), streamed(path, Gaussian(), LINEAR))
