"""The comment at the top of conf/experiment/*.yaml: its question, command, cost and what to expect."""

from __future__ import annotations

import re
from pathlib import Path

from noiseworks.cli import conf_folder

KEY = re.compile(r"^(Question|Command|Cost|Expect):\s*")


def header(experiment: str) -> dict[str, str]:
    """Question, Command, Cost, Expect: those that are there."""
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
