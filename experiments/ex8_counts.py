"""Exercise 8: regression for counts.

8.1 What is wrong with Gaussian noise for counts. 8.2 The mean of Poisson counts is their rate. 8.3 The loss of a rate.
8.4 The loss of its logarithm: what it is worth, how often its intervals cover, and what overdispersion does to them; on
627 households that bought apples, too.

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

from noiseworks import studies as study
from noiseworks.studies import Claim, Runs, claim, control
from noiseworks_experiments.parts.counts import gap, shrunk, slope_variances, wald_coverage
from noiseworks_experiments.parts.ex8_apple_claims import apple_claims
from noiseworks_experiments.parts.ex8_figures import figures
from noiseworks_experiments.parts.ex8_logarithm import RARE, B, expected_squares
from noiseworks_experiments.parts.ex8_measure import measure
from noiseworks_experiments.parts.ex8_runs import against_oracle, covers, descent, of_counts, of_rate, steps

__all__ = ["EXPERIMENTS", "claims", "figures", "measure"]

EXPERIMENTS = {
    "ex8_draws": ["replicates=50"],
    "ex8_identity": ["replicates=600"],
    "ex8_coverage": ["replicates=1000"],
    "ex8_descent": ["replicates=5"],
    "ex8_apples": ["replicates=300"],
}


def claims(runs: Runs) -> Iterator[Claim]:
    yield from gauss_on_counts(runs)
    yield from poisson_moments(runs)
    yield from loss_of_the_rate(runs)
    yield from training(runs)
    yield from loss_of_the_logarithm(runs)
    yield from overdispersion(runs)
    yield from apple_claims(runs)


def gauss_on_counts(runs: Runs) -> Iterator[Claim]:
    loses = "what the Gaussian, of the same mean and variance, loses a count at rate"
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
    sentence = "share of the counts in the highest quarter of rates within the least-squares interval at 95 %"
    yield claim("8.1", f"{sentence}: as computed", theory["inside_last"], inside, 0.02)
    yield control("8.1", f"{sentence}: 95 %", 0.95, inside, 0.02)
    yield claim("8.1", "slope by least squares of log(1 + count): as computed", theory["slope_log1p"], slope, 0.01)
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
    yield claim("8.2", "mean of those who bought at all, rate 0.5: rate / (1 - exp(−rate))", truncated, bought, 0.01)
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


def training(runs: Runs) -> Iterator[Claim]:
    clamped = descent(runs, "clamp", 0.1).copies["coefficient/intercept"]
    raw = np.isfinite(steps(runs, "identity", 0.1)[0]).all(axis=0)
    moved = np.ptp(steps(runs, "clamp", 0.1)[0], axis=0) > 0
    same = study.exactly(np.mean(raw == (clamped > 0)))
    yield claim("8.3", "a raw rate fails from the starts below zero, and only there (share of starts)", 1.0, same, 1e-9)
    same = study.exactly(np.mean(moved == (clamped > 0)))
    yield claim(
        "8.3",
        "a clamped rate never moves from starts below zero, and from all others does (share of starts)",
        1.0,
        same,
        1e-9,
    )
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
    yield control(
        "8.4",
        "a step of the logarithm at lr = 0.3 leaves 1 - lr / rate of a small error",
        0.0,
        log_steps(runs, 0.3, -1),
        1e-3,
    )
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
    yield control("8.4", "gradient descent converges with order 2", 2.0, study.exactly(run["order_descent"]), 0.4)
    steepest = run["contraction_found"] - run["contraction_theory"]
    yield claim(
        "8.4",
        "gradient descent with step 1 / h_max leaves 1 - h_min / h_max of the error",
        0.0,
        study.exactly(steepest),
        0.01,
    )
    for name, kind in (("weighted", claim), ("plain", control)):
        weights = {"weighted": "weighted by exposure", "plain": "without weights"}[name]
        sentence = f"counts with log exposure as an offset, and rates {weights}, differ by"
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
        "with 2 counts expected in all, the intervals cover at 95 %",
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
        "samples without any count are refused (share)",
        1.0,
        study.exactly(of_counts(runs, 20, truth="rare")["refused"]),
        1e-9,
    )


def overdispersion(runs: Runs) -> Iterator[Claim]:
    for phi in (2.0, 5.0):
        run = of_counts(runs, 200, phi)
        sentence = f"variance {phi:g} times the mean: intervals by"
        yield claim(
            "8.4",
            f"{sentence} information cover 2 Φ(1.96 / √φ) - 1",
            shrunk(math.sqrt(phi)),
            covers(run, "information"),
            0.06,
        )
        yield control("8.4", f"{sentence} information cover at 95 %", 0.95, covers(run, "information"), 0.04)
        for how, name in (("HC3", "the sandwich (HC3)"), ("quasi", "information and Pearson's dispersion")):
            yield claim("8.4", f"{sentence} {name} cover at 95 %", 0.95, covers(run, how), 0.045)
        bias = study.mean(run.copies["estimate"])
        yield claim("8.4", f"variance {phi:g} times the mean: the slope is right all the same", B, bias, 0.02)
