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
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from noiseworks import study
from noiseworks.study import Claim, Figure, Run, Runs, claim, control

SEARCH = ["hydra/sweeper=optuna", "hydra.sweeper.n_trials=120", "hydra.sweeper.n_jobs=10", "hydra.sweeper.storage=null"]
ARGUMENTS = {"t5_search": [*SEARCH, "hydra.sweeper.confirm=0", "hydra.sweeper.sampler.seed=${seed}"]}
EXPERIMENTS = {"t5_search": [], "t5_ridge": ["replicates=40"], "t5_measures": ["replicates=300", "studies=8"]}
LOW, HIGH = 1e-3, 10.0  # where learning rates are searched
STEPS = 30
RANDOM = [5, 15, 60]  # trials of a random search
CANDIDATES = [1, 4, 16, 64]
N = 100  # rows to fit the candidates, and rows to validate them
RIDGES = [0.0, 0.03, 0.1, 0.3, 1.0, 3.0]
Array = NDArray[np.float64]


def measure(cfg) -> dict[str, Array | float]:
    return {"descent": descent, "winner": winner}[cfg.measure](cfg)


# T5.1: the best step


def descent(cfg) -> dict[str, Array | float]:
    """Of the data set that t5_search trains on: eigenvalues of X'X / n and where descent from zero has to go, in their
    directions; the errors log(best step found / best step) of random and Bayesian searches."""
    from hydra.utils import instantiate

    examples = instantiate(cfg.data).examples(0)
    X, y = examples.X.numpy(), examples.y.numpy()
    eigenvalues, directions = np.linalg.eigh(X.T @ X / len(y))
    w_star = np.linalg.solve(X.T @ X, X.T @ y)
    valley = Valley(eigenvalues, directions.T @ w_star, cfg.steps)
    found: dict[str, Array | float] = {"least": ((y - X @ w_star) ** 2).mean()}
    for j in range(len(eigenvalues)):
        found |= {f"eigenvalue/{j}": eigenvalues[j], f"way/{j}": valley.way[j]}
    rng = np.random.default_rng([cfg.seed, 51])
    found |= {f"random/{trials}": random_search(valley, rng, cfg.replicates, trials) for trials in RANDOM}
    return found | {f"tpe/{k}": bayesian_search(valley, [cfg.seed, k], cfg.trials) for k in range(cfg.studies)}


class Valley:
    """What is left of the mean squared error after `steps` steps of gradient descent of length lr, from zero."""

    def __init__(self, eigenvalues: Array, way: Array, steps: int) -> None:
        self.eigenvalues, self.way, self.steps = eigenvalues, way, steps

    def log_excess(self, lr: Array | float) -> Array:
        """log sum_j lambda_j (1 - lr lambda_j)^(2 steps) way_j^2; (...) -> (...)."""
        left = np.abs(1 - np.multiply.outer(lr, self.eigenvalues))
        terms = np.log(self.eigenvalues * self.way**2) + 2 * self.steps * np.log(np.maximum(left, 1e-300))
        return np.asarray(np.logaddexp.reduce(terms, axis=-1))

    @property
    def best(self) -> float:
        """The sum is convex in lr, so that it has one minimum."""
        end = 2 / self.eigenvalues[-1]
        found = optimize.minimize_scalar(self.log_excess, bounds=(0, end), method="bounded", options={"xatol": 1e-10})
        return float(found.x)


def random_search(valley: Valley, rng: np.random.Generator, studies: int, trials: int) -> Array:
    log_lr = rng.uniform(np.log(LOW), np.log(HIGH), size=(studies, trials))
    chosen = valley.log_excess(np.exp(log_lr)).argmin(axis=1)
    return np.asarray(log_lr[np.arange(studies), chosen] - np.log(valley.best))


def bayesian_search(valley: Valley, key: list[int], trials: int) -> float:
    """Optuna's tree-structured Parzen estimator, trial after trial."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    seed = int(np.random.SeedSequence(key).generate_state(1)[0])
    search = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))
    search.optimize(lambda trial: float(valley.log_excess(trial.suggest_float("lr", LOW, HIGH, log=True))), trials)
    return float(np.log(search.best_params["lr"] / valley.best))


def random_miss(valley: Valley, trials: int, points: int = 20_001) -> float:
    """E|log(best of `trials` / best step)| of steps drawn log-uniformly on [LOW, HIGH].

    The best is at u = log lr if one trial is there and none of the others has less loss, which each has not with
    probability 1 - m(u) / W: W is the width of the range, m(u) that of the steps with less loss, an interval.
    """
    u, width, best = np.linspace(np.log(LOW), np.log(HIGH), points), np.log(HIGH / LOW), np.log(valley.best)
    loss, below = valley.log_excess(np.exp(u)), u < best
    other = np.where(  # the step on the other side of the valley with the same loss
        below,
        np.interp(loss, loss[~below], u[~below]),
        np.interp(-loss, -loss[below], u[below]),
    )
    density = trials / width * (1 - np.abs(other - u) / width) ** (trials - 1)
    return float(np.trapezoid(np.abs(u - best) * density, u))


# T5.2: what the validation set is for; T5.3: what it says of the winner


def winner(cfg) -> dict[str, Array]:
    """y is noise. A candidate is one feature with its least-squares coefficient on N rows; of the first K the one with
    the least validation loss wins. Its mean squared error less that of predicting 0, on validation rows and on new."""
    rng = np.random.default_rng([cfg.seed, 53])
    R, most, n = cfg.replicates, CANDIDATES[-1], cfg.num_rows
    slopes = fitted(rng, R, most, n)
    seen = gained(rng, slopes, n)
    found: dict[str, Array] = {}
    for candidates in CANDIDATES:
        best = seen[:, :candidates].argmin(axis=1)
        chosen = slopes[np.arange(R), best]
        found[f"val/{candidates}"] = seen[np.arange(R), best]
        found[f"test/{candidates}"] = gained(rng, chosen[:, None], 16 * n)[:, 0]
    return found


def fitted(rng: np.random.Generator, R: int, features: int, n: int) -> Array:
    """(R, features): x'y / x'x for each feature alone."""
    X, y = rng.normal(size=(R, features, n)), rng.normal(size=(R, 1, n))
    return np.asarray((X * y).sum(axis=2) / (X**2).sum(axis=2))


def gained(rng: np.random.Generator, slopes: Array, n: int) -> Array:
    """(R, K): mean of (y - a x)^2 - y^2 over n fresh rows, the same y for all K."""
    X, y = rng.normal(size=(*slopes.shape, n)), rng.normal(size=(slopes.shape[0], 1, n))
    return np.asarray((((y - slopes[..., None] * X) ** 2) - y**2).mean(axis=2))


@lru_cache
def expected(candidates: int, points: int = 1001) -> tuple[float, float]:
    """E of what the winner seems to gain, and of what it does: mean squared error less sigma^2 = 1, seen and true.

    The coefficient is a = u / sqrt(N), its true excess a^2, and the validation rows show a^2 - 2 a v / sqrt(N) to order
    1 / N, with independent standard normal u, v. The least of K: P(it is the i-th of all in order) is
    (1 - F_(i-1))^K - (1 - F_i)^K, F their cumulated probability; here on a grid of u and v.
    """
    z = np.linspace(-6, 6, points)
    p = stats.norm.pdf(z)
    u, v = z[:, None], z[None, :]
    weight, seen, true = (p[:, None] * p).ravel(), ((u**2 - 2 * u * v) / N).ravel(), (u**2 / N + 0 * v).ravel()
    order = np.argsort(seen)
    above = 1 - np.concatenate([[0.0], np.cumsum(weight[order]) / weight.sum()])
    least = -np.diff(np.maximum(above, 0) ** candidates)
    return float(least @ seen[order]), float(least @ true[order])


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
    yield control("T5.1", "the same for the loss without its factor 1/2, whose steps are twice as long", 0.0,
                  difference(rmse, valley, least, 2 * lr), 1e-9)  # fmt: skip
    best = lr[rmse.argmin()]
    yield claim("T5.1", f"best step of the {len(trials)} trials, over the one that theory gives", 1.0,
                study.exactly(best / valley.best), 0.05)  # fmt: skip
    safe = 1 / valley.eigenvalues[-1]
    yield control("T5.1", "the same over 1 / L, the step that is often recommended", 1.0,
                  study.exactly(best / safe), 0.05)  # fmt: skip
    long = Valley(valley.eigenvalues, valley.way, 3000).best
    limit = 2 / (valley.eigenvalues[0] + valley.eigenvalues[-1])
    yield claim("T5.1", "best step for 3000 steps over its limit 2 / (L + mu)", 1.0, study.exactly(long / limit), 2e-3)


def known(runs: Runs) -> tuple[Valley, float]:
    run = runs["t5_measures"].one(measure="descent")
    eigenvalues, way = (np.array([run[f"{name}/{j}"] for j in range(2)]) for name in ("eigenvalue", "way"))
    return Valley(eigenvalues, way, STEPS), run["least"]


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
        "T5.1", "random searches of 60 trials are as near as Bayesian ones", 0.0, miss(runs, "random/60"), 0.06
    )


def miss(runs: Runs, search: str) -> study.Interval:
    run = runs["t5_measures"].one(measure="descent")
    names = sorted(name for name in run.metrics if name.startswith("tpe/"))
    errors = [run[name] for name in names] if search == "tpe" else run.copies[search]
    return study.mean(np.abs(errors))


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


def errors(runs: Runs, part: str) -> Array:
    """(ridges, R): mean squared error; that on all rows there could be (`risk`) is sigma^2 + |w - w_true|^2."""
    ridges = [runs["t5_ridge"].one({"optimizer.ridge": ridge}) for ridge in RIDGES]
    return np.stack([risk(run) if part == "risk" else run.copies[f"{part}/rmse"] ** 2 for run in ridges])


def risk(run: Run) -> Array:
    """w_true by data.true_weights=null: w_j = (-1)^j c / (1 + j), |w_true| = data.signal = 2."""
    j = np.arange(sum(name.startswith("coefficient/") for name in run.copies))
    w_true = (-1.0) ** j / (1 + j)
    w_true *= 2 / np.linalg.norm(w_true)
    w = np.stack([run.copies[f"coefficient/x{i}"] for i in j], axis=1)
    return np.asarray(1 + ((w - w_true) ** 2).sum(axis=1))


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


def gain(runs: Runs, part: str, candidates: int) -> study.Interval:
    return study.mean(runs["t5_measures"].one(measure="winner").copies[f"{part}/{candidates}"])


def figures(runs: Runs) -> Iterator[Figure]:
    yield of_valley(runs)
    yield of_misses(runs)
    yield of_ridges(runs)
    yield of_winners(runs)


def of_valley(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    valley, least = known(runs)
    fine = np.geomspace(0.01, 1.3, 400)
    study.theory(axes, fine, np.exp(valley.log_excess(fine)), "theory")
    trials = runs["t5_search"]
    found = np.array([(float(run.params["optimizer.lr"]), run["train/rmse"] ** 2 - least) for run in trials])
    axes.plot(*found.T, "o", fillstyle="none", markersize=4, color=study.COLORS[0], label="trials of the search")
    axes.axvline(valley.best, color=study.COLORS[1], linewidth=1, label="best step")
    axes.set(xscale="log", yscale="log", xlim=(0.01, 1.4), ylim=(1e-8, 10))
    axes.set(xlabel="learning rate", ylabel="excess squared error after 30 steps")
    axes.legend(loc="lower left")
    return Figure(
        "T5.1",
        alt="The trials lie on the curve of theory, a narrow valley, and crowd at its bottom.",
        caption="What each trial of the Bayesian search found, on the curve that the eigenvalues give. Steps that are "
        "much too long or too short are outside of the figure.",
        drawing=drawing,
    )


def of_misses(runs: Runs) -> Figure:
    drawing, axes = study.panels(height=3.0)
    valley, _ = known(runs)
    fine = np.arange(3, 101)
    study.theory(axes, fine, [random_miss(valley, trials) for trials in fine], "random search, theory")
    study.estimates(axes, RANDOM, [miss(runs, f"random/{trials}") for trials in RANDOM], "random search")
    study.estimates(axes, [60], [miss(runs, "tpe")], "Bayesian search (TPE)", 1)
    axes.set(xscale="log", yscale="log", ylim=(2e-3, 3), xlabel="trials", ylabel="mean |log(found / best)|")
    axes.legend(loc="lower left")
    return Figure(
        "T5.1",
        alt="The miss of random search falls as one over the trials; Bayesian search with 60 trials is far below it.",
        caption="How far the step that a search finds is from the best one; 99 % intervals.",
        drawing=drawing,
    )


def of_ridges(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    at = np.arange(len(RIDGES))
    names = {"train": "60 fitted rows", "val": "20 validation rows", "test": "400 test rows"}
    for number, (part, label) in enumerate(names.items()):
        found = [study.mean(values) for values in errors(runs, part)]
        study.estimates(axes, list(at + 0.08 * (number - 1)), found, label, number)
    axes.set_xticks(at, [f"{ridge:g}" for ridge in RIDGES])
    axes.set(xlabel="ridge", ylabel="mean squared error", yscale="log")
    axes.legend()
    return Figure(
        "T5.2",
        alt="The error on fitted rows rises with the ridge; on validation and test rows it is least in between.",
        caption="Mean squared error against the ridge; means of the data sets with 99 % intervals.",
        drawing=drawing,
    )


def of_winners(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    fine = np.unique(np.geomspace(1, 100, 30).astype(int))
    for number, (part, label) in enumerate({"val": "on the validation rows", "test": "on new rows"}.items()):
        study.theory(axes, fine, [expected(int(k))[number] for k in fine], "_" if number else "theory")
        study.estimates(axes, CANDIDATES, [gain(runs, part, k) for k in CANDIDATES], label, number)
    axes.axhline(0, color=study.INK, linewidth=0.6)
    axes.set(xscale="log", xlabel="useless models to choose from", ylabel="squared error less that of no model")
    axes.legend()
    return Figure(
        "T5.3",
        alt="With more models to choose from the winner looks better on the validation rows and is worse on new ones.",
        caption="Mean squared error of the model with the least validation loss, less that of predicting zero, over "
        "the variance of the noise.",
        drawing=drawing,
    )
