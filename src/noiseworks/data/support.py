"""Whether the noise that the model assumes can give the target."""

from __future__ import annotations

from noiseworks.data.examples import Examples
from noiseworks.errors import UserError
from noiseworks.noise.base import Noise
from noiseworks.noise.lattice import off_grid


def check_target(examples: Examples, noise: Noise, allow_fractions: bool) -> None:
    """Refuse a target that is out of the noise's support; weighted rows may be means of counts, hence fractions."""
    what = f"column '{examples.target}'"
    noise.check_support(examples.y, what)
    if not noise.counts or allow_fractions or examples.weights is not None:
        return
    step = noise.step
    fractions = (examples.y != examples.y.floor() if step == 1 else off_grid(examples.y, step)).nonzero()
    if len(fractions):
        row = int(fractions[0])
        needs = "whole numbers" if step == 1 else f"multiples of noise.tick={step:g}"
        raise UserError(
            f"{noise.name} noise needs {needs}; {what} is {examples.y[row].item()} in row {row + 1}. "
            "data.allow_fractions=true takes fractions, as a quasi-likelihood."
        )
