"""The text, 3.1.3: the normal distribution and squared loss.

The densities of the figure; the likelihood factorizes; its maximum is the least-squares answer whatever the scale.

Source:  D2L 3.1.3, (3.1.12) to (3.1.16).
Command: make exercises EX=T8
Cost:    5 s on 2 cores.
Expect:  areas, peaks and products to 1e-10; coefficients the same to 1e-10 for scales from 0.2 to 5.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

import numpy as np
import torch
from hydra.utils import instantiate
from numpy.typing import NDArray
from scipy import integrate, stats

from noiseworks import studies as study
from noiseworks.noise import Noise
from noiseworks.studies import Claim, Figure, Run, Runs, Sweep, claim, control

EXPERIMENTS = {"t8_density": ["scale=1.0,2.0"], "t8_scale": ["data.num_examples=50"]}
SHOWN = [(0.0, 1.0), (0.0, 2.0), (3.0, 1.0)]  # mean and standard deviation, as in the chapter
Array = NDArray[np.float64]


def measure(cfg):
    return {"density": density}[cfg.measure](cfg)


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
    kinds = {"gaussian": ("normal", claim), "laplace": ("Laplace", claim), "student_t": ("Student-t", control)}
    for noise, (name, kind) in kinds.items():
        sentence = f"the most likely coefficients are the same for scales 0.2, 1 and 5, {name} noise"
        yield kind("T8", sentence, 0.0, spread(runs["t8_scale"].where(noise=noise)), 1e-9)


def worst(sweep: Sweep, metric: str, theory: float) -> study.Interval:
    """The value that is farthest from theory."""
    return study.exactly(max((run[metric] for run in sweep), key=lambda value: abs(value - theory)))


def spread(sweep: Sweep) -> study.Interval:
    """The largest difference of a coefficient between the scales."""
    return study.exactly(np.ptp([coefficients(run) for run in sweep], axis=0).max())


def coefficients(run: Run) -> list[float]:
    return list(json.loads(run.file("coefficients.json").read_text())["coefficients"].values())


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
