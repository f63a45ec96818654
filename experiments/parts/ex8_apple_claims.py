"""Exercise 8: what is concluded from the apples."""

from __future__ import annotations

import math
from collections.abc import Iterator

from noiseworks import studies as study
from noiseworks.studies import Claim, Run, Runs, claim, control
from noiseworks_experiments.parts.ex8_runs import TITLES, covers
from noiseworks_experiments.parts.ex8_theory import shrunk


def apple_claims(runs: Runs) -> Iterator[Claim]:
    run = runs["ex8_apples"][0]
    own, robust = run["information_poisson"], run["HC0_poisson"]
    sentence = (
        "apples: 95 % intervals of the price effect from surveys of 2,508 households drawn from the 627 cover, by"
    )
    information, sandwich = covers(run, "information"), covers(run, "HC0")
    short, ratio = shrunk(robust / own), (robust / own) ** 2
    said = f"{sentence} information, as HC0 over information says"
    yield claim(
        "8.4", said, short, information, 0.12, {"the variances' ratio for its root": shrunk(ratio), "95 %": 0.95}
    )
    yield control("8.4", f"{sentence} information, 95 %", 0.95, information, 0.12)
    yield claim("8.4", f"{sentence} the sandwich, 95 %", 0.95, sandwich, 0.06, {"as by information": short})
    sentence = "apples: standard error of the bootstrap over that by"
    boot = study.variance(run.copies["bootstrap"], robust**2)
    wrong = {"as over that by information": ratio, "information's": 1 / ratio}
    yield claim("8.4", f"{sentence} HC0, squared", 1.0, boot, 0.4, wrong)
    boot = study.variance(run.copies["bootstrap"], own**2)
    yield control("8.4", f"{sentence} information, squared", 1.0, boot, 0.4)
    quasi = study.exactly(run["quasi_poisson"] / robust)
    yield claim("8.4", "apples, quasi-Poisson: standard error over HC0's", 1.0, quasi, 0.15)
    nb = study.exactly(run["information_nb"] / run["HC0_nb"])
    yield claim("8.4", "apples, negative binomial: standard error by information over HC0's", 1.0, nb, 0.1)
    yield control(
        "8.4", "apples, Poisson: standard error by information over HC0's", 1.0, study.exactly(own / robust), 0.1
    )
    yield from unit_and_heaps(run)
    yield from zero_claims(runs)


def unit_and_heaps(run: Run) -> Iterator[Claim]:
    same = run["coefficient_pounds"] - run["coefficient_poisson"]
    yield claim("8.1", "effect of the price, in pounds less in apples", 0.0, study.exactly(same), 1e-8)
    sentence = "standard error in pounds over that in apples, by"
    root = study.exactly(run["information_pounds"] / run["information_poisson"])
    yield claim("8.1", f"{sentence} information: sqrt(3), for a change of unit", math.sqrt(3), root, 1e-6)
    yield claim("8.1", f"{sentence} the sandwich: 1", 1.0, study.exactly(run["HC0_pounds"] / run["HC0_poisson"]), 1e-6)
    yield control("8.1", f"{sentence} information: 1", 1.0, root, 1e-6)
    same = study.exactly(run["quasi_pounds"] / run["quasi_poisson"])
    yield claim("8.1", f"{sentence} quasi-Poisson: 1", 1.0, same, 1e-6)
    sentence = "variance over mean: what is added by"
    heaps = study.exactly(run["dispersion_rounded"] - run["dispersion_nb"])
    yield claim("8.1", f"{sentence} rounding every count to a multiple of three: next to nothing", 0.0, heaps, 1.0)
    unit = study.exactly(run["dispersion"] - run["dispersion_pounds"])
    yield control("8.1", f"{sentence} the unit: next to nothing", 0.0, unit, 1.0)
    for name, kind in (("heaped", claim), ("nb", control), ("poisson", control)):
        threes = study.exactly(run[f"threes_{name}"])
        yield kind("8.1", f"share of multiples of three, by {TITLES[name]}", run["threes_observed"], threes, 0.03)
    worse = study.exactly(run["loss_poisson"] - run["loss_gaussian"])
    yield control("8.1", "loss of households left out, Poisson less Gaussian: no more than 0.1", 0.0, worse, 0.1)
    gained = study.exactly(run["loss_nb"] - run["loss_heaped"])
    sentence = "heaps: gain on households left out, against what the distribution expects"
    yield claim("8.1", sentence, run["gain_expected"], gained, 0.05)
    for name, kind in (("heaped", claim), ("poisson", control)):
        surprise = study.exactly(run[f"loss_{name}"] - run[f"entropy_{name}"])
        sentence = f"loss of households left out, less what the distribution itself expects, {TITLES[name]}"
        yield kind("8.1", sentence, 0.0, surprise, 0.1)


def zero_claims(runs: Runs) -> Iterator[Claim]:
    run, law = runs["ex8_zeros"][0], runs["ex8_apples"][0]
    sentence = "share of households without apples, less what is expected by a negative binomial fitted to them"
    plain, heaped = (study.mean(run.copies[name]) for name in ("plain", "heaped"))
    wrong = {
        "as of the Poisson distribution": law["share_nb_0"] - law["share_poisson_0"],
        "as of the apples": run["apples"],
    }
    yield claim("8.1", f"{sentence}; drawn from one", 0.0, plain, 0.02, wrong)
    yield control("8.1", sentence, 0.0, study.exactly(run["apples"]), 0.02)
    yield control("8.1", f"{sentence}; drawn from one, two thirds rounded to multiples of three", 0.0, heaped, 0.02)
    sentence = "share of households without apples, less what is expected by"
    yield claim("8.1", f"{sentence} a zero-inflated negative binomial", 0.0, study.exactly(run["inflated"]), 0.02)
    lacking = study.exactly(law["share_observed_0"] - law["share_heaped_0"])
    yield control("8.1", f"{sentence} the negative binomial with heaps", 0.0, lacking, 0.02)
