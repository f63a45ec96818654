"""What has no answer is refused, with a sentence that says why: by `solve`, and by the command."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from test_solvers_properties import NOISES, example

from command_line import MUTE, read
from noiseworks.errors import UserError
from noiseworks.noise import Gaussian, Noise, Poisson
from noiseworks.regressor import LinearRegressor
from noiseworks.solvers.solve import solve
from soaked import every

ADDITIVE = {name: noise for name, noise in NOISES.items() if noise.location_scale}
JOINT = {name: noise for name, noise in ADDITIVE.items() if not noise.separable}
every_noise = pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)


@every_noise
def test_rank_zero(noise: Noise) -> None:
    D, y = example(noise)
    with pytest.raises(UserError, match="rank 0: each of its 3 columns is zero in all rows"):
        solve(noise, 0 * D, y)
    with pytest.raises(UserError, match="rank 0"):  # where it counts
        solve(noise, torch.where(torch.arange(120)[:, None] == 7, D, 0.0), y, weights=(torch.arange(120) != 7).double())


@pytest.mark.parametrize("noise", ADDITIVE.values(), ids=ADDITIVE)
def test_the_same_y_in_all_rows(noise: Noise) -> None:
    """The constant fits it, and the scale would be zero; through the origin it is a fit like others."""
    D, _ = example(noise)
    y = torch.full((120,), 3.3, dtype=torch.float64)
    with pytest.raises(UserError, match=f"{noise.name} noise needs a y that varies.*the same in all 120 rows"):
        solve(noise, D, y)
    assert solve(noise, D[:, 1:], y).scale > 0.1
    assert solve(noise.with_scale(1.0), D, y).scale == 1.0


def test_the_same_count_in_all_rows_has_an_answer() -> None:
    D, _ = example(Poisson())
    theta = solve(Poisson(), D, torch.full((120,), 3.0, dtype=torch.float64)).theta
    torch.testing.assert_close(theta, torch.tensor([3.0, 1, 1], dtype=torch.float64).log(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("noise", JOINT.values(), ids=JOINT)
def test_every_row_is_fitted(noise: Noise) -> None:
    D, y = example(noise)
    for P in (3, 2):
        with pytest.raises(UserError, match=f"2 rows and {P} columns of rank as many fit every row.*noise.scale would"):
            solve(noise, D[:2, :P], y[:2])
    assert solve(noise.with_scale(1.0), D[:2], y[:2]).rank == 2


def test_numbers_that_are_none() -> None:
    D, y = example(Gaussian())
    bad = torch.where(torch.arange(120) == 4, torch.nan, y)
    with pytest.raises(UserError, match="offset is not finite in row 5"):
        solve(Gaussian(), D, y, offset=bad)
    with pytest.raises(UserError, match="weights is not finite in row 5"):
        solve(Gaussian(), D, y, weights=bad)
    with pytest.raises(UserError, match="the smallest is 0"):
        solve(Gaussian(), D, y, weights=0 * y)
    with pytest.raises(UserError, match="the smallest is -2"):
        solve(Gaussian(), D, y, weights=torch.where(torch.arange(120) == 4, -2.0, torch.ones(120)).double())
    with pytest.raises(UserError, match="the design is not finite in row 1"):
        solve(Gaussian(), torch.where(torch.arange(120)[:, None] % 2 == 0, torch.inf, -torch.inf).expand(-1, 3), y)


def test_large_numbers_are_numbers() -> None:
    """Though their sum overflows."""
    D, y = example(Gaussian())
    D[:, 1] = D[:, 1].abs()
    large = torch.tensor([1.0, 1e307, 1.0], dtype=torch.float64) / D.abs().amax(0)
    assert not (D * large).sum().isfinite()
    torch.testing.assert_close(solve(Gaussian(), D * large, y).theta * large, solve(Gaussian(), D, y).theta)


LEVEL = ["noise=asymmetric_laplace"]
CASES = {
    "same": ("y,a,b\n3,1,2\n3,5,2\n3,4,4\n3,2,2\n", [], ["gaussian", "varies", "4 rows"]),
    "wide": ("y,a,b\n3,1,2\n1,5,2\n", ["noise=huber"], ["huber", "2 rows", "3 columns", "noise.scale"]),
    "zeros": ("y,a,b\n3,0,0\n1,0,0\n", ["model.intercept=false"], ["rank 0", "model.intercept=true"]),
    "weight": ("y,a,w\n3,1,1\n1,5,0\n2,2,2\n", ["data.weights=w"], ["data.weights=w", "0", "row 2", "above 0"]),
    "negative": ("y,a,w\n3,1,1\n1,5,-1\n2,2,2\n", ["data.weights=w"], ["data.weights=w", "-1", "row 2", "above 0"]),
    "offset": ("y,a,o\n3,1,1\n1,5,nan\n2,2,2\n", ["data.offset=o"], ["o of", "row 2"]),
    "laplace": ("y,a\n3,1\n1,5\n2,2\n", ["noise=laplace", "optimizer.ridge=1"], ["ridge=1", "laplace", "noise=huber"]),
    "nothing": ("y,a\n0,1\n0,5\n0,2\n", ["noise=poisson"], ["poisson", "no finite optimum", "all zero", "row"]),
    "student": ("y,a,b\n3,1,2\n1,5,2\n", ["noise=student_t"], ["student_t", "2 rows", "3 columns", "noise.scale"]),
    "unweighted": ("y,a,w\n3,1,0\n1,5,0\n", ["data.weights=w"], ["data.weights=w is 0 in row 1", "above 0"]),
    "infinite": ("y,a,o\n3,1,1\n1,5,inf\n2,2,2\n", ["data.offset=o"], ["o of", "row 2"]),
    "level 0": ("y,a\n3,1\n1,5\n", [*LEVEL, "noise.tau=0"], ["noise.tau=0 ", "above 0 and below 1"]),
    "level 1": ("y,a\n3,1\n1,5\n", [*LEVEL, "noise.tau=1"], ["noise.tau=1 ", "above 0 and below 1"]),
    "ridge": ("y,a\n3,1\n1,5\n2,2\n", ["optimizer.ridge=-1"], ["optimizer.ridge=-1", "at least 0"]),
}  # fmt: skip


@pytest.mark.parametrize(("text", "more", "parts"), every(3, CASES.values()), ids=CASES)
def test_the_command_says_so(command, tmp_path, text, more, parts) -> None:
    (tmp_path / "t.csv").write_text(text)
    result = command(tmp_path, "data=table", "data.path=t.csv", "data.target=y", "optimizer=exact", *more)
    assert (result.status, result.out) == (2, "")
    assert re.fullmatch(r"noiseworks: [^\n]{10,400}\n", result.err), result.err
    for part in parts:
        assert part in result.err
    assert not (tmp_path / "mlflow.db").exists()


@pytest.mark.parametrize("noise", ["gaussian", "laplace"])
def test_fewer_rows_than_columns_by_command(command, tmp_path, noise) -> None:
    """Both rows are fitted by the shortest of all theta that do; nothing is known about how precise it is."""
    (tmp_path / "t.csv").write_text("y,a,b,c\n3,1,2,7\n1,5,2,1\n")
    own = ["data=table", "data.path=t.csv", "data.target=y", "optimizer=exact", "data.standardize=false"]
    command(tmp_path, *own, f"noise={noise}", *MUTE).succeeded()
    found = read(tmp_path, "coefficients.json")
    shortest = np.linalg.pinv([[1.0, 1, 2, 7], [1, 5, 2, 1]]) @ [3.0, 1]
    np.testing.assert_allclose(list(found["coefficients"].values()), shortest, rtol=1e-12)
    assert set(found["standard_errors"].values()) == {None}


def test_a_constant_column_is_a_constant(command, tmp_path) -> None:
    """Without an intercept of its own: rank one, twice half the mean."""
    (tmp_path / "t.csv").write_text("y,a\n3,2\n1,2\n2,2\n6,2\n")
    own = ["data=table", "data.path=t.csv", "data.target=y", "optimizer=exact", "model.intercept=false"]
    command(tmp_path, *own, *MUTE).succeeded()
    assert read(tmp_path, "coefficients.json")["coefficients"] == {"a": pytest.approx(1.5, rel=1e-14)}


@every_noise
def test_the_regressor_names_the_noise_that_was_asked_for(noise: Noise) -> None:
    """All y the same, where the scale is part of the fit; no weight above zero; an offset that is no number."""
    X = example(noise)[0][:, 1:].numpy()
    same = np.full(120, 3.0)
    regressor = LinearRegressor(noise)
    if noise.location_scale:
        with pytest.raises(ValueError, match=f"^{noise.name} noise needs a y that varies"):
            regressor.fit(X, same)
    with pytest.raises(ValueError, match="sample_weight is zero in every row; some weight must be above 0"):
        regressor.fit(X, same, sample_weight=0 * same)
    with pytest.raises(ValueError, match="offset is nan in row 8; it must be finite"):
        regressor.fit(X, same, offset=np.where(np.arange(120) == 7, np.nan, 0.0))
    with pytest.raises(ValueError, match="The design has rank 0: each of its 2 columns is zero"):
        LinearRegressor(noise, fit_intercept=False).fit(0 * X, example(noise)[1].numpy())
