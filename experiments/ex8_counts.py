"""Exercise 8: regression for counts.

8.1 What is wrong with Gaussian noise for counts. 8.2 The mean of Poisson counts is their rate. 8.3 The loss of a rate.
8.4 The loss of its logarithm: what it is worth, how often its intervals cover, and what overdispersion does to them; on
627 households that bought apples, too.

Source:  D2L 3.1, exercise 8; apples: Blend and van Ravenswaay (1999).
Command: make exercises EX=8
Cost:    20 s on 2 cores.
Expect:  gap 1 / (12 rate); mean / rate = 1 within 1 %; maximum likelihood as precise as least squares with the true
         weights; coverage within 2 to 5 points of theory, and of what a wrong standard error would give far away.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
from scipy.special import ndtr

from noiseworks import studies as study
from noiseworks.studies import Claim, Runs, claim, control
from noiseworks_experiments.parts.counts import alpha_of
from noiseworks_experiments.parts.ex8_apple_claims import apple_claims
from noiseworks_experiments.parts.ex8_figures import figures
from noiseworks_experiments.parts.ex8_logarithm import RARE, A, B, predictor
from noiseworks_experiments.parts.ex8_measure import measure
from noiseworks_experiments.parts.ex8_runs import (
    added_variance,
    against_oracle,
    covers,
    descent,
    of_counts,
    of_dispersed,
    of_rate,
    steps,
)
from noiseworks_experiments.parts.ex8_theory import (
    biases,
    diagonal_ratio,
    expected_squares,
    gap,
    shrunk,
    slope_variances,
    too_small,
    wald_coverage,
)

__all__ = ["EXPERIMENTS", "claims", "figures", "measure"]

EXPERIMENTS = {
    "ex8_draws": ["replicates=50"],
    "ex8_identity": ["replicates=600"],
    "ex8_coverage": ["replicates=1000"],
    "ex8_overdispersed": ["replicates=1000"],
    "ex8_quasi": ["replicates=1000"],
    "ex8_descent": ["replicates=5"],
    "ex8_apples": ["replicates=200"],
    "ex8_zeros": ["replicates=3"],
}
SKEWED = 800  # counts of ex8_quasi, as in its YAML
MARGINS = {10: 0.05, 20: 0.04, 25: 0.03}  # of the coverage where so many rows have a rate of 0.1


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
    for rate in (0.5, 5.0):
        found = study.mean(of_rate(runs, rate).copies["gap"])
        wrong = {"1 / (12 rate)": 1 / (12 * rate), "1 / (2 rate)": 1 / (2 * rate)}
        margin = abs(gap(rate) - 1 / (12 * rate)) / 2
        yield claim("8.1", f"{loses} {rate:g}: the divergence of the two", gap(rate), found, margin, wrong)
        yield control("8.1", f"{loses} {rate:g}: nothing", 0.0, found, margin)
    for rate in (20.0, 100.0, 1000.0):
        scaled = study.exactly(12 * rate * of_rate(runs, rate)["gap_expected"])
        yield claim("8.1", f"{loses} {rate:g}: 1 / (12 rate), so that it is never nothing", 1.0, scaled, 0.05)
    half = study.exactly(6 * of_rate(runs, 0.5)["gap_expected"])
    yield control("8.1", f"{loses} 0.5: 1 / (12 rate) already", 1.0, half, 0.05)
    run, theory = of_counts(runs, 200), expected_squares(200)
    negative, slope = study.mean(run.copies["negative"]), study.mean(run.copies["slope_log1p"])
    wrong = {"where the log rate is negative": float(ndtr(-A / B))}
    sentence = "least squares gives a tenth of the rows a negative mean"
    yield claim("8.1", sentence, theory["negative"], negative, 0.01, wrong)
    yield control("8.1", "least squares gives none a negative mean", 0.0, negative, 0.01)
    inside = study.mean(run.copies["inside_last"])
    sentence = "share of the counts in the highest quarter of rates within the least-squares interval at 95 %"
    wrong = {"normal counts about the line that they have on average": theory["inside_normal"]}
    yield claim("8.1", f"{sentence}: as computed", theory["inside_last"], inside, 0.02, wrong)
    yield control("8.1", f"{sentence}: 95 %", 0.95, inside, 0.02)
    wrong = {"the logarithm of 1 + mean": theory["slope_mean"]}
    sentence = "slope by least squares of log(1 + count)"
    yield claim("8.1", f"{sentence}: as computed", theory["slope_log1p"], slope, 0.0028, wrong)
    yield control("8.1", "least squares of log(1 + count) finds the true slope", B, slope, 0.0028)


def poisson_moments(runs: Runs) -> Iterator[Claim]:
    for sampler in ("numpy", "torch"):
        for rate, margin in ((0.5, 0.012), (5.0, 0.0034), (1000.0, 0.00025)):
            copies = of_rate(runs, rate, sampler).copies
            which = f"rate {rate:g}, drawn by {sampler}"
            wrong = {"half a count more, for the whole numbers": 1 + 1 / (2 * rate)}
            wrong |= {"of those who bought at all": -1 / math.expm1(-rate)} if rate < 10 else {}
            yield claim("8.2", f"E k over the rate, {which}", 1.0, study.mean(copies["mean"] / rate), margin, wrong)
            wrong = {"E k^2 for the variance": 1 + rate, "the rate for the standard deviation": rate}
            found = study.mean(copies["variance"] / rate)
            yield claim("8.2", f"var k over the rate, {which}", 1.0, found, 0.02, wrong)
    five = of_rate(runs, 5.0).copies
    found = study.mean(five["pairs"] / 25)
    yield claim("8.2", "E k (k - 1) over the square of rate 5", 1.0, found, 0.01, {"E k^2 for it": 1.2})
    worst = max(abs(run["series"] / float(run.params["rate"]) - 1) for run in runs["ex8_draws"])
    yield claim("8.2", "the sum of k P(k) over the rate, less one", 0.0, study.exactly(worst), 1e-11)
    bought = study.mean(of_rate(runs, 0.5).copies["bought"])
    truncated, wrong = 0.5 / -math.expm1(-0.5), {"1 + rate": 1.5}
    sentence = "mean of those who bought at all, rate 0.5: rate / (1 - exp(−rate))"
    yield claim("8.2", sentence, truncated, bought, 0.015, wrong)
    yield control("8.2", "mean of those who bought at all, rate 0.5: the rate", 0.5, bought, 0.015)
    clustered = of_rate(runs, 5.0, "negative_binomial").copies
    sentence = "negative binomial counts of mean 5 and dispersion 0.5: variance over mean is"
    found = study.mean(clustered["variance"] / 5)
    wrong = {"1 + 1 / 2, as if it were the dispersion": 1.5, "1 + 5 * 2, with its inverse": 11.0}
    yield claim("8.2", f"{sentence} 1 + 5 / 2", 3.5, found, 0.07, wrong)
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
    short, exact = study.exactly(five["stirling"]), math.log(math.e**2 / 4 / math.sqrt(math.pi))
    yield claim("8.3", "what PoissonNLLLoss(full=True) lacks at k = 2", exact, short, 1e-9)
    yield control("8.3", "PoissonNLLLoss(full=True) is the whole loss at k = 2", 0.0, short, 1e-9)
    yield from precision(runs)


def precision(runs: Runs) -> Iterator[Claim]:
    for spread in (1.5, 3.0, 6.0):
        exact = slope_variances(100, spread)
        worth, turned = exact["ols"] / exact["bound"], exact["turned"] / exact["bound"]
        sentence = f"highest rate {spread:g} times the lowest: variance of the slope over that with true weights"
        found, wrong = against_oracle(runs, "mle", spread), {"rows weighted by their variances": turned}
        yield claim("8.3", f"{sentence}, maximum likelihood", 1.0, found, (turned - 1) / 2.2, wrong)
        added = added_variance(runs, spread)
        sentence = (
            f"highest rate {spread:g} times the lowest: what least squares adds to the variance with true weights"
        )
        wrong = {"ratio of the standard errors": math.sqrt(worth) - 1, "nothing": 0.0}
        yield claim("8.3", f"{sentence}, over that", worth - 1, added, (worth - 1) / 4, wrong)
    yield control("8.3", f"{sentence}: nothing", 0.0, added, (worth - 1) / 4)
    bound = study.variance(runs["ex8_identity"].one(spread=6.0).copies["mle"], exact["bound"])
    sentence, wrong = (
        "maximum likelihood meets Fisher's bound, variance over bound",
        {"rows weighted by their variances": turned},
    )
    yield claim("8.3", sentence, 1.0, bound, 0.16, wrong)


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
    found, wrong = study.mean(run.copies["estimate"]), {"as of log(1 + count)": expected_squares(200)["slope_log1p"]}
    exact = B + float(biases(*predictor("log", 200), 1.0)[0])
    yield claim("8.4", "the slope is found with a bias of order 1 / n only, n = 200", exact, found, 0.01, wrong)
    for n in (20, 50, 200):
        wrong = {"1 / J_00 for the variance": shrunk(diagonal_ratio(*predictor("log", n)))}
        found = covers(of_counts(runs, n), "information")
        yield claim("8.4", f"intervals by Fisher's information cover, n = {n}", 0.95, found, 0.02, wrong)
    yield from few_counts(runs)


def few_counts(runs: Runs) -> Iterator[Claim]:
    for n in (10, 20, 25):
        run, exact = of_counts(runs, n, truth="rare"), wald_coverage(RARE * n)
        sentence = f"with {RARE * n:g} counts expected in all, the intervals cover"
        wrong = {"95 %": 0.95}
        found = covers(run, "information")
        yield claim("8.4", f"{sentence} as the exact sum says", exact, found, MARGINS[n], wrong)
        yield control("8.4", f"{sentence} at 95 %", 0.95, found, MARGINS[n])
    for n, kind in ((10, claim), (200, control)):
        none = study.proportion(1 - of_counts(runs, n, truth="rare").copies["exists"])
        sentence = f"no count at all, hence no finite answer, of {RARE * n:g} expected: exp(-1)"
        wrong = {"by a normal distribution": float(ndtr(-1))}
        more = {"wrong": wrong} if kind is claim else {}
        yield kind("8.4", sentence, math.exp(-1), none, 0.06, **more)
    refused = study.exactly(of_counts(runs, 20, truth="rare")["refused"])
    yield claim("8.4", "samples without any count are refused (share)", 1.0, refused, 1e-9)


def overdispersion(runs: Runs) -> Iterator[Claim]:
    for phi in (2.0, 5.0):
        run, short = of_dispersed(runs, phi), shrunk(math.sqrt(phi))
        sentence, found = f"variance {phi:g} times the mean: intervals by", covers(run, "information")
        wrong = {"φ for its root": shrunk(phi), "95 %": 0.95}
        yield claim("8.4", f"{sentence} information cover 2 Φ(1.96 / √φ) - 1", short, found, 0.05, wrong)
        yield control("8.4", f"{sentence} information cover at 95 %", 0.95, found, 0.05)
        for how, name in (("HC3", "the sandwich (HC3)"), ("quasi", "quasi-Poisson")):
            wrong = {"as by information": short, "φ for its root": shrunk(1 / math.sqrt(phi))}
            yield claim("8.4", f"{sentence} {name} cover at 95 %", 0.95, covers(run, how), 0.02, wrong)
        found, exact = study.mean(run.copies["estimate"]), B + float(biases(*predictor("busy", 200), phi)[0])
        wrong = {"over the root of φ": B / math.sqrt(phi)}
        sentence = f"variance {phi:g} times the mean: the slope is right all the same, but for a bias of order 1 / n"
        yield claim("8.4", sentence, exact, found, 0.01, wrong)
    run = runs["ex8_quasi"][0]
    D, rates = predictor("skewed", SKEWED)
    ratios = too_small(D, rates, rates + alpha_of(rates, 2.0) * rates**2)
    sentence = "variance over mean 2 on average, growing with the mean: intervals by"
    found, exact = covers(run, "quasi"), shrunk(ratios["quasi"])
    wrong = {"95 %": 0.95, "as by information": shrunk(ratios["information"])}
    yield claim("8.4", f"{sentence} quasi-Poisson cover as the ratio to the sandwich says", exact, found, 0.03, wrong)
    yield control("8.4", f"{sentence} quasi-Poisson cover at 95 %", 0.95, found, 0.03)
    wrong = {"as by quasi-Poisson": exact}
    yield claim("8.4", f"{sentence} the sandwich (HC3) cover at 95 %", 0.95, covers(run, "HC3"), 0.025, wrong)
