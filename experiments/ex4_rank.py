"""Exercise 4: X'X without full rank.

4.1 What least squares says then. 4.2 Adding noise to X: once, and fresh in every step. 4.3 The expected X'X of noisy
features. 4.4 Where minibatch SGD ends. 4.5 The ridge, from next to nothing up (a later edition of the chapter).

Source:  D2L 3.1, exercise 4.
Command: make exercises EX=4
Cost:    15 s on 2 cores.
Expect:  the answer of minimum norm by the pseudo-inverse and by SGD from zero; a null coefficient of standard deviation
         s / (sigma sqrt(n - d - 1)) after noise that is added once, and the ridge answer after noise that is fresh in
         every step; E[X'X] + n sigma^2 I.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from noiseworks import study
from noiseworks.exact.naive import solve_by
from noiseworks.study import Claim, Figure, Run, Runs, claim, control

EXPERIMENTS = {
    "ex4_solvers": ["replicates=20"],
    "ex4_noise": ["replicates=150"],
    "ex4_gram": ["replicates=1000"],
    "ex4_steps": ["replicates=10"],
    "ex4_descent": ["replicates=10"],
    "ex4_ridge": ["replicates=10"],
}
d, SUM = 5, 1 / math.sqrt(2)
NULL = np.array([0.5, 0.5, 0.0, 0.0, -SUM])  # X NULL = 0 where x4 = (x0 + x1) / sqrt 2
ENTRIES = [(j, k) for j in range(d) for k in range(j, d)]
SINGULAR, CONDITIONS = ["twin", "sum", "wide"], [1e2, 1e4, 1e6]
OPTIMIZERS = {"minibatch_sgd": "SGD", "adam": "Adam", "adagrad": "AdaGrad"}
SOLVERS = ["inverse", "cholesky", "qr", "svd"]
SIGMAS = [0.03, 0.2, 1.0]
RIDGES = [1e-6, 1e-4, 0.25, 4.0]
LR, DECAY, STEPS = 0.05, 0.25, 400  # of ex4_steps; its fresh noise has the variance DECAY
WAYS = {"plain": {}, "momentum": {"momentum": 0.9}, "decay": {"weight_decay": DECAY}, "fresh": {"input_noise": 0.5}}
Array = NDArray[np.float64]


def measure(cfg):
    return {"solvers": solvers, "gram": gram}[cfg.measure](cfg)


def features(n: int, rng: np.random.Generator) -> Array:
    """(n, 5) of rank 4, as data=synthetic makes them."""
    X = rng.normal(size=(n, d))
    X[:, 4] = (X[:, 0] + X[:, 1]) * SUM
    return X


def solvers(cfg) -> dict[str, Array]:
    """What one solver says of each of many designs; no number where it raised.

    raised: 0 or 1. size: the norm of w. distance: to the answer of minimum norm (or, for a full-rank design, to the
    answer), over its norm. misfit: of the fitted values, over the norm of the best ones. exact_distance: of targets
    that fit without residuals.
    """
    kind = str(cfg.design)
    rng = np.random.default_rng([cfg.seed, *kind.encode()])
    found = np.array([solved(cfg.solver, *problem(kind, rng)) for _ in range(cfg.replicates)])
    return dict(zip(("raised", "size", "distance", "misfit", "exact_distance"), found.T))


def problem(kind: str, rng: np.random.Generator) -> tuple[Array, Array, Array]:
    """X (n, 5), the least-squares answer of minimum norm w, and residuals (n,) orthogonal to the columns of X."""
    if kind[0].isdigit():
        U, V = (np.linalg.qr(rng.normal(size=(n, d)))[0] for n in (20, d))
        X, rows = U * np.geomspace(1, 1 / float(kind), d) @ V.T, np.eye(d)
    else:
        X = features(4 if kind.startswith("wide") else 20, rng)
        if kind == "twin":
            X[:, 4] = X[:, 0]
        if kind == "wide_noisy":
            X = X + 0.1 * rng.normal(size=X.shape)
        U, s, Vt = np.linalg.svd(X, full_matrices=False)
        kept = s > 1e-9 * s[0]
        U, rows = U[:, kept], Vt[kept].T @ Vt[kept]
    e = rng.normal(size=len(X)) / math.sqrt(len(X)) * np.linalg.norm(X)
    return X, rows @ rng.normal(size=d), e - U @ (U.T @ e)


def solved(solver: str, X: Array, w: Array, e: Array) -> tuple[float, float, float, float, float]:
    try:
        found, exactly = (solve_by(solver, X, X @ w + noise) for noise in (e, 0 * e))
    except np.linalg.LinAlgError:
        return 1.0, math.nan, math.nan, math.nan, math.nan
    norm, fit = np.linalg.norm, X @ w
    distances = (float(norm(v - w) / norm(w)) for v in (found, exactly))
    misfit = float(norm(X @ found - fit) / norm(fit))
    distance, exact_distance = distances
    return 0.0, float(norm(found)), distance, misfit, exact_distance


def gram(cfg) -> dict[str, Array]:
    """G = (X + sigma N)'(X + sigma N) for one X and many N, in units of n sigma^2.

    g<j><k>: an entry of G - X'X. inverse: v'G^-1 v for the null direction v. degrees: e'fitted(e) of a ridge fit,
    with penalty n sigma^2, to noise e of variance one: its mean are the effective degrees of freedom, in `formula` by
    their own.
    """
    n, sigma, R = int(cfg.num_observations), float(cfg.sigma), cfg.replicates
    X = features(n, np.random.default_rng([cfg.seed, n]))
    rng = np.random.default_rng([cfg.seed, n, *str(cfg.law).encode(), int(10 * sigma)])
    N = sigma * draw(cfg.law, (R, n, d), rng)
    shift = X.T @ N
    shift = shift + np.swapaxes(shift, 1, 2) + np.swapaxes(N, 1, 2) @ N
    unit = n * sigma**2
    metrics = {f"g{j}{k}": shift[:, j, k] / unit for j, k in ENTRIES}
    metrics["inverse"] = np.linalg.solve(X.T @ X + shift, np.tile(NULL, (R, 1))[..., None])[..., 0] @ NULL * unit
    e = rng.normal(size=(R, n))
    fitted = e @ X @ np.linalg.solve(X.T @ X + unit * np.eye(d), X.T)
    s2 = np.linalg.svd(X, compute_uv=False) ** 2
    return metrics | {"degrees": (fitted * e).sum(axis=1), "formula": np.full(R, (s2 / (s2 + unit)).sum())}


def draw(law: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    """Of mean 0 and variance 1; `correlated` has a correlation of a half between the columns of a row."""
    if law == "uniform":
        return rng.uniform(-math.sqrt(3), math.sqrt(3), size=shape)
    if law == "laplace":
        return rng.laplace(scale=SUM, size=shape)
    N = rng.normal(size=shape)
    return N if law == "normal" else SUM * (N + rng.normal(size=(*shape[:-1], 1)))


def covariance() -> Array:
    """C (5, 5) of the features of data.rank=4."""
    A = np.vstack((np.eye(4), [SUM, SUM, 0.0, 0.0]))
    return np.asarray(A @ A.T)


def truth() -> Array:
    """w (5,) of data=synthetic: alternating signs, w_j proportional to 1 / (1 + j), norm 1."""
    w = (-1.0) ** np.arange(d) / (1 + np.arange(d))
    return np.asarray(w / np.linalg.norm(w))


def one_copy(sigma: float, n: int) -> tuple[float, float]:
    """Least squares on (X + sigma N, y): the variance of the null coefficient, and E (w_hat - w)'C(w_hat - w).

    Rows are normal, so that y = x~'w_r + e with w_r = (C + sigma^2)^-1 C w and e independent of x~, of variance
    s^2 = 1 + w'C(w - w_r). Given the noisy features w_hat has mean w_r and covariance s^2 (X~'X~)^-1, whose mean, of an
    inverse Wishart matrix, is s^2 (C + sigma^2)^-1 / (n - d - 1).
    """
    C, w = covariance(), truth()
    inverse = np.linalg.inv(C + sigma**2 * np.eye(d))
    w_r = inverse @ C @ w
    spread = (1 + w @ C @ (w - w_r)) * inverse / (n - d - 1)
    return float(NULL @ spread @ NULL), float((w_r - w) @ C @ (w_r - w) + np.trace(C @ spread))


def claims(runs: Runs) -> Iterator[Claim]:
    yield from singular(runs)
    yield from nearly_singular(runs)
    yield from noise_once(runs)
    yield from noise_in_every_step(runs)
    yield from expectation(runs)
    yield from descent(runs)
    yield from ridge(runs)


def weights(run: Run) -> Array:
    """(R, 5)."""
    return np.stack([run.copies[f"coefficient/x{j}"] for j in range(d)], axis=1)


def null(run: Run) -> Array:
    """The part of each answer along the direction that the data say nothing about (R,)."""
    return weights(run) @ NULL


def worst(runs: Runs, solver: str, name: str, *designs: str) -> study.Interval:
    """The largest over some designs, where the solver returned anything."""
    found = [runs["ex4_solvers"].one(solver=solver, design=design).copies[name] for design in designs]
    return study.exactly(np.nanmax(np.concatenate(found)))


def singular(runs: Runs) -> Iterator[Claim]:
    sweep = runs["ex4_solvers"]
    sentence = "on a singular design {} gives the answer of minimum norm (largest relative distance)"
    yield claim("4.1", sentence.format("the pseudo-inverse"), 0.0, worst(runs, "svd", "distance", *SINGULAR), 1e-9)
    for solver, how in {"inverse": "inversion of X'X", "cholesky": "Cholesky", "qr": "plain QR"}.items():
        designs = SINGULAR if solver != "qr" else SINGULAR[:2]
        said = f"{sentence.format(how)}, where it does not raise"
        yield control("4.1", said, 0.0, worst(runs, solver, "distance", *designs), 1e-9)
    raised = [study.proportion(sweep.one(solver="qr", design=design).copies["raised"]) for design in ("wide", "sum")]
    yield claim("4.1", "plain QR raises if there are fewer rows than columns (share)", 1.0, raised[0], 0.15)
    yield control("4.1", "plain QR raises if a column is the sum of two others (share)", 1.0, raised[1], 0.15)
    said = "where {} returns, its fit is as good as the best one (largest difference)"
    yield claim("4.1", said.format("Cholesky"), 0.0, worst(runs, "cholesky", "misfit", *SINGULAR), 1e-9)
    yield control("4.1", said.format("inversion of X'X"), 0.0, worst(runs, "inverse", "misfit", *SINGULAR), 1e-9)
    digits = -math.log10(np.finfo(float).eps)
    for judge, solver, how in ((claim, "qr", "plain QR"), (control, "svd", "the pseudo-inverse")):
        size = study.mean(np.log10(sweep.one(solver=solver, design="sum").copies["size"]))
        yield judge("4.1", f"log10 |w| of {how} is that of 1 / eps", digits, size, 1.0)


def digits_lost(runs: Runs, solver: str, name: str) -> study.Interval:
    """The slope of log error by log condition, fitted to each copy."""
    errors = [runs["ex4_solvers"].one(solver=solver, design=kappa).copies[name] for kappa in CONDITIONS]
    return study.mean(np.polyfit(np.log(CONDITIONS), np.log(np.maximum(errors, 1e-18)), 1)[0])


def nearly_singular(runs: Runs) -> Iterator[Claim]:
    sentence = "the error of {} grows as the condition to the power {}"
    normal, qr = (digits_lost(runs, solver, "exact_distance") for solver in ("cholesky", "qr"))
    yield claim("4.1", sentence.format("the normal equations", 2) + ", no residuals", 2.0, normal, 0.2)
    yield claim("4.1", sentence.format("QR", 1) + ", no residuals", 1.0, qr, 0.2)
    yield claim("4.1", sentence.format("QR", 2) + ", residuals", 2.0, digits_lost(runs, "qr", "distance"), 0.2)
    yield control("4.1", sentence.format("the normal equations", 1) + ", no residuals", 1.0, normal, 0.2)


def clean_error(run: Run) -> Array:
    """The expected squared error of each answer's predictions at clean features: (w_hat - w)'C(w_hat - w)."""
    off = weights(run) - truth()
    return np.einsum("rj,jk,rk->r", off, covariance(), off)


def noise_once(runs: Runs) -> Iterator[Claim]:
    for sigma in SIGMAS:
        run, (variance, error) = runs["ex4_noise"].one({"data.input_noise": sigma}), one_copy(sigma, 50)
        said = f"variance of the null coefficient over s^2 / (sigma^2 (n - d - 1)), noise added once, sigma = {sigma}"
        yield claim("4.2", said, 1.0, study.variance(null(run), variance), 0.4)
        said = f"its predictions at clean features have the error of the formula, sigma = {sigma}"
        yield claim("4.2", said, error, study.mean(clean_error(run)), 0.2 * error)
    run, (variance, error) = runs["ex4_noise"].one({"data.input_noise": 0.2}), one_copy(0.2, 50)
    ridge_answer = runs["ex4_ridge"].one({"optimizer.ridge": 0.25}, **{"optimizer.method": "auto"})
    said = "the null coefficient of the ridge answer varies as much as that of one noisy copy, sigma = 0.5"
    yield control("4.2", said, 1.0, study.exactly(null(ridge_answer).var() / one_copy(0.5, 200)[0]), 0.4)
    said = "predictions off the subspace of the features are as good as on it, sigma = 0.2"
    yield control("4.2", said, error, study.mean(null(run) ** 2), 0.2 * error)
    share = study.proportion(runs["ex4_solvers"].one(solver="qr", design="wide_noisy").copies["raised"])
    yield claim("4.2", "fewer rows than columns: plain QR raises on noisy features as well (share)", 1.0, share, 0.15)


def way(runs: Runs, name: str) -> Run:
    """One of WAYS in ex4_steps."""
    own = {"momentum": 0.0, "weight_decay": 0.0, "input_noise": 0.0} | WAYS[name]
    keys = {"input_noise": "data.input_noise"}
    return runs["ex4_steps"].one({keys.get(key, f"optimizer.{key}"): value for key, value in own.items()})


def towards_ridge(runs: Runs, name: str) -> study.Interval:
    """How far the answers went from the one of minimum norm (0) towards the ridge answer (1), on the same data."""
    least, most = (
        weights(runs["ex4_ridge"].one({"optimizer.ridge": r, "optimizer.method": "auto"})) for r in (1e-6, DECAY)
    )
    full = most - least
    return study.mean(((weights(way(runs, name)) - least) * full).sum(axis=1) / (full**2).sum(axis=1))


def noise_in_every_step(runs: Runs) -> Iterator[Claim]:
    sentence = "share of the way from minimum norm to ridge(n sigma^2) that steps go with {}"
    yield claim("4.2", sentence.format("fresh noise of variance sigma^2"), 1.0, towards_ridge(runs, "fresh"), 0.2)
    yield claim("4.2", sentence.format("a weight decay of sigma^2"), 1.0, towards_ridge(runs, "decay"), 0.2)
    yield control("4.2", sentence.format("neither"), 1.0, towards_ridge(runs, "plain"), 0.2)


def farthest(run: Run, added: Array) -> study.Interval:
    """Of the 15 entries of E[G - X'X] / (n sigma^2), less `added`, the one that is farthest from zero."""
    off = [study.mean(run.copies[f"g{j}{k}"] - added[j, k]) for j, k in ENTRIES]
    return max(off, key=lambda interval: abs(interval.estimate))


def noisy(runs: Runs, law: str, n: int, sigma: float) -> Run:
    return runs["ex4_gram"].one(law=law, num_observations=n, sigma=sigma)


def expectation(runs: Runs) -> Iterator[Claim]:
    said, one = "the entry of E[X'X] that is farthest from {}, over n sigma^2: {} noise, n = {}", np.eye(d)
    for law in ("normal", "uniform", "laplace"):
        for n in (20, 100):
            sentence = said.format("X'X + n sigma^2 I", law, n)
            yield claim("4.3", sentence, 0.0, farthest(noisy(runs, law, n, 0.5), one), 0.1)
    shown = noisy(runs, "normal", 100, 0.5)
    sentence = said.format("X'X + n sigma^2 I", "correlated", 100)
    yield control("4.3", sentence, 0.0, farthest(noisy(runs, "correlated", 100, 0.5), one), 0.1)
    yield control("4.3", said.format("X'X + sigma^2 I", "normal", 100), 0.0, farthest(shown, one / 100), 0.1)
    for power, what, pair in ((1, "n", [(20, 2.0), (100, 2.0)]), (2, "sigma", [(100, 0.5), (100, 2.0)])):
        shift = [noisy(runs, "normal", *at).copies["g22"] * at[0] * at[1] ** 2 for at in pair]
        x = [at[power - 1] for at in pair]
        yield claim("4.3", f"what is added grows as {what} to the power {power}", power, study.slope(x, shift), 0.1)
    small = study.mean(noisy(runs, "normal", 20, 2.0).copies["inverse"])
    said = "v'E[(X'X)^-1]v n sigma^2 of the null direction is {}, n = 20"
    yield claim("4.3", said.format("n / (n - d - 1)"), 20 / (20 - d - 1), small, 0.1)
    yield control("4.3", said.format("1, as of the inverse of the mean"), 1.0, small, 0.1)


def distance(runs: Runs, optimizer: str, start: float) -> Array:
    """To the answer of minimum norm (R,)."""
    return runs["ex4_descent"].one({"model.init_scale": start}, optimizer=optimizer).copies["param/error"]


def descent(runs: Runs) -> Iterator[Claim]:
    sentence = "distance of {} to the answer of minimum norm, 5 rows and 40 columns ({})"
    starts = [(claim, "minibatch_sgd", 0.0), *((control, o, 0.0) for o in ("adam", "adagrad"))]
    for judge, optimizer, start in (*starts, (control, "minibatch_sgd", 1.0)):
        far = distance(runs, optimizer, start)
        where, which = "zero" if start == 0 else "elsewhere", "largest" if judge is claim else "smallest"
        said = sentence.format(f"{OPTIMIZERS[optimizer]} from {where}", which)
        yield judge("4.4", said, 0.0, study.exactly(far.max() if judge is claim else far.min()), 1e-4)
    square = study.mean(distance(runs, "minibatch_sgd", 1.0) ** 2)
    yield claim(
        "4.4",
        "squared distance of SGD from elsewhere: what no row sees of the start, (d - n) / d",
        35 / 40,
        square,
        0.2,
    )
    fits = [runs["ex4_descent"].one({"model.init_scale": s}, optimizer="minibatch_sgd") for s in (0.0, 1.0)]
    fit = np.abs(fits[0].copies["train/rmse"] - fits[1].copies["train/rmse"]).max()
    yield claim("4.1", "weights from two starts fit equally well (difference of rmse)", 0.0, study.exactly(fit), 1e-4)
    apart = np.linalg.norm(
        [fits[0].copies[f"coefficient/x{j}"] - fits[1].copies[f"coefficient/x{j}"] for j in range(40)], axis=0
    )
    yield control("4.1", "and are the same weights (smallest distance)", 0.0, study.exactly(apart.min()), 1e-4)
    yield from null_parts(runs)


def null_path(run: Run) -> Array:
    """(steps, R)."""
    path = run.trajectory
    parts = sum(NULL[j] * path[f"x{j}"] for j in range(d))
    return np.asarray(parts).reshape(-1, len(set(path["replicate"].tolist())))


def null_parts(runs: Runs) -> Iterator[Claim]:
    plain, decay, fresh = (null(way(runs, name)) for name in ("plain", "decay", "fresh"))
    said = "the null part {} in 400 steps of minibatch SGD with {} (largest change)"
    for name, judge, what in (
        ("plain", claim, "nothing else"),
        ("momentum", claim, "momentum"),
        ("fresh", control, "fresh noise"),
    ):
        path = null_path(way(runs, name))
        yield judge("4.4", said.format("does not move", what), 0.0, study.exactly(np.abs(path - path[0]).max()), 1e-10)
    for name, judge, part in (("weight decay", claim, decay), ("fresh noise", control, fresh)):
        left = np.abs(part / plain / (1 - LR * DECAY) ** STEPS - 1).max()
        yield judge("4.4", said.format("shrinks by 1 - lr decay", name), 0.0, study.exactly(left), 1e-6)


def penalized(runs: Runs, method: str, penalty: float) -> Run:
    return runs["ex4_ridge"].one({"optimizer.ridge": penalty, "optimizer.method": method})


def ridge(runs: Runs) -> Iterator[Claim]:
    gap = max(
        np.abs(weights(penalized(runs, "inverse", r)) - weights(penalized(runs, "auto", r))).max() for r in RIDGES[1:]
    )
    yield claim(
        "4.5", "with a ridge of 1e-4 and more plain inversion works (largest error)", 0.0, study.exactly(gap), 1e-8
    )
    without = worst(runs, "inverse", "distance", "sum")
    yield control("4.5", "without one plain inversion works (largest relative error)", 0.0, without, 1e-8)
    parts = max(np.abs(null(penalized(runs, "auto", r))).max() for r in RIDGES)
    yield claim("4.5", "the ridge answer has no null part at any penalty", 0.0, study.exactly(parts), 1e-8)
    once = np.abs(null(runs["ex4_noise"].one({"data.input_noise": 1.0}))).max()
    yield control("4.5", "the answer from one noisy copy has none", 0.0, study.exactly(once), 1e-8)
    for judge, pair, where in ((claim, RIDGES[:2], "1e-6 to 1e-4"), (control, RIDGES[2:], "0.25 to 4")):
        far = [penalized(runs, "inverse", r).copies["param/error"] for r in pair]
        said = f"the distance to the answer of minimum norm is proportional to the penalty, from {where}"
        yield judge("4.5", said, 1.0, study.slope(pair, far), 0.1)
    run = noisy(runs, "normal", 100, 0.5)
    formula, degrees = float(run.copies["formula"][0]), study.mean(run.copies["degrees"])
    yield claim("4.5", "effective degrees of freedom are sum s^2 / (s^2 + penalty)", formula, degrees, 0.2)
    yield control("4.5", "they are the rank", 4.0, degrees, 0.2)


def figures(runs: Runs) -> Iterator[Figure]:
    yield from (
        condition_figure(runs),
        copy_figure(runs),
        entries_figure(runs),
        *path_figures(runs),
        ridge_figure(runs),
    )


def condition_figure(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    lines = [("cholesky", "exact_distance", "X'X, no residuals"), ("qr", "exact_distance", "QR, no residuals")]
    for number, (solver, name, label) in enumerate([*lines, ("qr", "distance", "QR, residuals")]):
        errors = [runs["ex4_solvers"].one(solver=solver, design=kappa).copies[name] for kappa in CONDITIONS]
        study.estimates(axes, CONDITIONS, [study.quantile(error, 0.5) for error in errors], label, number)
    for power, start in ((1, 1e-17), (2, 1e-17)):
        study.theory(
            axes, CONDITIONS, [start * kappa**power for kappa in CONDITIONS], "slopes 1 and 2" if power == 1 else "_"
        )
    axes.set(xscale="log", yscale="log", xlabel="condition of X", ylabel="relative error of w")
    axes.legend()
    return Figure(
        "4.1",
        alt="On logarithmic scales straight lines: steep for X'X, and for QR where there are residuals.",
        caption="Median relative error of the weights in float64, with 99 % intervals; dashed: slopes 1 and 2.",
        drawing=drawing,
    )


def copy_figure(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    noise = [runs["ex4_noise"].one({"data.input_noise": sigma}) for sigma in SIGMAS]
    study.estimates(axes, SIGMAS, [study.mean(null(run) ** 2) for run in noise], "of the null coefficient")
    study.estimates(axes, SIGMAS, [study.mean(clean_error(run)) for run in noise], "of predictions", 1)
    grid = np.geomspace(0.02, 1.5, 60)
    known = np.array([one_copy(float(sigma), 50) for sigma in grid])
    study.theory(axes, grid, known[:, 0], color=study.COLORS[0])
    study.theory(axes, grid, known[:, 1], label="_", color=study.COLORS[1])
    axes.set(xscale="log", yscale="log", xlabel="noise added once, sigma", ylabel="mean squared error")
    axes.legend()
    return Figure(
        "4.2",
        alt="The error of the null coefficient falls from 27 to 0.03 as sigma grows; that of predictions only rises.",
        caption="Least squares on one noisy copy of 50 rows of rank 4 of 5. Less noise makes the null coefficient "
        "wilder, and leaves predictions at clean features alone. Points: simulation with 99 % intervals.",
        drawing=drawing,
    )


def entries_figure(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    for number, law in enumerate(("normal", "laplace", "correlated")):
        copies = noisy(runs, law, 20, 0.5).copies
        at = np.arange(len(ENTRIES)) + 0.2 * (number - 1)
        study.estimates(axes, at.tolist(), [study.mean(copies[f"g{j}{k}"]) for j, k in ENTRIES], law, number)
    expected = [float(j == k) for j, k in ENTRIES]
    axes.scatter(range(len(ENTRIES)), expected, marker="_", s=260, color=study.INK, linewidths=1, label="identity")
    axes.set_xticks(range(len(ENTRIES)), [f"{j + 1}{k + 1}" for j, k in ENTRIES])
    axes.set(xlabel="entry (row, column)", ylabel="what is added, over n sigma^2")
    axes.set_ylim(-0.1, 1.35)
    axes.legend(ncols=4, loc="upper center")
    return Figure(
        "4.3",
        alt="One on the diagonal and zero beside it; for correlated noise a half beside it.",
        caption="Mean of X'X after noise less X'X before, entry by entry, with 99 % intervals; dashes: the identity.",
        drawing=drawing,
    )


def path_figures(runs: Runs) -> Iterator[Figure]:
    drawing, axes = study.panels()
    for name, style, color in zip(WAYS, ("-", ":", "--", "-"), study.COLORS):
        axes.plot(null_path(way(runs, name))[:, 0], color=color, linestyle=style, linewidth=1.6, label=name)
    axes.set(xlabel="step", ylabel="null part of the weights")
    axes.legend()
    yield Figure(
        "4.4",
        alt="Two flat lines, plain and momentum; weight decay falls smoothly to zero, fresh noise does so with jumps.",
        caption="The part of the weights along the direction that no row sees, in one run from a random start: plain "
        "steps and momentum leave it alone, weight decay and fresh noise on the features take it away.",
        drawing=drawing,
    )
    drawing, axes = study.panels()
    for optimizer, style, color in zip(OPTIMIZERS, ("-", "--", ":"), study.COLORS):
        for start, width in ((0.0, 2.0), (1.0, 0.9)):
            found = runs["ex4_descent"].one({"model.init_scale": start}, optimizer=optimizer)
            steps, values = found.curve("param/error")
            label = f"{OPTIMIZERS[optimizer]}, {'zero' if start == 0 else 'elsewhere'}"
            axes.semilogy(steps, values, color=color, linestyle=style, linewidth=width, label=label)
    axes.set(xlabel="step", ylabel="distance to minimum norm")
    axes.legend(loc="center right")
    yield Figure(
        "4.4",
        alt="Only the curve of SGD from zero falls to rounding errors; all others stay above a tenth.",
        caption="Mean distance to the answer of minimum norm, 5 rows and 40 columns; from zero and from elsewhere.",
        drawing=drawing,
    )


def ridge_figure(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    far = [study.mean(penalized(runs, "inverse", r).copies["param/error"]) for r in RIDGES]
    study.estimates(axes, RIDGES, far, "plain inversion")
    grid, C, w = np.geomspace(1e-6, 10, 60), covariance(), truth()
    least = np.linalg.pinv(C) @ C @ w
    path = [np.linalg.norm(np.linalg.solve(C + r * np.eye(d), C @ w) - least) for r in grid]
    study.theory(axes, grid, path, "with infinitely many rows")
    axes.set(xscale="log", yscale="log", xlabel="penalty / n", ylabel="distance to minimum norm")
    axes.legend()
    return Figure(
        "4.5",
        alt="A straight line of slope one that bends to the right from a penalty of about one.",
        caption="The ridge answer leaves that of minimum norm in proportion to the penalty, until all is shrunk.",
        drawing=drawing,
    )
