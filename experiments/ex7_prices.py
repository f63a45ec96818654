"""Exercise 7: regression for the prices of houses and stocks.

7.1 Additive Gaussian noise is wrong for prices. 7.2 The logarithm repairs it, and what that costs. 7.3 What ticks do to
cheap stock, and a likelihood that knows of them.

Source:  D2L 3.1, exercise 7.
Command: make exercises EX=7
Cost:    15 s on 2 cores.
Expect:  shares, coverages and gains as theory says; on real houses and stocks the logarithm gains.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import numpy as np
import torch
from hydra.utils import instantiate
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import ndtr, ndtri

from noiseworks import study
from noiseworks.data.stocks import monthly_prices
from noiseworks.noise import Gaussian, LogNormal
from noiseworks.study import Claim, Figure, Interval, Run, Runs, claim, control

EXPERIMENTS = {
    "ex7_worlds": ["replicates=20"],
    "ex7_paths": ["replicates=10"],
    "ex7_penny": ["replicates=3", "data.num_examples=2000"],
    "ex7_measures": [],
}
INTERCEPT, SLOPE, TRAIN = 8.0, 0.5, 1000  # of ex7_worlds, as in its YAML
SIGMA, START, STEPS, FIRST, DAYS = (
    0.02,
    20,
    100,
    20,
    100,
)  # volatility of a day; of ex7_paths; the days that `ticks` looks at
TICKS = [12.5, 25.0, 50.0, 100.0, 200.0]  # prices, in ticks
CENTS, SPREAD = [2.5, 5.0, 20.0], 0.2  # of ex7_penny
TICKERS = ["IBM", "AAPL", "MSFT", "XRX", "AMZN", "DELL", "GOOGL", "ADBE", "^GSPC", "^IXIC"]
REACH = float(ndtri(0.975))
SKEW = 0.4  # log prices of `smearing` miss by SKEW (exponential - 1)
Array = NDArray[np.float64]


def measure(cfg):
    rng = np.random.default_rng([cfg.seed, 7])
    if cfg.measure == "houses":
        found = instantiate(cfg.data).examples(0)
        return houses(found.X.numpy(), found.y.numpy(), cfg.replicates, rng)
    return {"stocks": stocks, "walk": walk, "smearing": smearing, "ticks": ticks}[cfg.measure](cfg.replicates, rng)


def houses(X: Array, price: Array, number: int, rng: np.random.Generator) -> dict[str, Array]:
    """Some houses, each priced by models of the other nine tenths."""
    order = rng.permutation(len(price))
    found = held_out(X[order], X[order], price[order], np.arange(len(price)) % 10)
    return {name: values[:number] for name, values in found.items()}


def stocks(number: int, rng: np.random.Generator) -> dict[str, Array]:
    """Some months of the shipped stocks; of each a tenth of the time is held out at once."""
    return _months([monthly_prices(ticker) for ticker in TICKERS], number, rng)


def walk(number: int, rng: np.random.Generator) -> dict[str, Array]:
    """As many prices that add the same noise each month, whatever the price is."""
    return _months([60 * 2**k + np.cumsum(rng.normal(size=390)) for k in range(1, 11)], number, rng)


def _months(paths: list[Array], number: int, rng: np.random.Generator) -> dict[str, Array]:
    each = []
    for path in paths:
        last, price = path[:-1, None], path[1:]
        found = held_out(last, np.log(last), price, np.arange(len(price)) * 10 // len(price))
        each.append(found | {"last": path[:-1], "change": np.abs(np.diff(path))})
    chosen = rng.permutation(sum(len(path) - 1 for path in paths))[:number]
    return {name: np.concatenate([one[name] for one in each])[chosen] for name in each[0]}


def held_out(X: Array, X_log: Array, price: Array, fold: NDArray[np.int_]) -> dict[str, Array]:
    """Of each price, by models of the other folds: the rank of its prediction, from 0 to 1, and for additive noise on X
    and multiplicative noise on X_log the nll in units of the price, and whether 95 % intervals cover it."""
    y, found = torch.from_numpy(price), {"nll_log_price": np.zeros(len(price))}
    for name, noise, features in (("additive", Gaussian(), X), ("log", LogNormal(), X_log)):
        D = np.column_stack((np.ones(len(price)), features))
        eta, scale, target = np.zeros(len(price)), np.zeros(len(price)), noise.transform(y).numpy()
        for k in np.unique(fold):
            train = fold != k
            theta = np.linalg.lstsq(D[train], target[train], rcond=None)[0]
            eta[~train], scale[~train] = D[~train] @ theta, np.std(target[train] - D[train] @ theta)
        found[f"nll_{name}"] = noise.with_scale(torch.from_numpy(scale)).nll(torch.from_numpy(eta), y).numpy()
        found[f"covered_{name}"] = (np.abs(target - eta) < REACH * scale).astype(float)
        found[f"rank_{name}"] = eta.argsort().argsort() / len(eta)
    found["nll_log_price"] = found["nll_log"] - np.log(price)  # the mistake: no Jacobian
    return found


def smearing(number: int, rng: np.random.Generator) -> dict[str, Array]:
    """Predicted over true mean price at x = 0, by least squares on 200 log prices whose noise is skewed."""
    x, noise = rng.normal(size=(number, 200)), SKEW * (rng.exponential(size=(number, 200)) - 1)
    z, u = noise - noise.mean(1, keepdims=True), x - x.mean(1, keepdims=True)
    slope = (u * z).sum(1) / (u * u).sum(1)
    naive = np.exp(noise.mean(1) - slope * x.mean(1)) * math.exp(SKEW) * (1 - SKEW)
    left = z - slope[:, None] * u
    return {"naive": naive, "normal": naive * np.exp(left.var(1) / 2), "smeared": naive * np.exp(left).mean(1)}


def ticks(number: int, rng: np.random.Generator) -> dict[str, Array]:
    """Of each path: the mean square of its log returns, that of the product of neighbours, over SIGMA^2, and the share
    of days on which the price stands still; for prices that start at so many ticks."""
    walked = np.cumsum(SIGMA * rng.normal(size=(number, FIRST + DAYS + 1)) - SIGMA**2 / 2, axis=1)[:, FIRST - 1 :]
    found = {}
    for price in TICKS:
        returns = np.diff(np.log(np.round(price * np.exp(walked))), axis=1)
        found[f"square/{price:g}"] = (returns**2).mean(1) / SIGMA**2
        found[f"product/{price:g}"] = (returns[:, 1:] * returns[:, :-1]).mean(1) / SIGMA**2
        found[f"still/{price:g}"] = (returns == 0).mean(1)
    return found


# Theory.


def straight_line(s: float) -> tuple[float, float, float]:
    """Intercept, slope and scale of the best straight line in exp(8 + x / 2 + s Z): by Stein's lemma the slope is
    E y / 2, and var y - slope^2 is left."""
    mean, total = math.exp(INTERCEPT + (SLOPE**2 + s**2) / 2), SLOPE**2 + s**2
    return mean, SLOPE * mean, mean * math.sqrt(math.expm1(total) - SLOPE**2)


def negative_share(intercept: Array, slope: Array, scale: Array) -> Array:
    """P(prediction + noise < 0) for normal x and noise."""
    return np.asarray(ndtr(-intercept / np.hypot(slope, scale)))


def covered(theta: tuple[Array, Array, Array], s: float, tenth: int, log: bool) -> Array:
    """The share of prices exp(8 + x / 2 + s Z) in intervals eta +- 1.96 scale, x in this tenth (0 to 9)."""
    x = ndtri((tenth + (np.arange(40) + 0.5) / 40) / 10)
    intercept, slope, scale = (np.asarray(part, dtype=float)[..., None] for part in theta)
    low, high = intercept + slope * x - REACH * scale, intercept + slope * x + REACH * scale
    if not log:
        low, high = (np.log(np.maximum(edge, 1e-300)) for edge in (low, high))
    middle = INTERCEPT + SLOPE * x
    return np.asarray((ndtr((high - middle) / s) - ndtr((low - middle) / s)).mean(-1))


def gain(s: float) -> float:
    """E nll of the best straight line - that of the truth, which is LogNormal: log(scale_y / s) - E log y."""
    return math.log(straight_line(s)[2] / s) - INTERCEPT


def loss(s: float) -> float:
    """E nll of the best LogNormal model - that of the truth, y = 8 + x / 2 + s Z, by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(20)
    x, z = np.meshgrid(nodes, nodes)
    mass = np.outer(weights, weights) / (2 * math.pi)
    log_y = np.log(INTERCEPT + SLOPE * x + s * z)
    mean, slope = (mass * log_y).sum(), (mass * log_y * x).sum()
    return float(math.log((mass * (log_y - mean - slope * x) ** 2).sum() ** 0.5 / s) + mean)


def rounded_scale(price: float) -> float:
    """sd of the logarithm of LogNormal prices of this median and SPREAD, rounded; over SPREAD."""
    k = np.arange(1, 200)
    mass = np.diff(ndtr(np.log((np.append(k - 0.5, 199.5)) / price) / SPREAD))
    mean = (mass * np.log(k)).sum()
    return float(np.sqrt((mass * (np.log(k) - mean) ** 2).sum()) / SPREAD)


@cache
def rounded_returns(price: float, first: int = FIRST, days: int = DAYS) -> Rounded:
    """Of prices that start at so many ticks, on average over these days: the price of day t is LogNormal, and given it
    those of the days before and after are independent."""
    nodes, share = np.polynomial.legendre.leggauss(5)
    u = np.linspace(-5, 5, 3001)
    reach = 6 * SIGMA * math.sqrt(first + days)
    k = np.arange(max(math.floor(price * math.exp(-reach)), 1), math.ceil(price * math.exp(reach)) + 1)
    pairs, product = np.zeros((len(k), len(k))), 0.0
    for node, weight in zip(nodes, share / 2):
        t = first + days * (1 + node) / 2
        middle = math.log(price) - SIGMA**2 * t / 2 + SIGMA * math.sqrt(t) * u
        today = (np.round(np.exp(middle)) - k[0]).astype(int)
        mass = np.exp(-(u**2) / 2)
        mass *= weight / mass.sum()
        after = cells(middle - SIGMA**2 / 2, SIGMA, k)
        back = (middle + SIGMA**2 * t / 2 - math.log(price)) * (t - 1) / t + math.log(price) - SIGMA**2 * (t - 1) / 2
        before = cells(back, SIGMA * math.sqrt((t - 1) / t), k)
        log_today = np.log(k[today])
        product += (mass * (after @ np.log(k) - log_today) * (log_today - before @ np.log(k))).sum() / SIGMA**2
        np.add.at(pairs, today, mass[:, None] * after)
    moves = np.log(k) - np.log(k)[:, None]
    return Rounded(float((pairs * moves**2).sum() / SIGMA**2), float(product), float(np.trace(pairs)), k, pairs)


class Rounded(NamedTuple):
    """E r^2 and E r r' over SIGMA^2, P(r = 0), and P(k_i today, k_j tomorrow), r = log k_j - log k_i."""

    square: float
    product: float
    still: float
    k: Array
    pairs: Array


def cells(middle: Array, width: float, k: Array) -> Array:
    """P(round(exp(v)) = k), v ~ N(middle, width^2): a row for each middle."""
    edges = np.log(np.append(k - 0.5, k[-1] + 0.5))
    return np.asarray(np.diff(ndtr((edges - middle[:, None]) / width), axis=1))


@cache
def censored_variance() -> float:
    """scale^2 over SIGMA^2 of the likelihood for rounded prices, given yesterday's rounded price: where its expectation
    over `pairs` is largest."""
    known = rounded_returns(START, 1, STEPS - 1)

    def nll(log_scale: float) -> float:
        return -float(
            (known.pairs * np.log(np.maximum(cells(np.log(known.k), math.exp(log_scale), known.k), 1e-300))).sum()
        )

    found = minimize_scalar(nll, bounds=(math.log(SIGMA) - 1, math.log(SIGMA) + 1), method="bounded")
    return math.exp(2 * found.x) / SIGMA**2


# Claims.


def claims(runs: Runs) -> Iterator[Claim]:
    yield from additive(runs)
    yield from spread(runs)
    yield from logarithm(runs)
    yield from real(runs)
    yield from back(runs)
    yield from returns(runs)
    yield from repaired(runs)


def world(runs: Runs, model: str, truth: str, s: float) -> Run:
    return runs["ex7_worlds"].one({"noise@data.noise": truth, "data.noise.scale": s}, noise=model)


def parameters(run: Run) -> tuple[Array, Array, Array]:
    return run.copies["coefficient/intercept"], run.copies["coefficient/x0"], run.copies["scale"]


def additive(runs: Runs) -> Iterator[Claim]:
    for s in (0.5, 0.8):
        a, b, scale = straight_line(s)
        exact = float(negative_share(np.array(a), np.array(b), np.array(scale)))
        share = study.mean(negative_share(*parameters(world(runs, "gaussian", "lognormal", s))))
        sentence = f"share of prices below zero that the additive model expects, log prices spread by {s}"
        yield claim("7.1", sentence, exact, share, 0.02)
        yield control("7.1", f"it expects none, as is right, log prices spread by {s}", 0.0, share, 0.02)
    none = study.mean(negative_share(*parameters(world(runs, "gaussian", "gaussian", 0.5))))
    yield claim("7.1", "it expects none where noise is additive, and small beside the price", 0.0, none, 0.02)
    for tenth, what in ((0, "cheapest"), (9, "dearest")):
        exact = float(covered(straight_line(0.5), 0.5, tenth, log=False))
        found = coverage(world(runs, "gaussian", "lognormal", 0.5), tenth, log=False)
        yield claim("7.1", f"95 % intervals of the additive model cover, of the {what} tenth", exact, found, 0.02)
        yield control("7.1", f"they cover 95 % of the {what} tenth", 0.95, found, 0.02)


def coverage(run: Run, tenth: int, log: bool) -> Interval:
    return study.mean(covered(parameters(run), 0.5, tenth, log))


def spread(runs: Runs) -> Iterator[Claim]:
    sentence = "slope of log |change| in log price: 1 is in proportion, 0 the same for all"
    yield claim("7.1", f"{sentence}; shipped stocks", 1.0, growth(one(runs, "stocks")), 0.2)
    yield claim("7.1", f"{sentence}; an additive world", 0.0, growth(one(runs, "walk")), 0.2)
    yield control("7.1", f"{sentence}; an additive world: 1", 1.0, growth(one(runs, "walk")), 0.2)


def growth(run: Run) -> Interval:
    """Least squares; each month's influence on the slope is (x - mean x) residual / var x."""
    moved = run.copies["change"] > 0
    x, y = np.log(run.copies["last"][moved]), np.log(run.copies["change"][moved])
    u = x - x.mean()
    slope = (u * y).mean() / (u * u).mean()
    return study.mean(slope + u * (y - y.mean() - slope * u) / (u * u).mean())


def logarithm(runs: Runs) -> Iterator[Claim]:
    for tenth, what in ((0, "cheapest"), (9, "dearest")):
        found = coverage(world(runs, "lognormal", "lognormal", 0.5), tenth, log=True)
        yield claim("7.2", f"95 % intervals of the log model cover, of the {what} tenth", 0.95, found, 0.01)
    found = nats(runs, "lognormal", 0.5)
    yield claim(
        "7.2", "what the log model gains, held out, in a multiplicative world (nats a price)", gain(0.5), found, 0.05
    )
    yield claim("7.2", "what it loses in an additive one", loss(0.5), nats(runs, "gaussian", 0.5), 0.003)
    yield control("7.2", "it gains as much in an additive world", gain(0.5), nats(runs, "gaussian", 0.5), 0.05)
    slope = study.mean(world(runs, "lognormal", "lognormal", 0.5).copies["coefficient/x0"])
    yield claim("7.2", "the coefficient of the log price", SLOPE, slope, 0.01)
    relative = study.mean(ratio_of_slope(world(runs, "gaussian", "lognormal", 0.5)))
    yield control(
        "7.2", "the same from the additive model, as a share of the mean price at x = 0", SLOPE, relative, 0.01
    )


def nats(runs: Runs, truth: str, s: float) -> Interval:
    """Mean nll of the wrong model less that of the right one, on the same held-out prices."""
    wrong = "gaussian" if truth == "lognormal" else "lognormal"
    unsuited, right = (world(runs, model, truth, s).copies["test/nll"] for model in (wrong, truth))
    return study.mean(unsuited - right)


def ratio_of_slope(run: Run) -> Array:
    """d E[y | x] / dx over E[y | x] at x = 0, where the truth is SLOPE, as a straight line has it."""
    intercept, slope, _ = parameters(run)
    return slope / math.exp(INTERCEPT + 0.5**2 / 2) * np.ones_like(intercept)


def one(runs: Runs, what: str) -> Run:
    return runs["ex7_measures"].one(measure=what)


def real(runs: Runs) -> Iterator[Claim]:
    sentence = "the log model gains, held out, between 0.05 and 0.45 nats on a house in Ames"
    house = one(runs, "houses")
    yield claim("7.2", sentence, 0.25, difference(house, "nll_log"), 0.2)
    yield control("7.2", f"{sentence}, the Jacobian forgotten", 0.25, difference(house, "nll_log_price"), 0.2)
    sentence = "the log model gains, held out, between 0.5 and 4.5 nats on a month of a stock"
    yield claim("7.2", sentence, 2.5, difference(one(runs, "stocks"), "nll_log"), 2.0)
    yield control("7.2", f"{sentence} that adds its noise", 2.5, difference(one(runs, "walk"), "nll_log"), 2.0)
    sentence = "coverage of the cheap half of the houses less that of the dear half"
    yield claim("7.2", f"{sentence}, log model", 0.0, halves(house, "log"), 0.045)
    yield control("7.2", f"{sentence}, additive model", 0.0, halves(house, "additive"), 0.045)


def difference(run: Run, other: str) -> Interval:
    return study.mean(run.copies["nll_additive"] - run.copies[other])


def halves(run: Run, model: str) -> Interval:
    """+-2 times those covered: the halves are of one size, so that the mean is the difference of two shares."""
    sign = np.where(run.copies[f"rank_{model}"] < 0.5, 1.0, -1.0)
    return study.mean(2 * sign * (run.copies[f"covered_{model}"] - run.copies[f"covered_{model}"].mean()))


def back(runs: Runs) -> Iterator[Claim]:
    for s in (0.5, 0.8):
        found = study.mean(predicted(runs, s, corrected=False))
        exact = math.exp(-(s**2) / 2 * (1 - 1 / TRAIN))
        yield claim("7.2", f"exp(eta) over the mean price, log prices spread by {s}", exact, found, 0.02)
        yield control("7.2", f"exp(eta) is the mean price, log prices spread by {s}", 1.0, found, 0.02)
        corrected = study.mean(predicted(runs, s, corrected=True))
        yield claim("7.2", f"exp(eta + scale^2 / 2) is the mean price, log prices spread by {s}", 1.0, corrected, 0.02)
    skewed = one(runs, "smearing").copies
    yield claim(
        "7.2", "Duan's smearing finds the mean, noise of log prices skewed", 1.0, study.mean(skewed["smeared"]), 0.012
    )
    yield control("7.2", "so does exp(eta + scale^2 / 2)", 1.0, study.mean(skewed["normal"]), 0.012)


def predicted(runs: Runs, s: float, corrected: bool) -> Array:
    """Predicted over true mean price, at x = 0."""
    intercept, _, scale = parameters(world(runs, "lognormal", "lognormal", s))
    return np.exp(intercept - INTERCEPT - s**2 / 2 + corrected * scale**2 / 2)


def returns(runs: Runs) -> Iterator[Claim]:
    found = one(runs, "ticks").copies
    for price in (12.5, 25.0, 50.0):
        known = rounded_returns(price)
        square, product, still = known.square, known.product, known.still
        what = f"log returns of a stock of {price:g} ticks that moves by 2 % a day"
        yield claim(
            "7.3", f"{what}: their variance over 0.02^2", square, study.mean(found[f"square/{price:g}"]), 0.05 * square
        )
        estimate = study.ratio_of_means(-found[f"product/{price:g}"], found[f"square/{price:g}"])
        yield claim("7.3", f"{what}: minus the correlation of neighbours", -product / square, estimate, 0.02)
        yield claim("7.3", f"{what}: share of days without a move", still, study.mean(found[f"still/{price:g}"]), 0.01)
        formula = study.exactly(1 + 1 / (6 * (price * SIGMA) ** 2))
        if price == 12.5:
            yield control("7.3", f"{what}: the rule 1 + tick^2 / (6 p^2 sigma^2)", square, formula, 0.05 * square)
        else:
            yield claim("7.3", f"{what}: the rule 1 + tick^2 / (6 p^2 sigma^2)", square, formula, 0.05 * square)
    cheap = study.mean(found["square/25"])
    yield control("7.3", "rounding does not matter at 25 ticks: variance over 0.02^2", 1.0, cheap, 0.05)


def repaired(runs: Runs) -> Iterator[Claim]:
    for price in CENTS:
        naive, censored = (scales(runs, noise, price) for noise in ("lognormal", "interval_lognormal"))
        what = f"of prices of {price:g} ticks, over the true one"
        yield claim("7.3", f"scale {what}, by LogNormal noise", rounded_scale(price), naive, 0.05)
        yield claim("7.3", f"scale {what}, by a likelihood for rounded prices", 1.0, censored, 0.05)
        if price == CENTS[0]:
            yield control("7.3", f"scale {what}, by LogNormal noise: 1", 1.0, naive, 0.05)
    naive, censored = (
        path(runs, noise).copies["scale"] ** 2 / SIGMA**2 for noise in ("lognormal", "interval_lognormal")
    )
    fitted = (STEPS - 4) / STEPS  # two coefficients take two parts, and on a random walk two more (Dickey and Fuller)
    plain, left = fitted * rounded_returns(START, 1, STEPS - 1).square, fitted * censored_variance()
    sentence = f"of a stock of {START} ticks on the day before, over 0.02^2"
    yield claim(
        "7.3", f"variance that this likelihood takes away, {sentence}", plain - left, study.mean(naive - censored), 0.12
    )
    yield claim("7.3", f"variance that it leaves, {sentence}", left, study.mean(censored), 0.25)
    yield control("7.3", f"it leaves the true one, {sentence}", 1.0, study.mean(censored), 0.25)


def path(runs: Runs, noise: str) -> Run:
    return runs["ex7_paths"].one(noise=noise)


def scales(runs: Runs, noise: str, price: float) -> Interval:
    run = runs["ex7_penny"].one({"data.true_intercept": math.log(price)}, noise=noise)
    return study.mean(run.copies["scale"] / SPREAD)


MODELS = {"additive": "additive model", "log": "model of the log price"}


def figures(runs: Runs) -> Iterator[Figure]:
    yield tenths(runs)
    yield moved(runs)
    yield ames(runs)
    yield biased(runs)
    yield tick_returns(runs)
    yield tick_scales(runs)


def tenths(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    for number, (model, noise) in enumerate(zip(MODELS, ("gaussian", "lognormal"))):
        run, log = world(runs, noise, "lognormal", 0.5), model == "log"
        study.estimates(axes, range(1, 11), [coverage(run, k, log) for k in range(10)], MODELS[model], number)
    exact = [float(covered(straight_line(0.5), 0.5, k, log=False)) for k in range(10)]
    study.theory(axes, range(1, 11), exact, color=study.COLORS[0])
    axes.axhline(0.95, color=study.INK, linewidth=0.8)
    axes.set(xlabel="tenth of the prices, cheap to dear", ylabel="covered by 95 % intervals")
    axes.legend()
    return Figure(
        "7.1",
        alt="The additive model covers all cheap prices and four fifths of the dear ones; the other 95 % of each.",
        caption="Prices that err by 50 %: what intervals that should cover 95 % do cover. Points: fits of 1,000 "
        "prices; dashed: theory for the additive model.",
        drawing=drawing,
    )


def moved(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    for number, (what, label) in enumerate({"stocks": "shipped stocks", "walk": "an additive world"}.items()):
        copies = one(runs, what).copies
        groups = np.array_split(np.argsort(copies["last"]), 12)
        at = [float(np.exp(np.log(copies["last"][group]).mean())) for group in groups]
        study.estimates(axes, at, [study.mean(copies["change"][group]) for group in groups], label, number)
    line = np.array([0.1, 5000])
    study.theory(axes, line, 0.06 * line, label="6 % of the price")
    axes.set(xscale="log", yscale="log", xlabel="price last month (dollars)", ylabel="mean change (dollars)")
    axes.legend()
    return Figure(
        "7.1",
        alt="Changes of stocks grow in proportion to the price over four decades; in an additive world they do not.",
        caption="How much a price moves in a month: ten shipped stocks and indices, and walks that add the same noise "
        "at any price.",
        drawing=drawing,
    )


def ames(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    copies = one(runs, "houses").copies
    for number, model in enumerate(MODELS):
        tenth = np.minimum(copies[f"rank_{model}"] * 10, 9).astype(int)
        found = [study.proportion(copies[f"covered_{model}"][tenth == k]) for k in range(10)]
        study.estimates(axes, np.arange(1, 11) + (number - 0.5) / 5, found, MODELS[model], number)
    axes.axhline(0.95, color=study.INK, linewidth=0.8)
    axes.set(xlabel="tenth of the houses by predicted price, cheap to dear", ylabel="covered by 95 % intervals")
    axes.legend()
    return Figure(
        "7.2",
        alt="Additive: all cheap houses are covered, and three quarters of the dearest; the log model stays near 95 %.",
        caption="Houses in Ames, each held out: area and age, by an additive model and by one of the log price.",
        drawing=drawing,
    )


def biased(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    s = np.linspace(0, 1, 50)
    study.theory(axes, s, np.exp(-(s**2) / 2))
    for number, corrected in enumerate((False, True)):
        found = [study.mean(predicted(runs, s, corrected)) for s in (0.5, 0.8)]
        study.estimates(axes, [0.5, 0.8], found, "exp(eta + scale² / 2)" if corrected else "exp(eta)", number)
    axes.axhline(1, color=study.INK, linewidth=0.8)
    axes.set(xlabel="scale of log prices", ylabel="predicted / true mean price")
    axes.legend()
    return Figure(
        "7.2",
        alt="exp(eta) falls below the mean along the curve of theory; with the correction the ratio is one.",
        caption="The cost of the logarithm: exp(eta) is the median. Dashed: exp(-scale² / 2).",
        drawing=drawing,
    )


def tick_returns(runs: Runs) -> Figure:
    drawing, (left, right) = study.panels(2)
    copies, prices = one(runs, "ticks").copies, [float(price) for price in np.geomspace(12.5, 200, 9)]
    exact = [rounded_returns(price) for price in prices]
    study.estimates(left, TICKS, [study.mean(copies[f"square/{price:g}"]) for price in TICKS], "returns")
    pairs = [(-copies[f"product/{price:g}"], copies[f"square/{price:g}"]) for price in TICKS]
    study.estimates(right, TICKS, [study.ratio_of_means(*pair) for pair in pairs], "returns", 1)
    study.theory(left, prices, [known.square for known in exact], color=study.COLORS[0])
    study.theory(right, prices, [-known.product / known.square for known in exact], color=study.COLORS[1])
    fine = np.geomspace(11, 220, 60)
    left.plot(fine, 1 + 1 / (6 * (fine * SIGMA) ** 2), color=study.INK, linestyle=":", label="the rule")
    left.set(ylabel="variance / 0.02²")
    right.set(ylabel="- correlation of neighbours")
    for axes in (left, right):
        axes.set(xscale="log", xlabel="price (ticks)")
        axes.set_xticks(TICKS, [f"{price:g}" for price in TICKS])
        axes.minorticks_off()
        axes.legend()
    return Figure(
        "7.3",
        alt="Below a hundred ticks the variance of returns rises, to three times the true one; neighbours correlate.",
        caption="Log returns of prices that move by 2 % a day, seen through a tick. Dashed: theory; dotted: the rule "
        "1 + tick² / (6 p² 0.02²), which fails below 25 ticks.",
        drawing=drawing,
    )


def tick_scales(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    labels = {"lognormal": "LogNormal", "interval_lognormal": "for rounded prices"}
    for number, (noise, label) in enumerate(labels.items()):
        study.estimates(axes, CENTS, [scales(runs, noise, price) for price in CENTS], label, number)
    fine = np.geomspace(2, 24, 60)
    study.theory(axes, fine, [rounded_scale(price) for price in fine], color=study.COLORS[0])
    axes.axhline(1, color=study.INK, linewidth=0.8)
    axes.set(xscale="log", xlabel="price (ticks)", ylabel="estimated / true scale")
    axes.set_xticks(CENTS, [f"{price:g}" for price in CENTS])
    axes.minorticks_off()
    axes.legend()
    return Figure(
        "7.3",
        alt="LogNormal noise overstates the spread of cheap prices; the likelihood for rounded prices does not.",
        caption="Prices with a spread of 20 %, rounded to ticks: what two likelihoods make of it. Dashed: theory for "
        "LogNormal noise.",
        drawing=drawing,
    )
