"""Numbers as people write them."""

from __future__ import annotations

import math
import re

from markupsafe import Markup, escape


def number(value: float, digits: int = 4) -> Markup:
    """1.434, −0.02, 7.2 × 10<sup>−12</sup>."""
    if not math.isfinite(value):
        return Markup("not a number") if math.isnan(value) else Markup("∞" if value > 0 else "−∞")
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    if value == 0 or -4 <= int(exponent) < 6:
        return Markup(_minus(_fixed(value, digits)))
    power = Markup("10<sup>{}</sup>").format(_minus(str(int(exponent))))
    mantissa = mantissa.rstrip("0").rstrip(".")
    return power if mantissa == "1" else Markup("{} × {}").format(_minus(mantissa), power)


NAMES = {
    "alpha": "α",
    "beta": "β",
    "eta": "η",
    "kappa": "κ",
    "lambda": "λ",
    "mu": "μ",
    "pi": "π",
    "sigma": "σ",
    "tau": "τ",
}
WORD = re.compile(rf"(?<![\w'])({'|'.join(NAMES)})(?![a-zA-Z])")
POWER = re.compile(r"\^(\([-−]?\w+\)|[-−]?\w+(?:\.\d+)?)")


def sentence(text: str) -> Markup:
    """A line of plain text with its formulas as people write them: sigma^2 = 5 becomes σ<sup>2</sup> = 5, unbroken."""
    spelled = WORD.sub(lambda match: NAMES[match[1]], text)
    spelled = re.sub(r"(?<=\w) ([=<>]) (?=\S)", "\u00a0\\1\u00a0", re.sub(r" - (?=\S)", " − ", spelled))
    spelled = re.sub(r"(?<=\d) %", "\u00a0%", re.sub(r"(?<![\w)])-(?=\d)", "−", spelled))
    return Markup(POWER.sub(lambda match: f"<sup>{_minus(match[1].strip('()'))}</sup>", str(escape(spelled))))


def _fixed(value: float, digits: int) -> str:
    text = f"{value:.{digits}g}"
    return f"{float(text):.0f}" if "e" in text else text


def _minus(text: str) -> str:
    return text.replace("-", "−")
