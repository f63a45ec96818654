"""The text, 3.1.1.4: hyperparameters are tuned by Bayesian optimization, the result is assessed on a validation set.

Gradient descent on squared loss is a place where the answer of a search is known beforehand.

Source:  D2L 3.1.1.4; the rate of descent by the eigenvalues of X'X / n, the winner of many by order statistics.
Command: make exercises EX=T5
Cost:    12 s on 2 cores.
Expect:  the best of 120 trials within 5 % of the best step; momentum as if the condition number were its root; the
         winner of 64 useless models gains on the validation rows and loses on new ones, both as theory says.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from noiseworks import studies as study
from noiseworks.studies import Claim, Runs, claim, control
from noiseworks_experiments.parts.t5_figures import figures
from noiseworks_experiments.parts.t5_measure import CANDIDATES, RANDOM, Valley, measure
from noiseworks_experiments.parts.t5_runs import as_drawn, errors, gain, known, miss
from noiseworks_experiments.parts.t5_theory import N, expected, nearest_miss, random_miss

__all__ = ["ARGUMENTS", "EXPERIMENTS", "claims", "figures", "measure"]

SEARCH = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=120", "hydra.sweeper.n_jobs=10", "hydra.sweeper.storage=null"]
ARGUMENTS = {"t5_search": [*SEARCH, "hydra.sweeper.confirm=0", "hydra.sweeper.sampler.seed=${seed}"]}
EXPERIMENTS = {"t5_search": [], "t5_ridge": ["replicates=40"], "t5_measures": ["replicates=300", "studies=8"]}
Array = NDArray[np.float64]


def claims(runs: Runs) -> Iterator[Claim]:
    yield from of_search(runs)
    yield from of_searches(runs)
    yield from of_momentum(runs)
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
    for trials in RANDOM:
        theory = random_miss(valley, trials)
        sentence = f"random searches of {trials} trials: mean |log(step found / best step)|"
        wrong = {"that of the trial nearest to it": nearest_miss(valley, trials)}
        yield claim("T5.1", sentence, theory, miss(runs, f"random/{trials}"), 0.15 * theory, wrong)
    sentence = "Bayesian searches of 60 trials miss by as much as random ones: mean |log(step found / best step)|"
    yield control("T5.1", sentence, theory, miss(runs, "tpe"), 0.15 * theory)


def of_momentum(runs: Runs) -> Iterator[Claim]:
    """The factor of the distance in a step, on the same data."""
    run, (valley, _) = runs["t5_measures"].one(measure="descent"), known(runs)
    kappa = valley.eigenvalues[-1] / valley.eigenvalues[0]
    descent, ball = ((root - 1) / (root + 1) for root in (kappa, np.sqrt(kappa)))
    found = {name: study.exactly(run[f"rate/{name}"]) for name in ("descent", "ball", "usual")}
    plain = "the factor of gradient descent in a step, at its best step 2 / (L + mu), is (kappa - 1) / (kappa + 1)"
    heavy = "the factor of the heavy ball in a step, at its best, is (sqrt(kappa) - 1) / (sqrt(kappa) + 1)"
    yield claim("T5.1", plain, descent, found["descent"], 0.01, {"1 - 1 / kappa, of the step 1 / L": 1 - 1 / kappa})
    wrong = {"that of gradient descent": descent, "the momentum, not its root": ball**2}
    wrong["1 - 1 / sqrt(kappa), of Nesterov's momentum"] = 1 - 1 / np.sqrt(kappa)
    yield claim("T5.1", heavy, ball, found["ball"], 0.01, wrong)
    yield control("T5.1", f"{heavy}: without momentum", ball, found["descent"], 0.01)
    yield control("T5.1", f"{heavy}: with momentum 0.9", ball, found["usual"], 0.01)
    wrong = {"that of the best momentum": ball, "the momentum, not its root": 0.9}
    yield claim("T5.1", "with momentum 0.9 it is sqrt(0.9)", np.sqrt(0.9), found["usual"], 0.01, wrong)


def of_ridge(runs: Runs) -> Iterator[Claim]:
    by_train, by_val = (chosen(runs, part) for part in ("train", "val"))
    for kind, by, about in ((claim, by_train, "training"), (control, by_val, "validation")):
        yield kind("T5.2", f"the least {about} loss is that without a ridge, share of data sets", 1.0,
                   study.exactly((by == 0).mean()), 1e-12)  # fmt: skip
    risks, best = errors(runs, "risk"), picked(runs, "risk", best_ridge(runs))
    due = as_drawn(runs) / best.mean()
    blind = {"the training loss's": risks[0].mean() / best.mean(), "a ridge taken blindly": risks.mean() / best.mean()}
    for kind, by, about, more in (
        (claim, by_val, "validation", {"wrong": blind}),
        (control, by_train, "training", {}),
    ):
        found = study.ratio_of_means(picked(runs, "test", by), picked(runs, "test", best_ridge(runs)))
        sentence = f"test error of the ridge with the least {about} loss, over that of the best ridge"
        yield kind("T5.2", f"{sentence}, is as if any 20 new rows had chosen", due, found, 0.06, **more)
    for kind, part, about, more in (
        (claim, "test", "test", {"wrong": {"sigma^2 alone": 1 / picked(runs, "risk", by_val).mean()}}),
        (control, "train", "training", {}),
    ):
        found = study.ratio_of_means(picked(runs, part, by_val), picked(runs, "risk", by_val))
        sentence = f"{about} error of the ridge with the least validation loss, over sigma^2 + |w - w_true|^2"
        yield kind("T5.2", sentence, 1.0, found, 0.05, **more)


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
        for part, rows, theory, other in (("val", "validation", seen, true), ("test", "new", true, seen)):
            wrong = {"as on the other rows": other} if candidates > 1 else {"nothing": 0.0, "2 / n": 2 / N}
            sentence = f"{who}: error on {rows} rows above that of no model"
            yield claim("T5.3", sentence, theory, gain(runs, part, candidates), 0.003, wrong)
    yield control("T5.3", "the best of 64 useless models: new rows are predicted as validation rows are",
                  expected(64)[0], gain(runs, "test", 64), 0.003)  # fmt: skip
