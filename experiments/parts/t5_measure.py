"""T5: what is measured: searches for the best step, and what the winner of many useless models gains."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import optimize

LOW, HIGH = 1e-3, 10.0  # where learning rates are searched
RANDOM = [5, 15, 60]  # trials of a random search
CANDIDATES = [1, 4, 16, 64]
Array = NDArray[np.float64]


def measure(cfg) -> dict[str, Array | float]:
    return {"descent": descent, "winner": winner}[cfg.measure](cfg)


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
    found |= {f"rate/{name}": rate(X, w_star, *of) for name, of in momenta(eigenvalues).items()}
    rng = np.random.default_rng([cfg.seed, 51])
    found |= {f"random/{trials}": random_search(valley, rng, cfg.replicates, trials) for trials in RANDOM}
    return found | {f"tpe/{k}": bayesian_search(valley, [cfg.seed, k], cfg.trials) for k in range(cfg.studies)}


def momenta(eigenvalues: Array) -> dict[str, tuple[float, float]]:
    """Step and momentum: the best of gradient descent and of the heavy ball (Polyak, "Some methods of speeding up the
    convergence of iteration methods", 1964), and the latter's step with the momentum that is usual."""
    least, most = np.sqrt(eigenvalues[[0, -1]])
    ball = float(4 / (most + least) ** 2)
    best = float(((most - least) / (most + least)) ** 2)
    return {"descent": (float(2 / (most**2 + least**2)), 0.0), "ball": (ball, best), "usual": (ball, 0.9)}


def rate(X: Array, start: Array, lr: float, momentum: float, steps: int = 200) -> float:
    """By which factor a step of torch.optim.SGD on half the mean square shortens w, in 200 steps after the first 200.
    The labels are 0, so that w is its own distance to the minimum and has all its digits, however small it becomes.
    Where it swings to and fro, its largest size of 20 steps counts."""
    import torch

    A, w = torch.from_numpy(X), torch.tensor(start, requires_grad=True)
    optimizer, sizes = torch.optim.SGD([w], lr=lr, momentum=momentum), []
    for _ in range(2 * steps):
        optimizer.zero_grad()
        ((A @ w) ** 2 / 2).mean().backward()
        optimizer.step()
        sizes.append(float(w.detach().norm()))
    return float((max(sizes[-20:]) / max(sizes[steps - 20 : steps])) ** (1 / steps))


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
