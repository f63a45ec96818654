"""The pages, written as files that open from disk."""

from __future__ import annotations

import datetime
import re
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from noiseworks.report.header import header
from noiseworks.report.numbers import number, sentence
from noiseworks.report.power import power
from noiseworks.report.strip import strip
from noiseworks.report.study import Study, Tally


def write_site(studies: Sequence[Study], out: Path, note: str = "", whole: bool = True) -> list[Path]:
    """index.html, a page a study, and style.css. note: what is special about these runs. whole: with all exercises."""
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
