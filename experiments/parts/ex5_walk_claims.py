"""Claims of exercise 5.3 about steps of other kinds, and about the corner of |r| rounded off."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from noiseworks import studies as study
from noiseworks.studies import Claim, Interval, Runs, claim, control
from noiseworks_experiments.parts.ex5_runs import fall, walked
from noiseworks_experiments.parts.ex5_theory import after, expected, polyak_rate, rounded, sharp_hop
from noiseworks_experiments.parts.ex5_walks import CORNERS, FIXED, B, D
from noiseworks_experiments.parts.hopping import absolute_gap

TITLES = {
    "inverse": "step 1 / (5 + t)",
    "early": "step 0.2 / (1 + t)",
    "geometric": "step 0.2 * 0.99^t",
    "hasty": "step 0.2 * 0.8^t",
}
NOISY, EXACT = 1.0, 0.0  # scale of the label noise


def rules(runs: Runs) -> Iterator[Claim]:
    """With label noise: where falling steps end. Without: how fast they arrive."""
    for rule, other in (("inverse", "early"), ("geometric", "inverse")):
        start = float((walked(runs, NOISY, rule, 100) ** 2).mean())  # w - w* is not normal before
        exact, sentence = after(rule, since=100, square=start), "the loss gap after 1,000 steps"
        wrong = {"where the last step would stay, lr d / (4 B)": FIXED[rule](999) * D / (4 * B)}
        wrong["of step / sqrt(1 + t / 100)"] = expected("inverse_sqrt", False)
        yield claim("5.3", f"{sentence}: {TITLES[rule]}", exact, gap(runs, rule), 0.15 * exact, wrong)
        said = f"{sentence} is that of {TITLES[rule]}: {TITLES[other]}"
        yield control("5.3", said, exact, gap(runs, other), 0.15 * exact)
    yield from linearly(runs)
    for rule, decay in (("geometric", 0.99), ("inverse", 1.0)):
        exact, sentence = sharp_hop(decay), f"the mean distance over the step, {TITLES[rule]}"
        wrong = {"examples that have nothing in common": np.sqrt(np.pi / 8) * D / B}
        found, noisy = (study.mean(hop(runs, noise, rule)) for noise in (EXACT, NOISY))
        yield claim("5.3", f"{sentence}, no label noise", exact, found, 0.01 * exact, wrong)
        yield control("5.3", f"{sentence}, with label noise", exact, noisy, 0.01 * exact)


def gap(runs: Runs, rule: str) -> Interval:
    return study.mean(absolute_gap(walked(runs, NOISY, rule)))


def hop(runs: Runs, label_noise: float, rule: str) -> NDArray[np.float64]:
    return runs["ex5_walks"].one(label_noise=label_noise).copies[f"hop/{rule}"]


def linearly(runs: Runs) -> Iterator[Claim]:
    """What the logarithm of |w - w*| gains in a step."""
    factor, sentence = np.log(0.99), "the distance falls by the factor of the step: log of it, steps 500 to 1,000"
    wrong = {"by its root, as the distance with label noise": factor / 2, "as 1 / t": -np.log(2) / 500}
    found = {rule: fall(runs, EXACT, rule, 500, 1000) for rule in ("geometric", "hasty")}
    first = f"{sentence}, {TITLES['geometric']}"
    yield claim("5.3", f"{first}, no label noise", factor, found["geometric"], -0.03 * factor, wrong)
    noisy = fall(runs, NOISY, "geometric", 500, 1000)
    yield control("5.3", f"{first}, with label noise", factor, noisy, -0.03 * factor)
    hasty = np.log(0.8)
    yield control("5.3", f"{sentence}, {TITLES['hasty']}, which ends on the way", hasty, found["hasty"], -0.03 * hasty)
    rate, sentence = polyak_rate(), "Polyak's step (f - f*) / |g|^2: log of the distance gains as much a step"
    square = 2 / np.pi + (1 - 2 / np.pi) / B  # E a^2
    wrong = {
        "by the means of both squares": np.log((D - 1) / B / (square + (D - 1) / B)) / 2,
        "as with one example a step, log(1 - 1 / d) / 2": np.log(1 - 1 / D) / 2,
    }
    for kind, noise, where in ((claim, EXACT, "no label noise"), (control, NOISY, "with label noise")):
        found_rate = fall(runs, noise, "polyak", 20, 200)
        more = {"wrong": wrong} if kind is claim else {}
        yield kind("5.3", f"{sentence}, {where}", rate, found_rate, -0.02 * rate, **more)


def arrivals(runs: Runs) -> Iterator[Claim]:
    """The corner of |r| rounded off, on the same minibatches as |r|; and who ends at w* where labels are exact."""
    copies = runs["ex5_walks"].one(label_noise=NOISY).copies
    for corner in CORNERS[1:]:
        name, exact = f"the corner of |r| rounded within {corner:g}", rounded(corner)
        found = study.ratio_of_means(copies[f"gap/corner_{corner:g}"], copies["gap/corner_0"])
        sentence, margin = f"{name}, label noise: the loss gap over that of |r|", (1 - exact) / 5
        wrong = {"nothing changes": 1.0, "the share of residuals beyond it": np.exp(-corner)}
        yield claim("5.3", f"{sentence}, lr = 0.05", exact, found, margin, wrong)
        yield control("5.3", f"{name}, label noise: the loss gap is gone", 0.0, found, margin)
    ends = {f"the corner of |r| rounded within {corner:g}": f"corner_{corner:g}" for corner in CORNERS[1:]}
    for title, rule in {**ends, "Polyak's step": "polyak"}.items():
        found = study.exactly((walked(runs, EXACT, rule) ** 2).max())
        yield claim("5.3", f"{title}, no label noise: |w - w*|^2 ends at 0", 0.0, found, 1e-18)
    for title, rule in {"the corner left as it is": "corner_0", TITLES["inverse"]: "inverse"}.items():
        found = study.exactly((walked(runs, EXACT, rule) ** 2).max())
        yield control("5.3", f"{title}, no label noise: |w - w*|^2 ends at 0", 0.0, found, 1e-18)
