"""The text, 3.1.3: the normal distribution and squared loss.

The densities of the figure; the likelihood factorizes; its maximum, which SciPy finds by trying, is the least-squares
answer whatever the scale.

Source:  D2L 3.1.3, (3.1.12) to (3.1.16).
Command: make exercises EX=T8
Cost:    5 s on 2 cores.
Expect:  areas, peaks and products to 1e-10; coefficients the same to 1e-4 for scales from 0.2 to 5.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from hydra.utils import instantiate
from numpy.typing import NDArray
from scipy import integrate, optimize, stats

from noiseworks import LinearRegressor
from noiseworks import studies as study
from noiseworks.noise import Noise
from noiseworks.studies import Claim, Figure, Run, Runs, claim, control

EXPERIMENTS = {"t8_density": ["scale=1.0,2.0"], "t8_scale": ["law=gaussian,laplace,student_t"]}
SHOWN = [(0.0, 1.0), (0.0, 2.0), (3.0, 1.0)]  # mean and standard deviation, as in the chapter
DF = 4  # of Student's t, as in conf/noise
FOUND = 1e-4  # of a maximum that is found by trying
Array = NDArray[np.float64]
# -log density of residuals r (n,) at scale s, but for constants, written down without noiseworks
LAWS: dict[str, Callable[[Array, float], Array]] = {
    "gaussian": lambda r, s: r**2 / (2 * s**2) + math.log(s),
    "laplace": lambda r, s: np.abs(r) / s + math.log(s),
    "student_t": lambda r, s: (DF + 1) / 2 * np.log1p((r / s) ** 2 / DF) + math.log(s),
}


def measure(cfg):
    return {"density": density, "likeliest": likeliest}[cfg.measure](cfg)


def density(cfg) -> dict[str, float]:
    """Of the noise model: area, mean, peak against 1 / (sigma sqrt(2 pi)), distance to the shifted standard curve, and
    the log-likelihood of five examples against the joint density, independent and correlated (rho = 1/2)."""
    noise, mean, scale = instantiate(cfg.noise).with_scale(cfg.scale), cfg.mean, cfg.scale
    x = mean + np.linspace(-40, 40, 80_001) * scale
    p = np.exp(-nll(noise, mean, x))
    normal = 1 / (scale * math.sqrt(2 * math.pi))
    standard = np.exp(-nll(noise.with_scale(1.0), 0.0, (x - mean) / scale)) / scale
    y = mean + scale * np.random.default_rng(cfg.seed).normal(size=5)
    total = nll(noise, mean, y).sum()
    return {
        "density/area": integrate.simpson(p, x=x),
        "density/mean": integrate.simpson(x * p, x=x),
        "density/peak": p.max() / normal,
        "density/shift": np.abs(p - standard).max() / p.max(),
        "density/joint": total + joint(y, mean, scale, 0.0),
        "density/joint_correlated": total + joint(y, mean, scale, 0.5),
    }


def nll(noise: Noise, mean: float, x: Array) -> Array:
    eta = torch.full((len(x),), mean, dtype=torch.float64)
    return np.asarray(noise.nll(eta, torch.from_numpy(np.ascontiguousarray(x))).numpy())


def joint(y: Array, mean: float, scale: float, correlation: float) -> float:
    """log density of y ~ N(mean 1, scale^2 R), R with this correlation of every pair."""
    R = np.full((len(y), len(y)), correlation) + (1 - correlation) * np.eye(len(y))
    return float(stats.multivariate_normal.logpdf(y, np.full(len(y), mean), scale**2 * R))


def likeliest(cfg) -> dict[str, float]:
    """How far the most likely coefficients at the assumed scale (null: the most likely one) lie from those of an exact
    fit, which assumes none."""
    rng = np.random.default_rng([cfg.seed, cfg.num_examples])
    X = rng.normal(size=(cfg.num_examples, 2))
    y = X @ [1.0, -1.0] + 2 + rng.laplace(size=len(X))
    fit = LinearRegressor(cfg.law, standard_errors=None).fit(X, y)
    w = maximum(LAWS[cfg.law], np.column_stack([X, np.ones(len(X))]), y, cfg.assumed)
    return {"apart": float(np.abs(w - np.append(fit.coef_, fit.intercept_)).max())}


def maximum(law: Callable[[Array, float], Array], A: Array, y: Array, scale: float | None) -> Array:
    """argmax_w of the likelihood, or of that of w and log scale, from zero by Nelder and Mead's search, which knows
    nothing of sums of squares. It can get stuck, and goes on from where it ended with new, smaller simplices."""

    def loss(theta: Array) -> float:
        assumed = math.exp(theta[-1]) if scale is None else float(scale)
        return float(law(y - A @ theta[: A.shape[1]], assumed).mean())

    k = A.shape[1] + (scale is None)
    theta, rng = np.zeros(k), np.random.default_rng(0)
    for size in 10.0 ** -np.arange(9):
        simplex = theta + size * np.vstack([np.zeros(k), rng.normal(size=(k, k))])
        how = {"xatol": 1e-9, "fatol": 1e-15, "maxiter": 2000, "initial_simplex": simplex}
        theta = optimize.minimize(loss, theta, method="Nelder-Mead", options=how).x
    return np.asarray(theta[: A.shape[1]])


def claims(runs: Runs) -> Iterator[Claim]:
    normal, laplace = (runs["t8_density"].where(noise=noise) for noise in ("gaussian", "laplace"))
    yield claim("T8", "the area under each normal density is 1", 1.0, worst(normal, "density/area", 1.0), 1e-10)
    yield claim("T8", "another mean only shifts the curve", 0.0, worst(normal, "density/shift", 0.0), 1e-12)
    yield claim("T8", "the peak is 1 / (sigma sqrt(2 pi)): a larger spread lowers it", 1.0,
                worst(normal, "density/peak", 1.0), 1e-12)  # fmt: skip
    yield control(
        "T8",
        "the peak of the Laplace density is 1 / (sigma sqrt(2 pi)), too",
        1.0,
        worst(laplace, "density/peak", 1.0),
        1e-12,
    )
    product = "the joint density of five examples is the product of theirs (difference of the logarithms)"
    yield claim("T8", f"{product}, independent", 0.0, worst(normal, "density/joint", 0.0), 1e-10)
    yield control("T8", f"{product}, correlated", 0.0, worst(normal, "density/joint_correlated", 0.0), 1e-10)
    yield from coefficients(runs)


def coefficients(runs: Runs) -> Iterator[Claim]:
    names = {"gaussian": "normal", "laplace": "Laplace", "student_t": "Student-t"}
    sentence = "the most likely coefficients are those of the fit that assumes no scale"
    for law, name in names.items():
        fixed = runs["t8_scale"].where(law=law)
        kind = control if law == "student_t" else claim
        found = worst([run for run in fixed if run.params["assumed"] != "None"], "apart", 0.0)
        yield kind("T8", f"{sentence}, for scales 0.2, 1 and 5, {name} noise", 0.0, found, FOUND)
        found = study.exactly(fixed.one(assumed=None)["apart"])
        yield claim("T8", f"{sentence}, for the most likely scale, {name} noise", 0.0, found, FOUND)


def worst(sweep: Iterable[Run], metric: str, theory: float) -> study.Interval:
    """The value that is farthest from theory."""
    return study.exactly(max((run[metric] for run in sweep), key=lambda value: abs(value - theory)))


def figures(runs: Runs) -> Iterator[Figure]:
    drawing, axes = study.panels()
    x = np.arange(-7, 7, 0.01)
    for (mean, scale), color, line in zip(SHOWN, study.COLORS, ("-", "--", "-.")):
        axes.plot(x, stats.norm.pdf(x, mean, scale), color=color, linestyle=line, label=f"mean {mean:g}, std {scale:g}")
    axes.set(xlabel="x", ylabel="p(x)")
    axes.legend()
    yield Figure(
        "T8",
        alt="Three bell curves: the second is lower and wider than the first, the third is the first moved to 3.",
        caption="The normal densities of the chapter.",
        drawing=drawing,
    )
