"""The pages, written as files that open from disk: headers of experiments, the power of the verdicts, numbers as people
write them."""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from noiseworks.errors import UserError
from noiseworks.paths import conf_folder, experiments_folder
from noiseworks.report.exercise_page import Study, Tally, strip
from noiseworks.studies.claims import Interval, proportion

FILE = "power.json"
COUNTS = ("count", "as_hoped", "opposite")
MISS = ("exercise", "kind", "claim", "verdict", "times")


@dataclass(frozen=True)
class Rate:
    """How many verdicts of a kind (claim, control, wrong theory) came out as they should: as_hoped of count; opposite:
    how many the other way, not only inconclusive."""

    kind: str
    count: int
    as_hoped: int
    opposite: int

    @property
    def interval(self) -> Interval:
        return proportion(np.arange(self.count) < self.as_hoped)


@dataclass(frozen=True)
class Power:
    """The rates over `repetitions` of everything, each with its own seed. misses: exercise, kind, claim, verdict and
    times of those that came out otherwise."""

    repetitions: int
    rates: Sequence[Rate]
    misses: Sequence[Mapping[str, Any]]

    @property
    def theories(self) -> bool:
        return any(rate.kind == "wrong theory" for rate in self.rates)


def power(out: Path) -> Power | None:
    """What power.json says in the report's folder, else the one in experiments/; None if neither is there."""
    found = [folder / FILE for folder in (out, experiments_folder()) if (folder / FILE).exists()]
    if not found:
        return None
    try:
        content = json.loads(found[0].read_text())
        rates = [Rate(str(row["kind"]), *(int(row[key]) for key in COUNTS)) for row in content["rates"]]
        misses = [{key: miss[key] for key in MISS} for miss in content["misses"]]
        return Power(len(content["seeds"]), [rate for rate in rates if rate.count >= 2], misses)
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{found[0]} is not as scripts/verdict_power.py writes it ({error!r}).") from error


def number(value: float, digits: int = 4) -> Markup:
    """A number as people write it: 1.434, −0.02, 7.2 × 10<sup>−12</sup>."""
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


KEY = re.compile(r"^(Question|Command|Cost|Expect):\s*")


def header(experiment: str) -> dict[str, str]:
    """Question, Command, Cost and Expect of an experiment's YAML, those that are there."""
    return read_header(conf_folder() / "experiment" / f"{experiment}.yaml")


def read_header(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    key = ""
    for line in path.read_text().splitlines():
        if not line.startswith("#"):
            break
        text = line.removeprefix("#").strip()
        if match := KEY.match(text):
            key, text = match[1], text[match.end() :]
        if key:
            found[key] = f"{found.get(key, '')} {text}".strip()
    return found


def write_site(studies: Sequence[Study], out: Path, note: str = "", whole: bool = True) -> list[Path]:
    """The files: index.html, one a study, style.css. note: what is special about these runs. whole: all of them."""
    pages = _environment()
    shared: dict[str, Any] = {
        "studies": studies,
        "note": note,
        "whole": whole,
        "made": _now(),
        "version": version("noiseworks"),
    }
    texts = {"index.html": pages.get_template("index.html").render(shared, power=power(out), total=_total(studies))}
    for before, study, after in zip([None, *studies[:-1]], studies, [*studies[1:], None]):
        around = {"study": study, "before": before, "after": after}
        texts[study.file] = pages.get_template("exercise.html").render(shared, **around)
    texts["style.css"] = pages.get_template("style.css").render()
    out.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (out / name).write_text(text)
    return [out / name for name in texts]


def _environment() -> Environment:
    pages = Environment(
        loader=PackageLoader("noiseworks.report"),
        autoescape=lambda name: bool(name) and not str(name).endswith(".css"),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters.update(number=number, sentence=sentence, safe_html=Markup, plain=_plain)
    pages.globals.update(strip=strip, header=header)
    return pages


def _total(studies: Sequence[Study]) -> Tally:
    return Tally([claim for study in studies for claim in study.claims])


def _plain(text: str) -> str:
    """HTML without its tags, for the title of a window."""
    return Markup(re.sub(r"<annotation.*?</annotation>", "", text)).striptags()


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).strftime("%d %B %Y, %H:%M UTC").lstrip("0")
