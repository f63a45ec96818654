"""Exercise 5: Laplace noise, the absolute loss, and why SGD does not settle on it.

5.1 The negative log-likelihood, and what the wrong law costs. 5.2 No closed form: a linear program, its vertices, and
how precise its answer is against least squares. 5.3 Minibatch SGD hops around the optimum; how far, and the repairs.

Source:  D2L 3.1, exercise 5.
Command: make exercises EX=5
Cost:    15 s on 2 cores.
Expect:  0.0724 nat an example for Gauss's loss on Laplace's data; an efficiency that tends to 2 (Laplace) and 2 / pi
         (Gauss); a loss gap of lr d / (4 B) for small steps, and a distance proportional to lr without label noise.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import integrate, optimize, stats
from scipy.special import erfcx, ndtr

from noiseworks import study
from noiseworks.exact.many import solve_many
from noiseworks.noise import Gaussian, Laplace
from noiseworks.study import Claim, Figure, Interval, Run, Runs, claim, control
from noiseworks.study.absolute import linear_program, multiplier, weighted_median
from noiseworks.study.hopping import Hopping, absolute_gap, sharp_floor, squared_floor

EXPERIMENTS = {
    "ex5_likelihood": ["replicates=8"],
    "ex5_estimators": ["replicates=60"],
    "ex5_floor": ["replicates=8"],
    "ex5_repairs": ["replicates=40"],
    "ex5_smoothing": ["replicates=10"],
}
LAWS = ["gaussian", "laplace", "student_t"]
TITLES = {"gaussian": "Gauss's law", "laplace": "Laplace's law", "student_t": "Student's law (4 degrees)"}
DENSITIES = {"gaussian": stats.norm, "laplace": stats.laplace, "student_t": stats.t(4)}
LOSSES = {  # -log p(y) at scale 1
    "gaussian": lambda y: y**2 / 2 + np.log(2 * np.pi) / 2,
    "laplace": lambda y: y + np.log(2),
    "student_t": lambda y: -stats.t(4).logpdf(y),
}
SIZES = [40, 160, 640]
STEPS = [0.0125, 0.025, 0.05, 0.1, 0.2, 0.4, 0.8]
D, B = 5, 10  # features and minibatch of the runs of 5.3
TRUE = np.array([1, -1 / 2, 1 / 3, -1 / 4, 1 / 5])
TRUE = TRUE / np.linalg.norm(TRUE)
Array = NDArray[np.float64]


def cross_entropy(truth: str, assumed: str) -> float:
    """min over the scale of -E log p(y) for y of scale 1, by Gauss and Legendre's rule in t, y = sinh t."""
    t, weight = np.polynomial.legendre.leggauss(400)
    t = 7 * (t + 1)
    y, mass = np.sinh(t), 14 * weight * np.cosh(t) * DENSITIES[truth].pdf(np.sinh(t))

    def expected(log_scale: float) -> float:
        return float(mass @ (log_scale + LOSSES[assumed](y / np.exp(log_scale))))

    return float(optimize.minimize_scalar(expected, bracket=(-1, 1), tol=1e-10).fun)


def measure(cfg) -> dict[str, Array | float]:
    """Squared errors of the slope of one feature through the origin, the true slope 0, each the mean over a few
    samples; for 40 observations also what an answer is made of."""
    rng = np.random.default_rng([cfg.seed, LAWS.index(cfg.law), cfg.num_observations])
    R, n = cfg.replicates, cfg.num_observations
    found = {"absolute": np.empty(R), "squared": np.empty(R)}
    for rows in np.array_split(np.arange(R), max(1, R * cfg.samples * n // 2**20)):
        x, e = rng.normal(size=(len(rows), cfg.samples, n)), draw(cfg.law, (len(rows), cfg.samples, n), rng)
        found["absolute"][rows] = (weighted_median(e / x, np.abs(x)) ** 2).mean(axis=1)
        found["squared"][rows] = (((x * e).sum(-1) / (x**2).sum(-1)) ** 2).mean(axis=1)
    return found | (answer(cfg.law, rng) if n == 40 else {})


def draw(law: str, shape: tuple[int, ...], rng: np.random.Generator) -> Array:
    return rng.laplace(size=shape) if law == "laplace" else rng.normal(size=shape)


def answer(law: str, rng: np.random.Generator, K: int = 20, n: int = 30) -> dict[str, float]:
    """Of K fits of n rows on (1, x1, x2): the rows that are met, certificates, objectives, and whether fits add up."""
    X = np.concatenate([np.ones((K, n, 1)), rng.normal(size=(K, n, 2))], axis=2)
    y, other = draw(law, (2, K, n), rng)
    absolute, squared = fitted(Laplace(), X, y), fitted(Gaussian(), X, y)
    vertex = np.linalg.solve(X[:, :3], y[:, :3, None])[..., 0]  # the plane through the first three rows
    met = [(np.abs(residuals(X, y, theta)) < 1e-9).sum(axis=1) for theta in (absolute, squared)]
    value = np.abs(residuals(X, y, absolute)).sum(axis=1)
    programs = np.array([linear_program(X[k], y[k]) for k in range(K)])
    even = np.repeat(np.eye(2), 10, axis=0)  # two groups of ten
    groups = solve_many(Laplace(), torch.from_numpy(even), torch.from_numpy(y[:, :20].copy()))
    return {
        "met/absolute/least": float(met[0].min()),
        "met/absolute/most": float(met[0].max()),
        "met/squared": float(met[1].max()),
        "multiplier/absolute": max(multiplier(X[k], y[k], absolute[k]) for k in range(K)),
        "multiplier/vertex": max(multiplier(X[k], y[k], vertex[k]) for k in range(K)),
        "program/absolute": float(np.abs(value / programs - 1).max()),
        "program/squared": float(np.abs(np.abs(residuals(X, y, squared)).sum(axis=1) / programs - 1).max()),
        "sum/absolute": float(np.abs(fitted(Laplace(), X, y + other) - absolute - fitted(Laplace(), X, other)).max()),
        "sum/squared": float(np.abs(fitted(Gaussian(), X, y + other) - squared - fitted(Gaussian(), X, other)).max()),
        "groups/unique": float(groups.unique.mean()),
    }


def fitted(noise: Gaussian | Laplace, X: Array, y: Array) -> Array:
    return solve_many(noise, torch.from_numpy(X), torch.from_numpy(y)).theta


def residuals(X: Array, y: Array, theta: Array) -> Array:
    return y - (X @ theta[..., None])[..., 0]


def absolute_error(law: str, n: int) -> float:
    """n E[slope^2] of one normal feature. The slope is above t where S(t) = sum |x| sign(e / x - t) is above 0, which
    is close to normal with mean -n m(t), m(t) = E |x| (2 F(|x| t) - 1), and variance n (1 - m^2)."""

    def tail(t: float) -> float:
        m = t * erfcx(t / np.sqrt(2)) if law == "laplace" else np.sqrt(2 / np.pi) * t / np.sqrt(1 + t**2)
        return float(4 * t * ndtr(-np.sqrt(n) * m / np.sqrt(1 - m**2)))

    return n * integrate.quad(tail, 0, 12 / np.sqrt(n), limit=200)[0]


def efficiency(law: str, n: int) -> float:
    """E[slope^2] of least squares, sigma^2 / (n - 2) exactly, over that of the absolute loss."""
    return float(DENSITIES[law].var() * n / (n - 2) / absolute_error(law, n))


def limit(law: str) -> float:
    """4 f(0)^2 sigma^2: 2 for Laplace's law, 2 / pi for Gauss's."""
    return float(4 * DENSITIES[law].pdf(0.0) ** 2 * DENSITIES[law].var())


def claims(runs: Runs) -> Iterator[Claim]:
    yield from likelihoods(runs)
    yield from programs(runs)
    yield from estimators(runs)
    yield from hops(runs)
    yield from repairs(runs)


def law(runs: Runs, truth: str, assumed: str) -> Run:
    return runs["ex5_likelihood"].one({"noise@data.noise": truth}, noise=assumed)


def price(runs: Runs, truth: str, assumed: str) -> Interval:
    """What the wrong law costs on rows that were held out, of the same data sets."""
    return study.mean(law(runs, truth, assumed).copies["test/nll"] - law(runs, truth, truth).copies["test/nll"])


def written_out(run: Run) -> Interval:
    """The largest difference to log(2 b) + mean |r| / b."""
    scale = run.copies["scale"]
    terms = np.log(2 * scale) + run.copies["train/mae"] / scale
    return study.exactly(np.abs(run.copies["train/nll"] - terms).max())


def likelihoods(runs: Runs) -> Iterator[Claim]:
    sentence = "the negative log-likelihood is log(2 b) + mean |r| / b, with the b that was fitted"
    own, other = law(runs, "laplace", "laplace"), law(runs, "laplace", "gaussian")
    yield claim("5.1", sentence, 0.0, written_out(own), 1e-9)
    yield control("5.1", f"{sentence}; of the Gaussian fit", 0.0, written_out(other), 1e-9)
    best = [study.exactly(np.abs(run.copies["scale"] / run.copies["train/mae"] - 1).max()) for run in (own, other)]
    yield claim("5.1", "the most likely b is the mean |r|", 0.0, best[0], 1e-9)
    yield control("5.1", "the most likely sigma of the Gaussian fit is the mean |r|", 0.0, best[1], 1e-9)
    for truth, assumed, margin in (("laplace", "gaussian", 0.01), ("gaussian", "laplace", 0.005)):
        exact = cross_entropy(truth, assumed) - cross_entropy(truth, truth)
        sentence = f"assuming {TITLES[assumed]} under {TITLES[truth]} costs {exact:.4f} nat an example"
        yield claim("5.1", sentence, exact, price(runs, truth, assumed), margin)
        yield control("5.1", sentence.replace(f"{exact:.4f}", "no"), 0.0, price(runs, truth, assumed), margin)


def programs(runs: Runs) -> Iterator[Claim]:
    for number, truth in enumerate(LAWS[:2]):
        run = runs["ex5_estimators"].one(law=truth, num_observations=40)
        found = {name: study.exactly(run[name]) for name in run.metrics}
        under = f"30 rows, 3 parameters, {TITLES[truth]}"
        adds = "the fit of y + y' is the fit of y plus that of y'"
        yield claim("5.2", f"{adds}: least squares, {under}", 0.0, found["sum/squared"], 1e-9)
        yield control("5.2", f"{adds}: absolute loss, {under}", 0.0, found["sum/absolute"], 1e-9)
        program = "the sum of |r| is that of the linear program"
        yield claim("5.2", f"{program}: absolute loss, {under}", 0.0, found["program/absolute"], 1e-9)
        yield control("5.2", f"{program}: least squares, {under}", 0.0, found["program/squared"], 1e-9)
        for side in ("least", "most"):
            sentence = f"the {side} rows that the answer meets exactly are 3: absolute loss, {under}"
            yield claim("5.2", sentence, 3.0, found[f"met/absolute/{side}"], 0.5)
        yield control("5.2", f"the same: least squares, {under}", 3.0, found["met/squared"], 0.5)
        certificate = "no |z| of the certificate is above 1"
        over = [study.exactly(max(run[f"multiplier/{who}"] - 1, 0)) for who in ("absolute", "vertex")]
        yield claim("5.2", f"{certificate}: absolute loss, {under}", 0.0, over[0], 1e-9)
        yield control("5.2", f"{certificate}: the plane through the first 3 rows, {under}", 0.0, over[1], 1e-9)
        if number == 0:
            yield claim("5.2", "two groups of ten: no answer is the only one", 0.0, found["groups/unique"], 1e-9)


def relative(runs: Runs, truth: str, n: int) -> Interval:
    run = runs["ex5_estimators"].one(law=truth, num_observations=n)
    return study.ratio_of_means(run.copies["squared"], run.copies["absolute"])


def estimators(runs: Runs) -> Iterator[Claim]:
    for truth in LAWS[:2]:
        sentence = f"var(least squares) / var(absolute loss), {TITLES[truth]}"
        for n in SIZES:
            exact = efficiency(truth, n)
            yield claim("5.2", f"{sentence}, n = {n}", exact, relative(runs, truth, n), 0.1 * exact)
        wrong = limit("laplace") if truth == "laplace" else 1.0
        said = f"{sentence} is {wrong:g}, n = 40"
        yield control("5.2", said, wrong, relative(runs, truth, 40), 0.1 * wrong)


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


def arrived(run: Run) -> Interval:
    """The largest |w - w_true|^2 after the last step."""
    return study.exactly((distances(run)[-1] ** 2).max())


def growth(runs: Runs, noise: str, scale: float, power: int) -> Interval:
    """The slope on log-log paper over the four smallest steps."""
    values = [level(steady(runs, noise, scale, lr), power) for lr in STEPS[:4]]
    return study.slope(STEPS[:4], np.array(values))


def hops(runs: Runs) -> Iterator[Claim]:
    noisy = "with label noise"
    gap = growth(runs, "laplace", 1.0, 0)
    yield claim("5.3", f"absolute loss, {noisy}: the loss gap grows like lr^1", 1.0, gap, 0.12)
    near = growth(runs, "laplace", 1.0, 1)
    yield claim("5.3", f"absolute loss, {noisy}: the distance grows like lr^0.5", 0.5, near, 0.1)
    yield control("5.3", f"absolute loss, {noisy}: the distance grows like lr^1", 1.0, near, 0.1)
    sharp = growth(runs, "laplace", 1e-12, 1)
    yield claim("5.3", "absolute loss, no label noise: the distance grows like lr^1", 1.0, sharp, 0.05)
    yield control("5.3", "absolute loss, no label noise: the distance grows like lr^0.5", 0.5, sharp, 0.05)
    for lr in (0.0125, 0.1, 0.8):
        exact, found = sharp_floor(D, B) * lr, study.mean(level(steady(runs, "laplace", 1e-12, lr), 1))
        yield claim("5.3", f"absolute loss, no label noise: the mean distance, lr = {lr}", exact, found, 0.02 * exact)
    for lr in (0.1, 0.4):
        exact = Hopping(D, B).gap(Hopping(D, B).floor(lr))
        found = study.mean(level(steady(runs, "laplace", 1.0, lr)))
        yield claim("5.3", f"absolute loss, {noisy}: the loss gap, lr = {lr}", exact, found, 0.07 * exact)
    for lr, kind in ((0.0125, claim), (0.8, control)):
        found = study.mean(level(steady(runs, "laplace", 1.0, lr)) / (lr * D / (4 * B)))
        yield kind("5.3", f"absolute loss, {noisy}: the loss gap over lr d / (4 B), lr = {lr}", 1.0, found, 0.2)
    for lr in (0.2, 0.4, 0.8):
        exact, found = squared_floor(lr, D, B), study.mean(level(steady(runs, "gaussian", 1.0, lr), 2))
        yield claim("5.3", f"squared loss, {noisy}: E|w - w*|^2, lr = {lr}", exact, found, 0.04 * exact)
    simple = 0.8 * D / (2 * B)
    yield control("5.3", f"squared loss, {noisy}: E|w - w*|^2 = lr d / (2 B), lr = 0.8", simple, found, 0.04 * simple)
    for lr in (0.0125, 0.1, 0.8):
        ends = arrived(steady(runs, "gaussian", 1e-12, lr))
        yield claim("5.3", f"squared loss, no label noise: |w - w*|^2 ends at 0, lr = {lr}", 0.0, ends, 1e-18)
    ends = arrived(steady(runs, "laplace", 1e-12, 0.0125))
    yield control("5.3", "absolute loss, no label noise: |w - w*|^2 ends at 0, lr = 0.0125", 0.0, ends, 1e-18)


def rates(schedule: str, lr: float = 0.2, steps: int = 1000) -> Array:
    t = np.arange(steps)
    factors = {"constant": np.ones(steps), "inverse_sqrt": (1 + t / 100) ** -0.5}
    return np.asarray(lr * factors.get(schedule, (1 + np.cos(np.pi * t / steps)) / 2))


def repaired(runs: Runs, schedule: str, averaging: bool) -> Interval:
    run = runs["ex5_repairs"].one({"schedule.averaging": averaging}, schedule=schedule)
    weights = np.stack([run.copies[f"coefficient/x{j}"] for j in range(D)], axis=1)
    return study.mean(absolute_gap(np.linalg.norm(weights - TRUE, axis=1)))


def expected(schedule: str, averaging: bool) -> float:
    hopping = Hopping(D, B)
    return hopping.gap(hopping.path(rates(schedule), averaged_from=500)[averaging])


def smoothed(runs: Runs, corner: float, scale: float) -> Run:
    sweep = runs["ex5_smoothing"].where({"data.noise.scale": scale})
    return next(run for run in sweep if abs(float(run.params["noise.delta"]) ** 2 - corner) < 1e-6)


def repairs(runs: Runs) -> Iterator[Claim]:
    after = "the loss gap after 1,000 steps"
    for schedule, averaging in (("inverse_sqrt", False), ("cosine", False), ("constant", True), ("inverse_sqrt", True)):
        exact, kind = expected(schedule, averaging), "mean of the last half" if averaging else "last iterate"
        found = repaired(runs, schedule, averaging)
        yield claim("5.3", f"{after}: {schedule} step, {kind}", exact, found, 0.3 * exact)
        hopping = repaired(runs, "constant", False)
        yield control("5.3", f"{after} is as low ({schedule}, {kind}) at a constant step", exact, hopping, 0.3 * exact)
    for corner in (0.1, 0.5, 2.0):
        hopping = Hopping(D, B, corner)
        exact, found = hopping.gap(hopping.floor(0.05)), study.mean(level(smoothed(runs, corner, 1.0)))
        rounded = f"the corner of |r| rounded within {corner:g}"
        yield claim("5.3", f"{rounded}, label noise: the loss gap, lr = 0.05", exact, found, 0.1 * exact)
        yield control("5.3", f"{rounded}, label noise: the loss gap is gone", 0.0, found, 0.1 * exact)
        ends = arrived(smoothed(runs, corner, 1e-12))
        yield claim("5.3", f"{rounded}, no label noise: |w - w*|^2 ends at 0", 0.0, ends, 1e-18)
    sharp = arrived(steady(runs, "laplace", 1e-12, 0.05))
    yield control("5.3", "the corner left as it is, no label noise: |w - w*|^2 ends at 0", 0.0, sharp, 1e-18)


def figures(runs: Runs) -> Iterator[Figure]:
    yield prices(runs)
    yield efficiencies(runs)
    yield trajectories(runs)
    yield floors(runs)
    yield remedies(runs)


def prices(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    for number, assumed in enumerate(LAWS):
        at = np.arange(3) + 0.15 * (number - 1)
        study.estimates(axes, at, [price(runs, truth, assumed) for truth in LAWS], TITLES[assumed], number)
        exact = [cross_entropy(truth, assumed) - cross_entropy(truth, truth) for truth in LAWS]
        axes.scatter(at, exact, marker="_", s=200, color=study.INK, label="theory" if number == 2 else None)
    axes.set(ylabel="nats an example, above the best", ylim=(-0.005, None))
    axes.set_xticks(range(3), [f"truth: {TITLES[truth]}" for truth in LAWS], fontsize=8)
    axes.legend(title="assumed", fontsize=8)
    alt = "Three groups; in each the true law is at zero, and the others lie above it, on the dashes of theory."
    caption = (
        "What it costs on 8,000 new rows to assume each law, the scale fitted, with 99 % intervals over data sets."
    )
    return Figure("5.1", alt, caption, drawing)


def efficiencies(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    n = np.geomspace(20, 3000, 40)
    for number, truth in enumerate(LAWS[:2]):
        color = study.COLORS[number]
        study.theory(axes, n, [efficiency(truth, int(size)) for size in n], label="_", color=color)
        study.estimates(axes, SIZES, [relative(runs, truth, size) for size in SIZES], TITLES[truth], number)
        axes.axhline(limit(truth), color=color, linewidth=0.8, linestyle=":")
    axes.axhline(1, color=study.INK, linewidth=0.8)
    axes.set(xscale="log", xlabel="observations n", ylabel="var(least squares) / var(absolute loss)")
    axes.legend()
    alt = "The curve for Laplace's law rises from 1.2 towards 2; that for Gauss's law stays near 0.64."
    caption = (
        "How many observations least squares needs for each one of the absolute loss. Points: simulation with 99 % "
    )
    return Figure(
        "5.2", alt, caption + "intervals; dashed: theory for that n; dotted: the limits 2 and 2 / pi.", drawing
    )


def trajectories(runs: Runs) -> Figure:
    drawing, panels = study.panels(2, sharey=True)
    for axes, scale, title in zip(panels, (1.0, 1e-12), ("with label noise", "no label noise")):
        for noise, color, label in zip(("laplace", "gaussian"), study.COLORS, ("absolute loss", "squared loss")):
            run = steady(runs, noise, scale, 0.1)
            path = [run.trajectory[f"x{j}"][:: int(run.params["replicates"])][:400] for j in range(D)]
            apart = np.sqrt(sum((w - true) ** 2 for w, true in zip(path, TRUE)))
            axes.semilogy(np.maximum(apart, 1e-6), color=color, linewidth=1, label=label)
        axes.set(xlabel="step", title=title)
    panels[0].set(ylabel="distance to the true weights")
    panels[1].legend()
    alt = (
        "Left: both losses stop falling near 0.2. Right: squared loss falls without end, absolute loss stays near 0.07."
    )
    return Figure("5.3", alt, "One run each at lr = 0.1 (cut at 0.000001).", drawing)


def floors(runs: Runs) -> Figure:
    drawing, (left, right) = study.panels(2)
    exact = Hopping(D, B)
    found = [study.mean(level(steady(runs, "laplace", 1.0, lr))) for lr in STEPS]
    study.estimates(left, STEPS, found, "absolute loss", 1)
    study.theory(left, STEPS, [exact.gap(exact.floor(lr)) for lr in STEPS])
    left.plot(STEPS, [lr * D / (4 * B) for lr in STEPS], ":", color=study.INK, linewidth=0.8, label="lr d / (4 B)")
    left.set(ylabel="loss gap, with label noise")
    for number, (noise, scale, label) in enumerate(
        [
            ("gaussian", 1.0, "squared, label noise"),
            ("laplace", 1.0, "absolute, label noise"),
            ("laplace", 1e-12, "absolute, none"),
        ]
    ):
        found = [study.mean(level(steady(runs, noise, scale, lr), 2)) for lr in STEPS]
        study.estimates(right, STEPS, found, label, number)
    study.theory(right, STEPS, [squared_floor(lr, D, B) for lr in STEPS], label="_", color=study.COLORS[0])
    study.theory(right, STEPS, [D * exact.floor(lr) for lr in STEPS], label="_", color=study.COLORS[1])
    right.set(ylabel="squared distance to the true weights")
    for axes in (left, right):
        axes.set(xscale="log", yscale="log", xlabel="learning rate")
        axes.set_xticks(STEPS[::2], [f"{lr:g}" for lr in STEPS[::2]])
        axes.minorticks_off()
        axes.legend(fontsize=8)
    alt = "On log-log axes the loss gap and two of the squared distances have slope 1, that without noise has slope 2."
    caption = (
        "Where SGD stays, against the step. Points: means over runs and steps, with 99 % intervals; dashed: theory."
    )
    return Figure("5.3", alt, caption, drawing)


def remedies(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    schedules = ["constant", "inverse_sqrt", "cosine"]
    for number, averaging in enumerate((False, True)):
        at = np.arange(3) + 0.1 * number
        found = [repaired(runs, schedule, averaging) for schedule in schedules]
        study.estimates(axes, at, found, "mean of the last half" if averaging else "last iterate", number)
        exact = [expected(schedule, averaging) for schedule in schedules]
        axes.scatter(at, exact, marker="_", s=200, color=study.INK, label="theory" if averaging else None)
    axes.axhline(
        D / (2 * B * 1000), color=study.INK, linewidth=0.8, linestyle=":", label="d / (2 n), n = 10,000 examples"
    )
    axes.set(yscale="log", ylabel="loss gap after 1,000 steps")
    axes.set_xticks(range(3), ["constant step", "step / sqrt(1 + t / 100)", "cosine to 0"])
    axes.legend(fontsize=8)
    alt = "The last iterate at a constant step is at 0.03; falling steps and averages lie between 0.008 and 0.0006."
    caption = "The same 10,000 examples, four repairs: a step that falls, the mean of the iterates, or both."
    return Figure("5.3", alt, caption, drawing)
