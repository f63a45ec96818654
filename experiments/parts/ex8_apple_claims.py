"""Exercise 8: what is concluded from the apples."""

from __future__ import annotations

import math
from collections.abc import Iterator

from noiseworks import studies as study
from noiseworks.studies import Claim, Run, Runs, claim, control
from noiseworks_experiments.parts.counts import shrunk
from noiseworks_experiments.parts.ex8_runs import TITLES, covers


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
    yield control(
        "8.4", "apples, Poisson: standard error by information over HC0's", 1.0, study.exactly(own / robust), 0.1
    )
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
