"""A configuration as YAML text, for thousands of runs: OmegaConf takes 5 ms for one."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from omegaconf import OmegaConf
from yaml.representer import SafeRepresenter

NUMBERS = SafeRepresenter()


def to_yaml(config: dict[str, Any], indent: str = "") -> str:
    """What `OmegaConf.to_yaml` gives for plain containers. The jobs of a sweep share most of their lines, and a line is
    made once."""
    text = []
    for key, value in config.items():
        if isinstance(value, dict) and value:
            text += [_key(key, indent), "\n", to_yaml(value, indent + "  ")]
        elif isinstance(value, (list, dict)):
            text.append(_lines_of_json(key, json.dumps(value), indent))
        elif type(value) is float:  # a search has other ones in every job
            text.append(f"{_key(key, indent)} {NUMBERS.represent_float(value).value}\n")
        else:
            text.append(_lines(key, value, indent))
    return "".join(text)


def _key(key: str, indent: str) -> str:
    return _lines(key, None, indent).removesuffix(" null\n")


@lru_cache(maxsize=10_000, typed=True)  # typed: 1 is not true
def _lines(key: str, value: Any, indent: str) -> str:
    lines = OmegaConf.to_yaml({key: value}).splitlines(keepends=True)
    return "".join(indent + line if line.strip() else line for line in lines)


@lru_cache(maxsize=10_000)
def _lines_of_json(key: str, text: str, indent: str) -> str:
    return _lines.__wrapped__(key, json.loads(text), indent)
