"""A configuration as YAML text, for thousands of runs: OmegaConf takes 5 ms for one."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any

from omegaconf import OmegaConf


def to_yaml(config: dict[str, Any], indent: str = "") -> str:
    """What `OmegaConf.to_yaml` gives for plain containers. The jobs of a sweep share most of their lines, and a line is
    made once."""
    text = []
    for key, value in config.items():
        if isinstance(value, dict) and value:
            text += [_lines(key, None, indent).removesuffix(" null\n"), "\n", to_yaml(value, indent + "  ")]
        elif isinstance(value, (list, dict)):
            text.append(_lines_of_json(key, json.dumps(value), indent))
        else:
            text.append(_lines(key, value, indent))
    return "".join(text)


@lru_cache(maxsize=10_000, typed=True)  # typed: 1 is not true
def _lines(key: str, value: Any, indent: str) -> str:
    lines = OmegaConf.to_yaml({key: value}).splitlines(keepends=True)
    return "".join(indent + line if line.strip() else line for line in lines)


@lru_cache(maxsize=10_000)
def _lines_of_json(key: str, text: str, indent: str) -> str:
    return _lines.__wrapped__(key, json.loads(text), indent)
