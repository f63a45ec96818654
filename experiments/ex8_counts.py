"""Exercise 8: regression for counts.

8.1 What is wrong with Gauss's law for counts. 8.2 The mean of Poisson counts is their rate. 8.3 The loss of a rate. 8.4
The loss of its logarithm: what it is worth, how often its intervals cover, and what overdispersion does to them; on 627
households that bought apples, too.

Source:  D2L 3.1, exercise 8; apples: Blend and van Ravenswaay (1999).
Command: make exercises EX=8
Cost:    20 s on 2 cores.
Expect:  gap 1 / (12 rate); mean / rate = 1 within 1 %; maximum likelihood as precise as least squares with the true
         weights, within 5 %; coverage within 3 to 5 points of theory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import torch
from hydra.utils import instantiate
from numpy.typing import NDArray
from scipy import stats

from noiseworks import study
from noiseworks.exact import solve
from noiseworks.exact.many import Problems, solve_many, solved_many
from noiseworks.exact.problem import Problem
from noiseworks.inference.many import standard_errors_many
from noiseworks.inference.uncertainty import uncertainty
from noiseworks.noise import Gaussian, NegativeBinomial, Poisson
from noiseworks.noise.cells import log_cell
from noiseworks.study import Claim, Figure, Run, Runs, claim, control
from noiseworks.study.counts import Z, counts, gap, line, shrunk, slope_variances, wald_coverage
from noiseworks.study.heaps import laws

EXPERIMENTS = {
    "ex8_draws": ["replicates=50"],
    "ex8_identity": ["replicates=600"],
    "ex8_coverage": ["replicates=1000"],
    "ex8_descent": ["replicates=5"],
    "ex8_apples": ["replicates=300"],
}
RATES = [0.5, 5.0, 20.0, 100.0, 1000.0]
SAMPLERS = ["numpy", "torch", "negative_binomial"]
A, B = 0.5, 0.8  # log rate = A + B x
RARE = 0.1
Array = NDArray[np.float64]


def measure(cfg):
    return {"draws": draws, "identity": identity, "coverage": coverage, "apples": apples}[cfg.measure](cfg)


def tensor(values) -> torch.Tensor:
    return torch.as_tensor(np.asarray(values), dtype=torch.float64)


# 8.1, 8.2, 8.3: counts of one rate


def draws(cfg) -> dict[str, Array]:
    """Of each replicate: moments, and how much more a normal law loses; and what holds without chance."""
    key = [cfg.seed, SAMPLERS.index(cfg.sampler), RATES.index(cfg.rate)]
    y = sample(cfg.sampler, cfg.rate, (cfg.replicates, cfg.num_draws), key)
    k = np.arange(max(int(cfg.rate + 12 * math.sqrt(cfg.rate)) + 30, int(y.max()) + 1))
    p = np.exp(-losses(Poisson(link="identity"), cfg.rate, k))
    gap = losses(Gaussian(scale=math.sqrt(cfg.rate)), cfg.rate, k) - losses(Poisson(link="identity"), cfg.rate, k)
    bought = np.maximum((y > 0).sum(axis=1), 1)
    at_random = {
        "mean": y.mean(axis=1),
        "variance": y.var(axis=1, ddof=1),
        "pairs": (y * (y - 1.0)).mean(axis=1),
        "bought": y.sum(axis=1) / bought,
        "gap": gap[y].mean(axis=1),
    }
    return at_random | {"series": (k * p).sum(), "gap_expected": (p * gap).sum()} | minimizers(float(y[0].mean()))


def sample(sampler: str, rate: float, shape: tuple[int, int], key: list[int]) -> NDArray[np.int64]:
    if sampler == "numpy":
        return np.random.default_rng(key).poisson(rate, shape)
    generator = torch.Generator().manual_seed(int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0]))
    noise = Poisson() if sampler == "torch" else NegativeBinomial(dispersion=0.5)
    return noise.sample(torch.full(shape, math.log(rate), dtype=torch.float64), generator).long().numpy()


def losses(noise, mean: float, k: Array) -> Array:
    """-log P(k): of a density for the unit cell around k, so that it may be compared with that of counts."""
    found = log_cell(noise, torch.full((len(k),), mean, dtype=torch.float64), tensor(k))
    assert found is not None
    return -found.numpy()


def minimizers(mean: float) -> dict[str, float]:
    """The rate that minimises each loss for counts of this mean, over the mean; on grids of steps of 0.0005 or so.

    public: an answer often read, which drops the rate itself; torch: PoissonNLLLoss() as it comes. stirling: what
    PoissonNLLLoss(full=True) lacks of the whole loss at k = 2.
    """
    rates, logs = mean * np.geomspace(0.01, 100, 20_001), np.linspace(-8, 8, 32_001)
    k, two = torch.full((32_001,), mean, dtype=torch.float64), torch.tensor(2.0, dtype=torch.float64)
    by_default = torch.nn.PoissonNLLLoss(reduction="none")(tensor(logs), k)
    stirling = torch.nn.PoissonNLLLoss(log_input=False, full=True, eps=0.0)(two, two)
    return {
        "minimizer": rates[nll_of_rates(rates, mean).argmin()] / mean,
        "minimizer_public": rates[(mean * np.log(rates) - mean).argmin()] / mean,
        "minimizer_torch": logs[int(by_default.argmin())] / mean,
        "minimizer_torch_exp": math.exp(logs[int(by_default.argmin())]) / mean,
        "stirling": float(Poisson(link="identity").nll(two, two) - stirling),
    }


def nll_of_rates(rates: Array, mean: float) -> Array:
    return Poisson(link="identity").nll(tensor(rates), torch.full((len(rates),), mean, dtype=torch.float64)).numpy()


# 8.3: rates that are linear


def identity(cfg) -> dict[str, Array]:
    """The slope by maximum likelihood and by least squares, without and with the true variances for weights."""
    D, rates = line(cfg.num_observations, cfg.spread)
    y = tensor(np.random.default_rng([cfg.seed, 3, int(10 * cfg.spread)]).poisson(rates, (cfg.replicates, len(rates))))
    fits = {
        "mle": solve_many(Poisson(link="identity"), tensor(D), y),
        "ols": solve_many(Gaussian(), tensor(D), y),
        "wls": solve_many(Gaussian(), tensor(D), y, weights=tensor(1 / rates)),
    }
    return {name: fit.theta[:, 0] for name, fit in fits.items()}


# 8.1 and 8.4: rates whose logarithm is linear


def predictor(truth: str, n: int) -> tuple[Array, Array]:
    """D (n, P), the coefficient of interest in front, and the rates (n,)."""
    if truth == "rare":
        return np.ones((n, 1)), np.full(n, RARE)
    x = stats.norm.ppf((np.arange(n) + 0.5) / n)
    return np.column_stack((x, np.ones(n))), np.exp(A + B * x)


def coverage(cfg) -> dict[str, Array]:
    """Of each replicate: the first coefficient, and whether its intervals at 95 % cover; where all counts are zero
    there is neither. And what least squares finds: of the counts, and of log(1 + count)."""
    D, rates = predictor(cfg.truth, cfg.num_observations)
    rng = np.random.default_rng([cfg.seed, 4, len(D), D.shape[1], int(cfg.dispersion)])
    y = counts(rates, cfg.dispersion, cfg.replicates, rng)
    exists = y.any(axis=1)
    problems = Problems.of(Poisson(), tensor(D), tensor(np.where(exists[:, None], y, 1.0)), None, None)
    fit = solved_many(problems)
    truth, estimate = (B if cfg.truth == "log" else math.log(RARE)), fit.theta[:, 0]
    mu = np.exp(problems.eta(fit.theta))
    pearson = ((problems.y - mu) ** 2 / mu).sum(axis=1) / (len(D) - D.shape[1])
    errors = {how: standard_errors_many(problems, fit, how)[:, 0] for how in ("information", "HC3")}
    errors["quasi"] = errors["information"] * np.sqrt(pearson)
    found = {f"covers_{how}": exists & (np.abs(estimate - truth) <= Z * error) for how, error in errors.items()}
    found |= {"exists": exists, "pearson": pearson, "estimate": np.where(exists, estimate, np.nan)}
    if cfg.truth == "rare":
        return found | {"refused": len(solve_many(Poisson(), tensor(D), tensor(0 * y[:1])).failures)}
    return found | least_squares(D, y) | once(D, y[0])


def least_squares(D: Array, y: Array) -> dict[str, Array]:
    """Of the counts: the share of rows with a negative mean, and of the last quarter of the rows that lie within Z
    residual standard deviations of the line. And the slope of log(1 + count)."""
    n = len(D)
    found = np.linalg.lstsq(D, np.hstack((y.T, np.log1p(y.T))), rcond=None)[0]
    lines = D @ found[:, : len(y)]
    left = np.abs(y.T - lines)
    inside = left <= Z * np.sqrt((left**2).sum(axis=0) / (n - 2))
    last = inside[3 * n // 4 :].mean(axis=0)
    return {"negative": (lines < 0).mean(axis=0), "inside_last": last, "slope_log1p": found[0, len(y) :]}


def expected_squares(n: int) -> dict[str, float]:
    """What `least_squares` finds at the line that the counts have on average: H y, with H = D (D'D)^-1 D', has the mean
    H mu, and the sum of squares that is left |mu - H mu|^2 + trace((1 - H) diag(mu))."""
    D, mu = predictor("log", n)
    H = D @ np.linalg.solve(D.T @ D, D.T)
    line = H @ mu
    reach = Z * math.sqrt((((mu - line) ** 2).sum() + mu @ (1 - np.diag(H))) / (n - 2))
    inside = stats.poisson.cdf(np.floor(line + reach), mu) - stats.poisson.cdf(np.ceil(line - reach) - 1, mu)
    k = np.arange(400)[:, None]
    logs = (np.log1p(k) * stats.poisson.pmf(k, mu)).sum(axis=0)
    slope, intercept = np.linalg.lstsq(D, mu, rcond=None)[0]
    negative = float(stats.norm.cdf(-intercept / slope))
    log_slope = float(np.linalg.lstsq(D, logs, rcond=None)[0][0])
    return {"negative": negative, "inside_last": float(inside[3 * n // 4 :].mean()), "slope_log1p": log_slope}


def once(D: Array, y: Array) -> dict[str, float]:
    """Without chance, for one sample: the orders of Newton's method and of gradient descent, log e'' / e' over
    log e' / e of three distances in a row; and counts with an exposure as an offset, or as rates with weights."""
    left = {how: distances(D, y, how) for how in ("newton", "descent")}
    last = {how: np.log(e[(e > 1e-13) & (e < 0.3)][-3:]) for how, e in left.items()}
    exposure = 1 + np.arange(len(y)) % 4.0
    by_offset = solve(Poisson(), tensor(D), tensor(y), offset=tensor(np.log(exposure))).theta
    weighted, plain = (
        solve(Poisson(), tensor(D), tensor(y / exposure), weights=w).theta for w in (tensor(exposure), None)
    )
    found = {f"order_{how}": float((e[2] - e[1]) / (e[1] - e[0])) for how, e in last.items()}
    found |= {f"steps_{how}": int((e > 1e-10).sum()) for how, e in left.items()}
    theta = solve(Poisson(), tensor(D), tensor(y)).theta.numpy()
    eigenvalues = np.linalg.eigvalsh(D.T @ (D * np.exp(D @ theta)[:, None]))
    contraction = {
        "found": math.exp(last["descent"][-1] - last["descent"][-2]),
        "theory": 1 - eigenvalues[0] / eigenvalues[1],
    }
    return found | {
        **{f"contraction_{name}": float(value) for name, value in contraction.items()},
        "residuals": float(np.abs(D.T @ (y - np.exp(D @ theta))).max()),
        "exposure_weighted": float((by_offset - weighted).abs().max()),
        "exposure_plain": float((by_offset - plain).abs().max()),
    }


def distances(D: Array, y: Array, how: str) -> Array:
    """Of log mean(y) and no slope, and of the steps from there, to the answer: Newton's, or the gradient over the
    largest second derivative at the answer."""
    answer = solve(Poisson(), tensor(D), tensor(y)).theta.numpy()
    largest = np.linalg.eigvalsh(D.T @ (D * np.exp(D @ answer)[:, None]))[-1]
    theta, found = np.array([0.0, math.log(y.mean())]), []
    for _ in range(200):
        found.append(float(np.abs(theta - answer).max()))
        mu = np.exp(D @ theta)
        slope = D.T @ (y - mu)
        theta = theta + (np.linalg.solve(D.T @ (D * mu[:, None]), slope) if how == "newton" else slope / largest)
    return np.array(found)


# 8.1 and 8.4: the apples


def apples(cfg) -> dict[str, Array]:
    """Whether intervals of the coefficient of eco_price, from n households drawn with replacement, cover that of all
    households; and of all households, standard errors, and how well four laws fit."""
    examples = instantiate(cfg.data).examples(0)
    D, y = np.column_stack((examples.X.numpy(), np.ones(len(examples)))), examples.y.numpy()
    draw = np.random.default_rng([cfg.seed, 5]).integers(0, len(y), (cfg.replicates, len(y)))
    own = solve(Poisson(), tensor(D), tensor(y)).theta.numpy()[0]
    theta, errors = [], {"information": [], "HC0": []}
    for part in np.array_split(draw, max(1, cfg.replicates // 100)):
        problems = Problems.of(Poisson(), tensor(D[part]), tensor(y[part]), None, None)
        fit = solved_many(problems)
        theta.append(fit.theta[:, 0])
        for how, found in errors.items():
            found.append(standard_errors_many(problems, fit, how)[:, 0])
    theta = np.concatenate(theta)
    covers = {f"covers_{how}": np.abs(theta - own) <= Z * np.concatenate(found) for how, found in errors.items()}
    return covers | {"bootstrap": theta} | standard_errors(D, y) | laws(D, y)


def standard_errors(D: Array, y: Array) -> dict[str, float]:
    """Of eco_price, with apples and with pounds (three apples) for the unit; and variance over mean."""
    found = {"dispersion": y.var(ddof=1) / y.mean(), "dispersion_pounds": (y / 3).var(ddof=1) / (y / 3).mean()}
    for name, noise, unit in (("poisson", Poisson(), 1), ("pounds", Poisson(), 3), ("nb", NegativeBinomial(), 1)):
        problem = Problem.of(noise, tensor(D), tensor(y / unit), None, None)
        answer = solve(noise, tensor(D), tensor(y / unit))
        found[f"coefficient_{name}"] = float(answer.theta[0])
        for how in ("information", "HC0"):
            found[f"{how}_{name}"] = float(uncertainty(problem, answer, how).standard_errors()[0])
    mu = np.exp(D @ solve(Poisson(), tensor(D), tensor(y)).theta.numpy())
    return found | {"pearson": ((y - mu) ** 2 / mu).sum() / (len(y) - D.shape[1])}


# What it comes to


def claims(runs: Runs) -> Iterator[Claim]:
    yield from gauss_on_counts(runs)
    yield from poisson_moments(runs)
    yield from loss_of_the_rate(runs)
    yield from training(runs)
    yield from loss_of_the_logarithm(runs)
    yield from overdispersion(runs)
    yield from apple_claims(runs)


def of_rate(runs: Runs, rate: float, sampler: str = "numpy") -> Run:
    return runs["ex8_draws"].one(sampler=sampler, rate=rate)


def of_counts(runs: Runs, n: int, dispersion: float = 1.0, truth: str = "log") -> Run:
    return runs["ex8_coverage"].one(truth=truth, num_observations=n, dispersion=dispersion)


def gauss_on_counts(runs: Runs) -> Iterator[Claim]:
    loses = "what Gauss's law, of the same mean and variance, loses a count at rate"
    for rate, margin in ((0.5, 0.05), (5.0, 0.1)):
        found = study.mean(of_rate(runs, rate).copies["gap"])
        yield claim("8.1", f"{loses} {rate:g}: the divergence of the two", gap(rate), found, margin * gap(rate))
        yield control("8.1", f"{loses} {rate:g}: nothing", 0.0, found, margin * gap(rate))
    for rate in (20.0, 100.0, 1000.0):
        scaled = study.exactly(12 * rate * of_rate(runs, rate)["gap_expected"])
        yield claim("8.1", f"{loses} {rate:g}: 1 / (12 rate), so that it is never nothing", 1.0, scaled, 0.05)
    half = study.exactly(6 * of_rate(runs, 0.5)["gap_expected"])
    yield control("8.1", f"{loses} 0.5: 1 / (12 rate) already", 1.0, half, 0.05)
    run, theory = of_counts(runs, 200), expected_squares(200)
    negative, slope = study.mean(run.copies["negative"]), study.mean(run.copies["slope_log1p"])
    yield claim("8.1", "least squares gives a tenth of the rows a negative mean", theory["negative"], negative, 0.01)
    yield control("8.1", "least squares gives none a negative mean", 0.0, negative, 0.01)
    inside = study.mean(run.copies["inside_last"])
    sentence = "share of the counts at the highest quarter of rates within its interval at 95 %"
    yield claim("8.1", f"{sentence}: as computed", theory["inside_last"], inside, 0.02)
    yield control("8.1", f"{sentence}: 95 %", 0.95, inside, 0.02)
    yield claim("8.1", "least squares of log(1 + count) finds this slope", theory["slope_log1p"], slope, 0.01)
    yield control("8.1", "least squares of log(1 + count) finds the true slope", B, slope, 0.01)


def poisson_moments(runs: Runs) -> Iterator[Claim]:
    for sampler in ("numpy", "torch"):
        for rate in (0.5, 5.0, 1000.0):
            copies = of_rate(runs, rate, sampler).copies
            which = f"rate {rate:g}, drawn by {sampler}"
            yield claim("8.2", f"E k over the rate, {which}", 1.0, study.mean(copies["mean"] / rate), 0.012)
            yield claim("8.2", f"var k over the rate, {which}", 1.0, study.mean(copies["variance"] / rate), 0.02)
    five = of_rate(runs, 5.0).copies
    yield claim("8.2", "E k (k - 1) over the square of rate 5", 1.0, study.mean(five["pairs"] / 25), 0.01)
    worst = max(abs(run["series"] / float(run.params["rate"]) - 1) for run in runs["ex8_draws"])
    yield claim("8.2", "the sum of k P(k) over the rate, less one", 0.0, study.exactly(worst), 1e-11)
    bought = study.mean(of_rate(runs, 0.5).copies["bought"])
    truncated = 0.5 / -math.expm1(-0.5)
    yield claim("8.2", "mean of those who bought at all, rate 0.5: rate / (1 - exp(-rate))", truncated, bought, 0.01)
    yield control("8.2", "mean of those who bought at all, rate 0.5: the rate", 0.5, bought, 0.01)
    clustered = of_rate(runs, 5.0, "negative_binomial").copies
    sentence = "negative binomial counts of mean 5 and dispersion 0.5: variance over mean is"
    found = study.mean(clustered["variance"] / 5)
    yield claim("8.2", f"{sentence} 1 + 5 / 2", 3.5, found, 0.07)
    yield control("8.2", f"{sentence} 1", 1.0, found, 0.07)


def loss_of_the_rate(runs: Runs) -> Iterator[Claim]:
    five = of_rate(runs, 5.0)
    for name, sentence, holds in (
        ("minimizer", "rate - k log rate", claim),
        ("minimizer_public", "k log rate - k, an answer often read", control),
        ("minimizer_torch_exp", "PoissonNLLLoss() as it comes, given the logarithm", claim),
        ("minimizer_torch", "PoissonNLLLoss() as it comes, given the rate", control),
    ):
        found = study.exactly(five[name])
        yield holds("8.3", f"where the loss is smallest over the mean of the counts: {sentence}", 1.0, found, 1e-3)
    short = study.exactly(five["stirling"])
    yield claim(
        "8.3",
        "what PoissonNLLLoss(full=True) lacks at k = 2",
        math.log(math.e**2 / 4 / math.sqrt(math.pi)),
        short,
        1e-9,
    )
    yield control("8.3", "PoissonNLLLoss(full=True) is the whole loss at k = 2", 0.0, short, 1e-9)
    for spread in (1.5, 3.0, 6.0):
        exact = slope_variances(100, spread)
        worth = exact["ols"] / exact["bound"]
        sentence = f"highest rate {spread:g} times the lowest: variance of the slope over that with true weights"
        yield claim("8.3", f"{sentence}, maximum likelihood", 1.0, against_oracle(runs, "mle", spread), 0.05)
        yield claim("8.3", f"{sentence}, least squares", worth, against_oracle(runs, "ols", spread), 0.14)
    yield control("8.3", f"{sentence}, least squares: 1", 1.0, against_oracle(runs, "ols", spread), 0.05)
    bound = study.variance(runs["ex8_identity"].one(spread=6.0).copies["mle"], slope_variances(100, 6.0)["bound"])
    yield claim("8.3", "maximum likelihood meets Fisher's bound, variance over bound", 1.0, bound, 0.2)


def against_oracle(runs: Runs, name: str, spread: float) -> study.Interval:
    copies = runs["ex8_identity"].one(spread=spread).copies
    return study.variance_ratio(copies[name], copies["wls"])


def descent(runs: Runs, link: str, lr: float, batch: int = 50) -> Run:
    return runs["ex8_descent"].one({"noise.link": link, "optimizer.lr": lr, "data.batch_size": batch})


def steps(runs: Runs, link: str, lr: float, batch: int = 50) -> tuple[Array, Array]:
    """The parameter after each step (steps, starts) and where it should end (starts,): by the rate that the logarithm
    found in full batches."""
    end = np.exp(descent(runs, "log", 0.1).copies["coefficient/intercept"])
    goal = {"log": np.log(end), "softplus": end + np.log(-np.expm1(-end))}.get(link, end)
    return descent(runs, link, lr, batch).trajectory["intercept"].reshape(-1, len(end)), goal


def training(runs: Runs) -> Iterator[Claim]:
    clamped = descent(runs, "clamp", 0.1).copies["coefficient/intercept"]
    raw = np.isfinite(steps(runs, "identity", 0.1)[0]).all(axis=0)
    moved = np.ptp(steps(runs, "clamp", 0.1)[0], axis=0) > 0
    same = study.exactly(np.mean(raw == (clamped > 0)))
    yield claim("8.3", "a raw rate fails from the starts below zero, and only there (share of starts)", 1.0, same, 1e-9)
    same = study.exactly(np.mean(moved == (clamped > 0)))
    yield claim("8.3", "a clamped rate never moves from them (share of starts)", 1.0, same, 1e-9)
    for link in ("softplus", "log", "clamp"):
        best = 4.0 if link != "log" else 0.3
        arrived = study.exactly(np.mean(descent(runs, link, best).copies["param/error"] < 1e-6))
        kind = control if link == "clamp" else claim
        yield kind("8.3", f"every start arrives at the answer (share): {link} at lr = {best:g}", 1.0, arrived, 1e-9)
    for lr in (0.1, 4.0):
        sentence = f"a step at lr = {lr:g} from the rate b leaves 1 - lr / b of the error, however large"
        yield claim("8.3", sentence, 0.0, rate_steps(runs, lr), 1e-9)
    for lr in (0.1, 0.3):
        sentence = f"a step of the logarithm at lr = {lr:g} leaves 1 - lr rate of a small error"
        yield claim("8.4", sentence, 0.0, log_steps(runs, lr, 1), 1e-3)
    yield control("8.4", "it leaves 1 - lr / rate", 0.0, log_steps(runs, 0.3, -1), 1e-3)
    for batch, kind in ((50, claim), (10, control)):
        near = study.exactly(np.mean(descent(runs, "log", 0.1, batch).copies["param/error"] < 1e-6))
        yield kind(
            "8.4", f"gradient descent at lr = 0.1 arrives (share of starts), batches of {batch} of 50", 1.0, near, 1e-9
        )


def rate_steps(runs: Runs, lr: float) -> study.Interval:
    """The largest |e(t + 1) - (1 - lr / b(t)) e(t)| over the largest error of that start, of those that do not fail:
    the gradient 1 - m / b is (b - m) / b."""
    path, goal = steps(runs, "identity", lr)
    path, goal = path[:, np.isfinite(path).all(axis=0)], goal[np.isfinite(path).all(axis=0)]
    e = path - goal
    return study.exactly((np.abs(e[1:] - (1 - lr / path[:-1]) * e[:-1]) / np.abs(e).max(axis=0)).max())


def log_steps(runs: Runs, lr: float, power: int) -> study.Interval:
    """The largest |e(t + 1) / e(t) - (1 - lr rate^power)| of errors between 1e-8 and 1e-4."""
    path, goal = steps(runs, "log", lr)
    e = path - goal
    small = (np.abs(e[:-1]) < 1e-4) & (np.abs(e[1:]) > 1e-8)
    factor = np.broadcast_to(1 - lr * np.exp(power * goal), small.shape)[small]
    return study.exactly(np.abs(e[1:][small] / e[:-1][small] - factor).max())


def loss_of_the_logarithm(runs: Runs) -> Iterator[Claim]:
    run = of_counts(runs, 200)
    yield claim("8.4", "X'(k - rate) = 0 at the answer", 0.0, study.exactly(run["residuals"]), 1e-8)
    yield claim("8.4", "Newton's method converges with order 2", 2.0, study.exactly(run["order_newton"]), 0.4)
    yield control("8.4", "gradient descent does", 2.0, study.exactly(run["order_descent"]), 0.4)
    steepest = run["contraction_found"] - run["contraction_theory"]
    yield claim(
        "8.4", "gradient descent leaves 1 - h_min / h_max of the error in a step", 0.0, study.exactly(steepest), 0.01
    )
    for name, kind in (("weighted", claim), ("plain", control)):
        sentence = f"counts with log exposure as an offset, and rates {name}, differ by"
        yield kind("8.4", sentence, 0.0, study.exactly(run[f"exposure_{name}"]), 1e-9)
    yield claim("8.4", "the slope is found without bias, n = 200", B, study.mean(run.copies["estimate"]), 0.01)
    for n in (20, 50, 200):
        sentence = f"intervals by Fisher's information cover, n = {n}"
        yield claim("8.4", sentence, 0.95, covers(of_counts(runs, n), "information"), 0.03)
    for n in (20, 50, 200):
        run, exact = of_counts(runs, n, truth="rare"), wald_coverage(RARE * n)
        sentence = f"with {RARE * n:g} counts expected in all, the intervals cover"
        yield claim("8.4", f"{sentence} as the exact sum says", exact, covers(run, "information"), 0.045)
    yield control(
        "8.4",
        "with 2 counts expected in all, they cover at 95 %",
        0.95,
        covers(of_counts(runs, 20, truth="rare"), "information"),
        0.03,
    )
    for n, kind in ((20, claim), (200, control)):
        none = study.proportion(1 - of_counts(runs, n, truth="rare").copies["exists"])
        sentence = f"no count at all, hence no finite answer, of {RARE * n:g} expected: exp(-2)"
        yield kind("8.4", sentence, math.exp(-2), none, 0.04)
    yield claim(
        "8.4",
        "such samples are refused (share)",
        1.0,
        study.exactly(of_counts(runs, 20, truth="rare")["refused"]),
        1e-9,
    )


def covers(run: Run, how: str) -> study.Interval:
    return study.proportion(run.copies[f"covers_{how}"])


def overdispersion(runs: Runs) -> Iterator[Claim]:
    for phi in (2.0, 5.0):
        run = of_counts(runs, 200, phi)
        sentence = f"variance {phi:g} times the mean: intervals by"
        yield claim(
            "8.4",
            f"{sentence} information cover 2 F(1.96 / sqrt(phi)) - 1",
            shrunk(math.sqrt(phi)),
            covers(run, "information"),
            0.06,
        )
        yield control("8.4", f"{sentence} information cover at 95 %", 0.95, covers(run, "information"), 0.04)
        for how, name in (("HC3", "the sandwich (HC3)"), ("quasi", "information and Pearson's dispersion")):
            yield claim("8.4", f"{sentence} {name} cover at 95 %", 0.95, covers(run, how), 0.045)
        bias = study.mean(run.copies["estimate"])
        yield claim("8.4", f"variance {phi:g} times the mean: the slope is right all the same", B, bias, 0.02)


def apple_claims(runs: Runs) -> Iterator[Claim]:
    run = runs["ex8_apples"][0]
    own, robust = run["information_poisson"], run["HC0_poisson"]
    sentence = "apples: 95 % intervals of the price effect from surveys drawn again cover, by"
    information, sandwich = covers(run, "information"), covers(run, "HC0")
    yield claim("8.4", f"{sentence} information, as HC0 over information says", shrunk(robust / own), information, 0.1)
    yield control("8.4", f"{sentence} information, 95 %", 0.95, information, 0.06)
    yield claim("8.4", f"{sentence} the sandwich, 95 %", 0.95, sandwich, 0.07)
    sentence = "apples: standard error of the bootstrap over that by"
    for how, kind in (("HC0", claim), ("information", control)):
        yield kind(
            "8.4",
            f"{sentence} {how}, squared",
            1.0,
            study.variance(run.copies["bootstrap"], run[f"{how}_poisson"] ** 2),
            0.3,
        )
    nb = study.exactly(run["information_nb"] / run["HC0_nb"])
    yield claim("8.4", "apples, negative binomial: standard error by information over HC0's", 1.0, nb, 0.1)
    yield control("8.4", "apples, Poisson: the same", 1.0, study.exactly(own / robust), 0.1)
    yield from unit_and_heaps(run)


def unit_and_heaps(run: Run) -> Iterator[Claim]:
    pounds = run["dispersion"] / run["dispersion_pounds"]
    yield claim("8.1", "variance over mean, in apples over in pounds", 3.0, study.exactly(pounds), 1e-9)
    same = run["coefficient_pounds"] - run["coefficient_poisson"]
    yield claim("8.1", "effect of the price, in pounds less in apples", 0.0, study.exactly(same), 1e-8)
    sentence = "standard error in pounds over that in apples, by"
    root = study.exactly(run["information_pounds"] / run["information_poisson"])
    yield claim("8.1", f"{sentence} information: sqrt(3), for a change of unit", math.sqrt(3), root, 1e-6)
    yield claim("8.1", f"{sentence} the sandwich: 1", 1.0, study.exactly(run["HC0_pounds"] / run["HC0_poisson"]), 1e-6)
    yield control("8.1", f"{sentence} information: 1", 1.0, root, 1e-6)
    sentence = "variance over mean: what is added by"
    heaps = study.exactly(run["dispersion_rounded"] - run["dispersion_nb"])
    yield claim("8.1", f"{sentence} rounding every count to a multiple of three: next to nothing", 0.0, heaps, 1.0)
    unit = study.exactly(run["dispersion"] - run["dispersion_pounds"])
    yield control("8.1", f"{sentence} the unit: next to nothing", 0.0, unit, 1.0)
    for law, kind in (("heaped", claim), ("nb", control), ("poisson", control)):
        threes = study.exactly(run[f"threes_{law}"])
        yield kind("8.1", f"share of multiples of three, by {LAWS[law]}", run["threes_observed"], threes, 0.03)
    worse = study.exactly(run["loss_poisson"] - run["loss_gaussian"])
    yield control("8.1", "loss of households left out, Poisson's law less Gauss's: no more than 0.1", 0.0, worse, 0.1)
    gained = study.exactly(run["loss_nb"] - run["loss_heaped"])
    yield claim(
        "8.1", "heaps: gain on households left out, against what the law expects", run["gain_expected"], gained, 0.05
    )
    for law, kind in (("heaped", claim), ("poisson", control)):
        surprise = study.exactly(run[f"loss_{law}"] - run[f"entropy_{law}"])
        yield kind(
            "8.1", f"loss of households left out, less what the law itself expects, {LAWS[law]}", 0.0, surprise, 0.1
        )


LAWS = {"poisson": "Poisson's law", "nb": "the negative binomial", "heaped": "the negative binomial with heaps"}


def figures(runs: Runs) -> Iterator[Figure]:
    yield gap_figure(runs)
    yield apples_figure(runs)
    yield moments_figure(runs)
    yield efficiency_figure(runs)
    yield starts_figure(runs)
    yield coverage_figure(runs)
    yield price_figure(runs)


def gap_figure(runs: Runs) -> Figure:
    drawing, axes = study.panels()
    rates = np.geomspace(0.3, 1000, 60)
    study.theory(axes, rates, [gap(rate) for rate in rates], "divergence, summed")
    axes.plot(rates, 1 / (12 * rates), color=study.COLORS[1], linewidth=1, linestyle=":", label="1 / (12 rate)")
    study.estimates(axes, RATES[:3], [study.mean(of_rate(runs, r).copies["gap"]) for r in RATES[:3]], "simulation")
    axes.set(xscale="log", yscale="log", xlabel="rate (counts)", ylabel="loss too large by (nats a count)")
    axes.legend()
    return Figure(
        "8.1",
        alt="On logarithmic scales the gap falls on a straight line of slope minus one.",
        caption="What Gauss's law, given the true mean and variance, loses on each Poisson count. It becomes small, "
        "but there is no rate from which on it is nothing.",
        drawing=drawing,
    )


def apples_figure(runs: Runs) -> Figure:
    run, k = runs["ex8_apples"][0], np.arange(22)
    drawing, axes = study.panels()
    axes.bar(k, [run[f"share_observed_{i}"] for i in k], color=study.INK, alpha=0.25, label="households")
    for number, (law, name) in enumerate(LAWS.items()):
        shares, marker = [run[f"share_{law}_{i}"] for i in k], "osD"[number]
        axes.plot(k, shares, marker=marker, markersize=4, linewidth=0.8, color=study.COLORS[number], label=name)
    axes.set(xlabel="apples", ylabel="share of households", xticks=range(0, 22, 3))
    axes.legend()
    return Figure(
        "8.1",
        alt="Bars at 0, 3, 6, 9, 12 and 15 stand out; Poisson's law is a hump around four, the negative binomial falls "
        "smoothly, and only the law with heaps follows the bars.",
        caption="The apples of 627 households and three laws that were fitted to them. Apples come by the pound, three "
        "at a time.",
        drawing=drawing,
    )


def moments_figure(runs: Runs) -> Figure:
    drawing, panels = study.panels(columns=2)
    for number, sampler in enumerate(SAMPLERS):
        at = [rate * 1.15 ** (number - 1) for rate in RATES]
        copies = [of_rate(runs, rate, sampler).copies for rate in RATES]
        name = sampler.replace("_", " ")
        study.estimates(panels[0], at, [study.mean(c["mean"] / r) for c, r in zip(copies, RATES)], name, number)
        study.estimates(panels[1], at, [study.mean(c["variance"] / r) for c, r in zip(copies, RATES)], name, number)
    study.theory(panels[0], [0.4, 1200], [1, 1])
    rates = np.geomspace(0.4, 1200, 50)
    study.theory(panels[1], rates, np.ones(50), "1")
    study.theory(panels[1], rates, 1 + rates / 2, "1 + rate / 2", color=study.COLORS[2])
    panels[0].set(xscale="log", xlabel="rate (counts)", ylabel="mean / rate", ylim=(0.98, 1.02))
    panels[1].set(xscale="log", yscale="log", xlabel="rate (counts)", ylabel="variance / rate")
    panels[0].legend(fontsize=8)
    panels[1].legend(fontsize=8)
    return Figure(
        "8.2",
        alt="Left: all means over their rates lie at one. Right: variances of Poisson counts lie at one, those of "
        "negative binomial counts on a rising curve.",
        caption="Mean and variance of counts over the rate, with 99 % intervals. A mean of the rate is not special to "
        "Poisson's law; a variance of the rate is.",
        drawing=drawing,
    )


def efficiency_figure(runs: Runs) -> Figure:
    drawing, axes = study.panels(height=2.8)
    spreads, curve = [1.5, 3.0, 6.0], np.geomspace(1.05, 8, 40)
    exact = [slope_variances(100, spread) for spread in curve]
    for number, (name, label) in enumerate({"mle": "maximum likelihood", "ols": "least squares"}.items()):
        study.estimates(axes, spreads, [against_oracle(runs, name, s) for s in spreads], label, number)
    study.theory(axes, curve, np.ones(len(curve)), label="theory", color=study.COLORS[0])
    study.theory(axes, curve, [e["ols"] / e["bound"] for e in exact], label="_", color=study.COLORS[1])
    axes.set(xscale="log", xlabel="highest rate / lowest rate", ylabel="variance / that with true weights")
    axes.set_xticks([1, 1.5, 3, 6], ["1", "1.5", "3", "6"])
    axes.minorticks_off()
    axes.legend()
    return Figure(
        "8.3",
        alt="Maximum likelihood stays at one; least squares rises with the spread of the rates.",
        caption="Rates that are linear in x: how variable the slope is, against least squares that is told the true "
        "variances.",
        drawing=drawing,
    )


def starts_figure(runs: Runs) -> Figure:
    drawing, panels = study.panels(columns=2, sharex=True)
    below = int(np.argmax(descent(runs, "clamp", 0.1).copies["coefficient/intercept"] < 0))
    above = int(np.argmax(descent(runs, "clamp", 0.1).copies["coefficient/intercept"] > 0))
    for axes, start, title in ((panels[0], below, "a start below zero"), (panels[1], above, "a start above zero")):
        for number, link in enumerate(("identity", "clamp", "softplus", "log")):
            path = steps(runs, link, 0.1)[0][:, start]
            rate = Poisson(link=link).mean(tensor(path.copy())).numpy()
            style = (0, (4 + 2 * number, number))
            label = {"identity": "raw"}.get(link, link)
            axes.plot(np.arange(len(rate)) + 1, rate, color=study.COLORS[number], linestyle=style, label=label)
        axes.set(xlabel="step", title=title)
    panels[0].set_ylabel("rate (counts)")
    panels[0].text(
        0.97,
        0.12,
        "raw: failed at the first step",
        transform=panels[0].transAxes,
        ha="right",
        fontsize=8,
    )
    panels[1].legend(fontsize=8)
    return Figure(
        "8.3",
        alt="From below zero the clamped rate stays at zero, softplus and logarithm rise to the answer. From above "
        "zero all four find it.",
        caption="Full-batch gradient descent at lr = 0.1 to the rate of 50 counts.",
        drawing=drawing,
    )


def coverage_figure(runs: Runs) -> Figure:
    drawing, panels = study.panels(columns=2, sharey=True)
    ways = {"information": "information", "HC3": "sandwich (HC3)", "quasi": "Pearson's dispersion"}
    for number, (how, name) in enumerate(ways.items()):
        at = [phi * 1.04 ** (number - 1) for phi in (1, 2, 5)]
        study.estimates(panels[0], at, [covers(of_counts(runs, 200, p), how) for p in (1.0, 2.0, 5.0)], name, number)
    phis, totals = np.geomspace(1, 5.2, 40), np.geomspace(1.2, 25, 400)
    study.theory(panels[0], phis, [shrunk(math.sqrt(phi)) for phi in phis], "theory")
    rare = [covers(of_counts(runs, n, truth="rare"), "information") for n in (20, 50, 200)]
    study.estimates(panels[1], [RARE * n for n in (20, 50, 200)], rare, "information")
    study.theory(panels[1], totals, [wald_coverage(total) for total in totals], "exact sum")
    for axes in panels:
        axes.axhline(0.95, color=study.INK, linewidth=0.6)
        axes.set(xscale="log")
        axes.legend(fontsize=8)
    panels[0].set(xlabel="variance / mean", ylabel="coverage of intervals at 95 %")
    panels[1].set(xlabel="counts expected in all")
    for axes, ticks in ((panels[0], [1, 2, 5]), (panels[1], [2, 5, 20])):
        axes.set_xticks(ticks, map(str, ticks))
        axes.minorticks_off()
    return Figure(
        "8.4",
        alt="Left: coverage by information falls along the dashed curve as variance over mean grows, that of sandwich "
        "and Pearson's dispersion stays near 95 per cent. Right: with few counts coverage is a saw.",
        caption="How often intervals at 95 % cover. Left: the slope from 200 counts that are more variable "
        "than Poisson's. Right: a constant rate, by how many counts are to be expected in the whole sample.",
        drawing=drawing,
    )


def price_figure(runs: Runs) -> Figure:
    run = runs["ex8_apples"][0]
    poisson, nb = run["coefficient_poisson"], run["coefficient_nb"]
    rows = {
        "Poisson, counting apples": (poisson, run["information_poisson"]),
        "Poisson, counting pounds": (poisson, run["information_pounds"]),
        "Poisson, sandwich": (poisson, run["HC0_poisson"]),
        "Poisson, bootstrap": (poisson, float(run.copies["bootstrap"].std(ddof=1))),
        "negative binomial": (nb, run["information_nb"]),
    }
    drawing, axes = study.panels(height=2.4)
    for number, (middle, error) in enumerate(rows.values()):
        axes.errorbar(middle, -number, xerr=Z * error, marker="o", color=study.COLORS[number], capsize=3)
    axes.set_yticks(-np.arange(len(rows)), rows)
    axes.set(xlabel="change of the log rate for a dollar a pound", ylim=(-len(rows) + 0.4, 0.6))
    return Figure(
        "8.4",
        alt="The first interval is a third as wide as the last three; counting pounds widens it.",
        caption="The effect of the own price on 627 households' apples, with 95 % intervals of five kinds.",
        drawing=drawing,
    )
