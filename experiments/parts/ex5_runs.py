"""Exercise 5: runs read back, for claims and figures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from noiseworks import studies as study
from noiseworks.studies import Interval, Run, Runs
from noiseworks_experiments.parts.ex5_walks import TRUE, D
from noiseworks_experiments.parts.hopping import absolute_gap

TITLES = {"gaussian": "Gaussian noise", "laplace": "Laplace noise", "student_t": "Student-t noise (4 degrees)"}
SIZES = [10, 40, 160]
STEPS = [0.0125, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8]
Array = NDArray[np.float64]


def likelihood(runs: Runs, truth: str, assumed: str) -> Run:
    return runs["ex5_likelihood"].one({"noise@data.noise": truth}, noise=assumed)


def price(runs: Runs, truth: str, assumed: str) -> Interval:
    """What the wrong noise model costs on rows that were held out, of the same data sets."""
    wrong, right = (likelihood(runs, truth, noise).copies["test/nll"] for noise in (assumed, truth))
    return study.mean(wrong - right)


def relative(runs: Runs, truth: str, n: int) -> Interval:
    run = runs["ex5_estimators"].one(law=truth, num_observations=n)
    return study.ratio_of_means(run.copies["squared"], run.copies["absolute"])


def distances(run: Run) -> Array:
    """|w - w_true| (steps, replicates), from step 12 / lr on, when the start is forgotten."""
    weights = [run.trajectory[f"x{j}"] for j in range(D)]
    replicates = int(run.params["replicates"])
    apart = np.sqrt(sum((w.reshape(-1, replicates) - true) ** 2 for w, true in zip(weights, TRUE)))
    return np.asarray(apart[int(12 / float(run.params["optimizer.lr"])) :])


def steady(runs: Runs, noise: str, scale: float, lr: float) -> Run:
    return runs["ex5_floor"].one({"data.noise.scale": scale, "optimizer.lr": lr}, noise=noise)


def level(run: Run, power: int = 0) -> Array:
    """The mean over the steps, for each replicate, of |w - w_true|^power; 0: of the loss gap."""
    apart = distances(run)
    return np.asarray((apart**power if power else absolute_gap(apart)).mean(axis=0))


def repaired(runs: Runs, schedule: str, averaging: bool) -> Interval:
    run = runs["ex5_repairs"].one({"schedule.averaging": averaging}, schedule=schedule)
    weights = np.stack([run.copies[f"coefficient/x{j}"] for j in range(D)], axis=1)
    return study.mean(absolute_gap(np.linalg.norm(weights - TRUE, axis=1)))


def walked(runs: Runs, label_noise: float, rule: str, steps: int = 1000) -> Array:
    """|w - w_true| of each replicate after so many steps of a rule of ex5_walks."""
    return runs["ex5_walks"].one(label_noise=label_noise).copies[f"distance/{rule}/{steps}"]


def fall(runs: Runs, label_noise: float, rule: str, since: int, until: int) -> Interval:
    """Of the logarithm of |w - w_true|, a step."""
    first, last = (np.log(walked(runs, label_noise, rule, steps)) for steps in (since, until))
    return study.mean((last - first) / (until - since))
