"""What holds of the exact answer for every noise in conf/noise, and so for a new one unasked."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch import Tensor

from noiseworks.errors import UserError
from noiseworks.noise import AsymmetricLaplace, Gaussian, Huber, IntervalLogNormal, Noise
from noiseworks.solvers.solution import Solution
from noiseworks.solvers.solve import solve

CONF = Path(__file__).parents[2] / "conf" / "noise"
NOISES = {path.stem: instantiate(OmegaConf.load(path)) for path in sorted(CONF.glob("*.yaml"))}
NOISES["huber"] = Huber(scale_estimator="likelihood")  # its robust scales: tests/noise/test_noise_huber_scale.py
NOISES["asymmetric_laplace 0.8"] = AsymmetricLaplace(tau=0.8)
THETA = torch.tensor([1.2, 0.4, -0.3], dtype=torch.float64)
every_noise = pytest.mark.parametrize("noise", NOISES.values(), ids=NOISES)


def example(noise: Noise, seed: int = 0, n: int = 120) -> tuple[Tensor, Tensor]:
    """D (n, 3) with a column of ones, y (n,) drawn from the noise at scale one half."""
    generator = torch.Generator().manual_seed(seed)
    X = torch.randn(n, 2, generator=generator, dtype=torch.float64)
    D = torch.cat((torch.ones(n, 1, dtype=torch.float64), X), 1)
    return D, noise.with_scale(0.5).sample(D @ THETA, generator)


def mean_nll(noise: Noise, answer: Solution, D: Tensor, y: Tensor, theta: Tensor, factor: float = 1.0) -> float:
    scale = None if answer.scale is None else answer.scale * factor
    return float(noise.with_scale(scale).nll(D @ theta, y).mean())


def assert_close(left: Solution, right: Solution, tolerance: float = 1e-8) -> None:
    torch.testing.assert_close(left.theta, right.theta, rtol=tolerance, atol=tolerance)
    assert left.scale == (None if right.scale is None else pytest.approx(right.scale, rel=tolerance))


@every_noise
def test_answer_has_what_it_says(noise: Noise) -> None:
    D, y = example(noise)
    answer = solve(noise, D, y)
    assert answer.theta.dtype == torch.float64
    assert answer.theta.shape == (3,)
    assert answer.rank == 3
    assert (answer.scale is None) == (noise.scale_name is None)
    assert answer.gradient <= 1e-9
    assert answer.kind == ("stationary point" if noise.name in ("student_t", "contaminated") else "optimum")


@every_noise
def test_no_small_perturbation_helps(noise: Noise) -> None:
    """Of theta, of the scale, or of both; steps from 1e-5, where a gradient of 1e-5 would already show, to 0.1."""
    D, y = example(noise)
    answer = solve(noise, D, y)
    best = mean_nll(noise, answer, D, y, answer.theta)
    generator = torch.Generator().manual_seed(1)
    for size in (1e-5, 1e-3, 1e-1):
        for _ in range(40):
            move = size * torch.randn(4, generator=generator, dtype=torch.float64)
            both = mean_nll(noise, answer, D, y, answer.theta + move[:3], float(move[3].exp()))
            assert both >= best - 1e-13
            assert mean_nll(noise, answer, D, y, answer.theta, float(move[3].exp())) >= best - 1e-13


@every_noise
def test_a_given_scale_stays(noise: Noise) -> None:
    D, y = example(noise)
    answer = solve(noise.with_scale(0.7), D, y)
    assert answer.scale == (None if noise.scale_name is None else 0.7)
    assert answer.gradient <= 1e-9
    if noise.separable:
        torch.testing.assert_close(answer.theta, solve(noise, D, y).theta, rtol=1e-9, atol=1e-9)


@every_noise
def test_weight_two_is_two_copies(noise: Noise) -> None:
    D, y = example(noise)
    weights = 1.0 + (torch.arange(len(y)) % 3)
    copies = weights.long()
    repeated = solve(noise, D.repeat_interleave(copies, 0), y.repeat_interleave(copies))
    assert_close(solve(noise, D, y, weights=weights.double()), repeated)
    assert_close(solve(noise, D, y, weights=1e-6 * weights.double()), repeated)


@every_noise
def test_a_row_of_weight_zero_is_no_row(noise: Noise) -> None:
    D, y = example(noise)
    weights = torch.ones(len(y), dtype=torch.float64)
    weights[::7] = 0
    kept = weights > 0
    assert_close(solve(noise, D, y, weights=weights), solve(noise, D[kept], y[kept]))


@every_noise
def test_offset_is_a_column_with_coefficient_one(noise: Noise) -> None:
    """offset = D c moves theta by -c; for a location-scale noise an offset is also subtracted from transform(y)."""
    D, y = example(noise)
    c = torch.tensor([0.5, -0.2, 0.1], dtype=torch.float64)
    plain, shifted = solve(noise, D, y), solve(noise, D, y, offset=D @ c)
    torch.testing.assert_close(shifted.theta, plain.theta - c, rtol=1e-7, atol=1e-7)
    assert shifted.scale == (None if plain.scale is None else pytest.approx(plain.scale, rel=1e-7))
    if noise.location_scale:
        offset = torch.sin(torch.arange(len(y), dtype=torch.float64))
        moved = noise.inverse_transform(noise.transform(y) - offset)
        assert_close(solve(noise, D, y, offset=offset), solve(noise, D, moved))


@every_noise
@pytest.mark.parametrize("power", [-8, 3, 8])
def test_units_of_the_columns(noise: Noise, power: int) -> None:
    D, y = example(noise)
    units = 10.0 ** (power * torch.tensor([0.0, 1.0, -1.0], dtype=torch.float64))
    plain, scaled = solve(noise, D, y), solve(noise, D * units, y)
    assert scaled.rank == 3
    assert scaled.gradient <= 1e-9
    torch.testing.assert_close(scaled.theta * units, plain.theta, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("noise", [noise for noise in NOISES.values() if noise.mean(torch.tensor(-1.0)) == -1])
@pytest.mark.parametrize("power", [-8, 8])
def test_units_of_y(noise: Noise, power: int) -> None:
    """Where eta is in the units of y."""
    D, y = example(noise)
    unit = 10.0**power
    plain, scaled = solve(noise, D, y), solve(noise, D, y * unit)
    torch.testing.assert_close(scaled.theta / unit, plain.theta, rtol=1e-8, atol=1e-8)
    assert scaled.scale == pytest.approx(plain.scale * unit, rel=1e-8)


@every_noise
def test_short_rank_gives_the_minimum_norm(noise: Noise) -> None:
    """Two columns are made of the others: same fit and scale, and theta is orthogonal to the null space of D."""
    D, y = example(noise)
    mix = torch.tensor([[1.0, 0, 0, 2.0, 1.0], [0, 1.0, 0, -3.0, 0], [0, 0, 1.0, 0, 100.0]], dtype=torch.float64)
    plain, wide = solve(noise, D, y), solve(noise, D @ mix, y)
    assert wide.rank == 3
    torch.testing.assert_close(mix @ wide.theta, plain.theta, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(wide.theta, torch.linalg.pinv(mix) @ plain.theta, rtol=1e-7, atol=1e-9)
    assert wide.scale == (None if plain.scale is None else pytest.approx(plain.scale, rel=1e-8))


@every_noise
def test_more_columns_than_rows(noise: Noise) -> None:
    """Each row is fitted: theta is least squares' of the row's own best eta, of minimum norm."""
    generator = torch.Generator().manual_seed(2)
    D = torch.randn(5, 9, generator=generator, dtype=torch.float64)
    y = torch.tensor([1.0, 4.0, 2.0, 7.0, 3.0], dtype=torch.float64)
    if noise.location_scale and not noise.separable:
        with pytest.raises(UserError, match="5 rows and 9 columns of rank as many fit every row"):
            solve(noise, D, y)
        return
    answer = solve(noise, D, y)
    eta = noise.transform(y) if noise.location_scale else noise.inverse_mean(y)
    assert answer.rank == 5
    if isinstance(noise, IntervalLogNormal):  # its tick hides what is left: many answers are certain
        assert mean_nll(noise, answer, D, y, answer.theta) < 1e-12
        return
    torch.testing.assert_close(answer.theta, torch.linalg.pinv(D) @ eta, rtol=1e-6, atol=1e-6)


@every_noise
def test_a_design_of_zeros(noise: Noise) -> None:
    D, y = example(noise)
    with pytest.raises(UserError, match="rank 0: each of its 3 columns is zero in all rows"):
        solve(noise, torch.zeros_like(D), y)


class Logistic(Noise):
    """A noise that nobody foresaw, location-scale, with nothing but a density."""

    name = "logistic"
    separable = False
    location_scale = True

    def __init__(self, scale: float | Tensor | None = None) -> None:
        object.__setattr__(self, "scale", scale)

    def with_scale(self, value: float | Tensor | None) -> Logistic:
        return Logistic(value)

    def mean(self, eta: Tensor) -> Tensor:
        return eta

    def nll(self, eta: Tensor, y: Tensor) -> Tensor:
        scale = torch.as_tensor(1.0 if self.scale is None else self.scale, dtype=eta.dtype)
        u = (y - eta) / scale
        return u + 2 * torch.nn.functional.softplus(-u) + torch.log(scale)

    def sample(self, eta: Tensor, generator: torch.Generator) -> Tensor:
        return eta + 0.5 * torch.logit(torch.rand(eta.shape, generator=generator, dtype=eta.dtype))


def test_a_new_noise_works_unasked() -> None:
    noise = Logistic()
    D, y = example(noise)
    answer = solve(noise, D, y)
    assert answer.gradient <= 1e-9
    assert answer.kind == "optimum"
    u = (y - D @ answer.theta) / answer.scale
    torch.testing.assert_close(D.T @ torch.tanh(u / 2), torch.zeros(3, dtype=torch.float64), rtol=0, atol=1e-9)
    assert float((u * torch.tanh(u / 2)).mean()) == pytest.approx(1.0, rel=1e-9)


def test_misfits_are_named() -> None:
    D, y = example(Gaussian())
    with pytest.raises(UserError, match=r"\(120, 3\) and \(119,\)"):
        solve(Gaussian(), D, y[1:])
    with pytest.raises(UserError, match=r"\(120,\) and \(120,\)"):
        solve(Gaussian(), D[:, 0], y)
    with pytest.raises(UserError, match=r"offset must have the shape of y, \(120,\); it is \(120, 1\)"):
        solve(Gaussian(), D, y, offset=D[:, :1])
    with pytest.raises(UserError, match="weights must be positive; the smallest is -1"):
        solve(Gaussian(), D, y, weights=-torch.ones_like(y))
    with pytest.raises(UserError, match="the design is not finite in row 4"):
        solve(Gaussian(), torch.where(torch.arange(120)[:, None] == 3, torch.nan, D), y)
    with pytest.raises(UserError, match="poisson noise needs counts"):
        solve(NOISES["poisson"], D, -y.abs() - 1)


def test_float32_is_taken_as_it_is() -> None:
    D, y = example(Gaussian())
    answer = solve(Gaussian(), D.float(), y.float())
    torch.testing.assert_close(answer.theta, solve(Gaussian(), D.float().double(), y.float().double()).theta)
