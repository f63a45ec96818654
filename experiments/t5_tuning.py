"""The text, 3.1.1.4: hyperparameters are tuned by Bayesian optimization, the result is assessed on a validation set.

Gradient descent on squared loss is a place where the answer of a search is known beforehand.

Source:  D2L 3.1.1.4; the rate of descent by the eigenvalues of X'X / n, the winner of many by order statistics.
Command: make exercises EX=T5
Cost:    12 s on 2 cores.
Expect:  the best of 120 trials within 5 % of the best step; the winner of 64 useless models gains on the validation
         rows and loses on new ones, both as theory says.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from noiseworks import studies as study
from noiseworks.studies import Claim, Runs, claim, control
from noiseworks_experiments.parts.t5_figures import figures
from noiseworks_experiments.parts.t5_measure import CANDIDATES, RANDOM, Valley, measure
from noiseworks_experiments.parts.t5_runs import errors, gain, known, miss
from noiseworks_experiments.parts.t5_theory import expected, random_miss

__all__ = ["ARGUMENTS", "EXPERIMENTS", "claims", "figures", "measure"]

SEARCH = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=120", "hydra.sweeper.n_jobs=10", "hydra.sweeper.storage=null"]
ARGUMENTS = {"t5_search": [*SEARCH, "hydra.sweeper.confirm=0", "hydra.sweeper.sampler.seed=${seed}"]}
EXPERIMENTS = {"t5_search": [], "t5_ridge": ["replicates=40"], "t5_measures": ["replicates=300", "studies=8"]}
Array = NDArray[np.float64]


def claims(runs: Runs) -> Iterator[Claim]:
    yield from of_search(runs)
    yield from of_searches(runs)
    yield from of_ridge(runs)
    yield from of_winner(runs)


def of_search(runs: Runs) -> Iterator[Claim]:
    valley, least = known(runs)
    trials = runs["t5_search"]
    lr = np.array([float(run.params["optimizer.lr"]) for run in trials])
    rmse = np.array([run["train/rmse"] for run in trials])
    yield claim("T5.1", "every trial's loss by the eigenvalues of X'X, largest relative difference",
                0.0, difference(rmse, valley, least, lr), 1e-9)  # fmt: skip
    yield control("T5.1", "every trial's loss by the eigenvalues, had it no factor 1/2 (steps twice as long)", 0.0,
                  difference(rmse, valley, least, 2 * lr), 1e-9)  # fmt: skip
    best = lr[rmse.argmin()]
    yield claim("T5.1", f"best step of the {len(trials)} trials, over the one that theory gives", 1.0,
                study.exactly(best / valley.best), 0.05)  # fmt: skip
    safe = 1 / valley.eigenvalues[-1]
    yield control("T5.1", f"best step of the {len(trials)} trials, over 1 / L, the step that is often recommended", 1.0,
                  study.exactly(best / safe), 0.05)  # fmt: skip
    long = Valley(valley.eigenvalues, valley.way, 3000).best
    limit = 2 / (valley.eigenvalues[0] + valley.eigenvalues[-1])
    yield claim("T5.1", "best step for 3000 steps over its limit 2 / (L + mu)", 1.0, study.exactly(long / limit), 2e-3)


def difference(rmse: Array, valley: Valley, least: float, lr: Array) -> study.Interval:
    by_theory = np.sqrt(least + np.exp(valley.log_excess(lr)))
    return study.exactly(np.abs(rmse / by_theory - 1).max())


def of_searches(runs: Runs) -> Iterator[Claim]:
    valley, _ = known(runs)
    yield claim(
        "T5.1", "Bayesian searches of 60 trials: mean |log(step found / best step)|", 0.0, miss(runs, "tpe"), 0.06
    )
    for trials in RANDOM:
        theory = random_miss(valley, trials)
        yield claim("T5.1", f"random searches of {trials} trials: mean |log(step found / best step)|", theory,
                    miss(runs, f"random/{trials}"), 0.2 * theory)  # fmt: skip
    yield control(
        "T5.1",
        "random searches of 60 trials are as near as Bayesian ones: mean |log(step found / best step)|",
        0.0,
        miss(runs, "random/60"),
        0.06,
    )


def of_ridge(runs: Runs) -> Iterator[Claim]:
    by_train, by_val = (chosen(runs, part) for part in ("train", "val"))
    for kind, by, about in ((claim, by_train, "training"), (control, by_val, "validation")):
        yield kind("T5.2", f"the least {about} loss is that without a ridge, share of data sets", 1.0,
                   study.exactly((by == 0).mean()), 1e-12)  # fmt: skip
    for kind, by, about in ((claim, by_val, "validation"), (control, by_train, "training")):
        found = study.ratio_of_means(picked(runs, "test", by), picked(runs, "test", best_ridge(runs)))
        yield kind("T5.2", f"test error of the ridge with the least {about} loss, over that of the best ridge", 1.0,
                   found, 0.15)  # fmt: skip
    for kind, part, about in ((claim, "test", "test"), (control, "train", "training")):
        found = study.ratio_of_means(picked(runs, part, by_val), picked(runs, "risk", by_val))
        yield kind("T5.2", f"{about} error of the ridge with the least validation loss, over sigma^2 + |w - w_true|^2",
                   1.0, found, 0.05)  # fmt: skip


def chosen(runs: Runs, part: str) -> NDArray[np.intp]:
    """(R,): which ridge has the least loss there."""
    return errors(runs, part).argmin(axis=0)


def best_ridge(runs: Runs) -> NDArray[np.intp]:
    """(R,): the one with the least risk on average, for all."""
    found = errors(runs, "risk")
    return np.full(found.shape[1], found.mean(axis=1).argmin())


def picked(runs: Runs, part: str, by: NDArray[np.intp]) -> Array:
    found = errors(runs, part)
    return np.asarray(found[by, np.arange(found.shape[1])])


def of_winner(runs: Runs) -> Iterator[Claim]:
    for candidates in CANDIDATES:
        seen, true = expected(candidates)
        who = f"the best of {candidates} useless models" if candidates > 1 else "one useless model"
        yield claim(
            "T5.3", f"{who}: validation error above that of no model", seen, gain(runs, "val", candidates), 0.004
        )
        yield claim(
            "T5.3", f"{who}: error on new rows above that of no model", true, gain(runs, "test", candidates), 0.004
        )
    yield control("T5.3", "the best of 64 useless models: new rows are predicted as validation rows are",
                  expected(64)[0], gain(runs, "test", 64), 0.004)  # fmt: skip
